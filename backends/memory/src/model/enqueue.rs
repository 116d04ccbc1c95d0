//! Jobs come in. Checked in this order: the id, what it waits for, the unique key.

use tideway_engine::Wall;
use tideway_engine::jobs::call::Enqueued;
use tideway_engine::jobs::{Conflict, Event, NewJob, Record, State};

use super::Model;

impl Model {
    /// Inserts `jobs`, in order; one outcome each.
    pub fn enqueue(&mut self, jobs: &[NewJob], now: Wall) -> Vec<Enqueued> {
        self.hints.clear();
        jobs.iter().map(|job| self.insert(job, now)).collect()
    }

    pub(super) fn insert(&mut self, new: &NewJob, now: Wall) -> Enqueued {
        let spec = &*new.spec;
        let known = self.records.get(&spec.id).map(|known| known.digest);
        if let Some(digest) = known.or_else(|| self.deleted.digest(spec.id, now)) {
            return new.met(digest);
        }
        if let Some(id) = self.waits(spec).unknown {
            return Enqueued::UnknownWait(id);
        }
        let mut out = Enqueued::Inserted;
        let mut payload = None;
        if let Some(unique) = &spec.unique
            && let Some(holder) = self.holds.holder(&spec.queue, &unique.key, now)
        {
            let held = self.records.get(&holder);
            match (held, unique.conflict) {
                (Some(held), Conflict::Replace | Conflict::Reschedule)
                    if held.state == State::Pending =>
                {
                    let same = unique.conflict == Conflict::Reschedule;
                    payload = same.then(|| held.payload.clone());
                    let _ = self.apply(holder, &Event::Supersede(spec.id), now);
                    out = Enqueued::Superseded(holder);
                }
                _ => return Enqueued::UniqueHit(holder),
            }
        }
        // Once more: what it waits for may have ended with the holder.
        let waits = self.waits(spec);
        let mut job = Box::new(Record::accepted(new, waits.left, now));
        // The digest stays that of the job as given, so that a repeat of it is known again.
        if let Some(payload) = payload {
            job.payload = payload;
        }
        if let Some(unique) = &spec.unique {
            self.holds.take(&job, unique, now);
        }
        self.index.add(&job);
        if job.state == State::Pending {
            self.hints.queue(&spec.queue);
        }
        self.records.insert(spec.id, job);
        if let Some(failed) = waits.failed {
            let _ = self.apply(spec.id, &Event::WaitFailed(failed), now);
        }
        out
    }
}
