//! Jobs that wait for jobs. An end is told to those that wait for it, and theirs to those behind them, by a
//! list instead of a recursion: chains may be long.

use tideway_engine::Wall;
use tideway_engine::jobs::{Event, Id, Spec, State, WaitFailed, Waits};

use super::Model;

impl Model {
    pub(super) fn waits(&self, spec: &Spec) -> Waits {
        let state = |id: &Id| self.job(*id).map(|job| job.state);
        spec.waits_on(spec.waits.iter().map(state))
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
