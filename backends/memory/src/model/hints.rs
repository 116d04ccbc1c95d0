//! What one call gives workers to look at. Collected under the lock, sent after it.

use std::collections::BTreeSet;

use tideway_engine::jobs::{Id, Kind, Name, Owner, Record, State};

/// Queues that got something to do, and running jobs that shall stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    pub(crate) queues: BTreeSet<Name>,
    pub(crate) cancels: Vec<(Owner, Id)>,
}

impl Hints {
    /// Of the call that begins now.
    pub(super) fn clear(&mut self) {
        self.queues.clear();
        self.cancels.clear();
    }

    /// Jobs of `queue` may be due, now or at some time.
    pub(super) fn queue(&mut self, queue: &Name) {
        if !self.queues.contains(queue) {
            self.queues.insert(queue.clone());
        }
    }

    /// `job` after a row was applied to it. Every way into a lane hints, whether or not the lane was empty:
    /// a worker that has just seen it empty may be on its way to sleep.
    pub(super) fn after(&mut self, job: &Record, kind: Kind) {
        match (job.state, kind, job.owner) {
            (State::Pending, _, _) => self.queue(&job.spec.queue),
            (State::Running, Kind::Cancel, Some(owner)) => self.cancels.push((owner, job.id())),
            _ => {}
        }
    }
}
