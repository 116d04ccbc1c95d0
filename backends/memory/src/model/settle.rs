//! Leases end or go on, and those that ran out are listed.

use std::time::Duration;

use tideway_engine::Wall;
use tideway_engine::jobs::call::{Beat, Beaten, Cursor, Expired, Page, Settle, Settled};
use tideway_engine::jobs::{Event, Id, Record};

use super::Model;

impl Model {
    /// Ends leases; one outcome each. Jobs that wait for those that ended become pending or cancelled.
    pub fn settle(&mut self, settles: &[Settle], now: Wall) -> Vec<Settled> {
        self.hints.clear();
        settles
            .iter()
            .map(|one| self.settle_one(one, now))
            .collect()
    }

    fn settle_one(&mut self, settle: &Settle, now: Wall) -> Settled {
        let event = Event::Settle {
            fence: settle.fence,
            outcome: &settle.outcome,
            progress: settle.progress.as_ref(),
        };
        let Some(stepped) = self.apply(settle.id, &event, now) else {
            return Settled::NotFound;
        };
        if stepped.is_ok() {
            for new in &settle.then {
                self.insert(new, now);
            }
        }
        stepped.into()
    }

    /// Extends leases to `lease` from now; one outcome each.
    pub fn heartbeat(&mut self, beats: &[Beat], lease: Duration, now: Wall) -> Vec<Beaten> {
        self.hints.clear();
        self.ahead = self.ahead.max(now);
        let beat = |beat: &Beat| {
            let event = Event::Beat {
                fence: beat.fence,
                lease,
                progress: beat.progress.as_ref(),
            };
            match self.apply(beat.id, &event, now) {
                Some(Ok(_)) => Beaten::Alive {
                    cancel: self.job(beat.id).is_some_and(|job| job.cancel),
                },
                _ => Beaten::Lost,
            }
        };
        beats.iter().map(beat).collect()
    }

    /// Leases that have run out, by id.
    #[must_use]
    pub fn expired(&self, from: &Cursor, limit: u32, now: Wall) -> Page<Expired> {
        let mut ids = Vec::new();
        if let Ok(after) = from.id() {
            ids = self.lapsed(now);
            ids.retain(|id| Some(*id) > after);
            ids.sort_unstable();
        }
        let (ids, next) = Cursor::cut(ids, limit, |id| *id);
        let jobs = ids.iter().filter_map(|id| self.job(*id));
        Page {
            items: jobs.filter_map(|job| self.lapse(job)).collect(),
            next,
            now,
        }
    }

    /// The jobs whose lease has run out: those that end by `now`, and those written by a clock that was ahead.
    fn lapsed(&self, now: Wall) -> Vec<Id> {
        let (early, rest) = (Wall(i64::MIN), Wall(now.0.saturating_add(1)));
        let lowest = Id::from_u128(0);
        let over = self.index.leases.range((early, lowest)..(rest, lowest));
        let mut ids: Vec<Id> = over.map(|(_, id)| *id).collect();
        if now < self.ahead {
            // Only a clock that went back since a lease was given leaves any of these.
            let ahead = self.index.leases.range((rest, lowest)..);
            let lapsed = |id: &Id| self.job(*id).is_some_and(|job| job.lapsed(now));
            ids.extend(ahead.map(|(_, id)| *id).filter(lapsed));
        }
        ids
    }

    fn lapse(&self, job: &Record) -> Option<Expired> {
        Expired::of(job, self.index.peers(job))
    }
}
