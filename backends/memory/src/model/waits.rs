//! Jobs that wait for jobs. An end is told to those that wait for it, and theirs to those behind them, by a
//! list instead of a recursion: chains may be long.

use tideway_engine::Wall;
use tideway_engine::jobs::{Event, Id, Spec, State, WaitFailed};

use super::Model;

/// What a job still waits for when it is enqueued, and the first of it that has failed already.
pub(super) struct Waits {
    pub(super) left: Vec<Id>,
    pub(super) failed: Option<Id>,
}

impl Model {
    /// The first of the job's waits that is not in the store.
    pub(super) fn unknown_wait(&self, spec: &Spec) -> Option<Id> {
        let mut waits = spec.waits.iter().copied();
        waits.find(|id| !self.records.contains_key(id))
    }

    pub(super) fn waits(&self, spec: &Spec) -> Waits {
        let mut waits = Waits {
            left: Vec::new(),
            failed: None,
        };
        for id in &spec.waits {
            let Some(awaited) = self.job(*id) else {
                continue;
            };
            let failed = matches!(awaited.state, State::Dead | State::Cancelled);
            let over =
                awaited.state == State::Succeeded || failed && spec.wait_failed == WaitFailed::Run;
            if !over && !waits.left.contains(id) {
                waits.left.push(*id);
                if failed {
                    waits.failed = waits.failed.or(Some(*id));
                }
            }
        }
        waits
    }

    /// Tells those who wait for what has ended, until nothing more ends.
    pub(super) fn tell_waiters(&mut self, now: Wall) {
        while let Some(ended) = self.ends.pop() {
            let well = self
                .job(ended)
                .is_none_or(|job| job.state == State::Succeeded);
            let all = (ended, Id::from_u128(0))..=(ended, Id::from_u128(u128::MAX));
            while let Some((_, waiter)) = self.index.waiters.range(all.clone()).next().copied() {
                self.tell(waiter, ended, well, now);
            }
        }
    }

    fn tell(&mut self, waiter: Id, ended: Id, well: bool, now: Wall) {
        self.index.waiters.remove(&(ended, waiter));
        let Some(job) = self.records.get_mut(&waiter) else {
            return;
        };
        if !well && job.spec.wait_failed == WaitFailed::Cancel {
            let _ = self.apply_alone(waiter, &Event::WaitFailed(ended), now);
            return;
        }
        // Its other entries in the index stay as they are: they do not depend on this one.
        job.waits.retain(|id| *id != ended);
        if job.waits.is_empty() {
            let _ = self.apply_alone(waiter, &Event::Ready, now);
        }
    }
}
