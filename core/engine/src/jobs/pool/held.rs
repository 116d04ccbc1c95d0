//! The jobs a pool holds leases of, and their alarms.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::call::{Beat, Settle};
use super::super::step::{Fence, Outcome};
use super::super::{Id, NewJob, Owner, Record, Spec};
use crate::map::Map;
use crate::time::{Mono, Wall};

/// One lease.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) spec: Arc<Spec>,
    pub(super) fence: Fence,
    pub(super) failures: u32,
    pub(super) crashes: u32,
    pub(super) returns: u32,
    pub(super) delay: Duration,
    pub(super) enqueued_at: Wall,
    /// When the lease ends if no beat arrives, on our clock: counted from when the call was sent.
    pub(super) deadline: Mono,
    pub(super) stage: Stage,
    /// Why it is being stopped.
    pub(super) why: Option<Why>,
    /// A checkpoint the store does not have yet.
    pub(super) progress: Option<Bytes>,
}

/// How far a lease is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its handler runs.
    Running,
    /// Its handler was asked to stop.
    Cancelling,
    /// Its handler is being dropped.
    Aborting,
    /// Its settle waits or is on its way.
    Settling,
}

/// Why a handler is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It took too long.
    Timeout,
    /// Someone cancelled the job.
    Asked,
    /// The lease is lost.
    Lease,
    /// The pool stops.
    Stop,
}

impl Held {
    pub(super) fn new(job: &Record, owner: Owner, deadline: Mono) -> Self {
        Self {
            spec: job.spec.clone(),
            fence: Fence {
                token: job.token,
                owner,
            },
            failures: job.failures,
            crashes: job.crashes,
            returns: job.returns,
            delay: job.delay,
            enqueued_at: job.enqueued_at,
            deadline,
            stage: Stage::Running,
            why: None,
            progress: None,
        }
    }

    pub(super) fn beat(&self, id: Id) -> Beat {
        Beat {
            id,
            fence: self.fence,
            progress: self.progress.clone(),
        }
    }

    /// The store has this checkpoint now; a newer one stays.
    pub(super) fn stored(&mut self, progress: Option<&Bytes>) {
        if self.progress.as_ref() == progress {
            self.progress = None;
        }
    }

    pub(super) fn settle(&mut self, id: Id, outcome: Outcome, then: Vec<NewJob>) -> Settle {
        Settle {
            id,
            fence: self.fence,
            outcome,
            progress: self.progress.take(),
            then,
        }
    }
}

/// One alarm per lease at most counts: the newest set. Older ones are skipped when they fire and swept
/// before they pile up.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    heap: BinaryHeap<Reverse<(Mono, Id, u64)>>,
    current: std::collections::BTreeMap<(Id, u64), Mono>,
}

impl Alarms {
    /// Sets the alarm of a lease, in place of an earlier one.
    pub(super) fn set(&mut self, held: &Map<Id, Held>, at: Mono, id: Id, token: u64) {
        self.current.insert((id, token), at);
        self.heap.push(Reverse((at, id, token)));
        if self.heap.len() > 64 + 2 * held.len().max(self.current.len()) {
            let current = &self.current;
            self.heap
                .retain(|Reverse((at, id, token))| current.get(&(*id, *token)) == Some(at));
        }
    }

    pub(super) fn clear(&mut self, id: Id, token: u64) {
        if !self.current.is_empty() {
            self.current.remove(&(id, token));
        }
    }

    /// The next lease whose alarm is due.
    pub(super) fn due(&mut self, now: Mono) -> Option<(Id, u64)> {
        while let Some(Reverse((at, id, token))) = self.heap.peek().copied() {
            if at > now {
                return None;
            }
            self.heap.pop();
            if self.current.get(&(id, token)) == Some(&at) {
                self.current.remove(&(id, token));
                return Some((id, token));
            }
        }
        None
    }

    /// When the next is due; perhaps one that no longer counts, which costs a wake-up and no more.
    pub(super) fn next(&self) -> Option<Mono> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }
}
