//! The jobs a pool holds leases of, and their alarms.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::call::{Beat, Settle};
use super::super::step::{Fence, Outcome};
use super::super::{Id, NewJob, Owner, Record, Spec};
use super::Run;
use crate::map::Map;
use crate::time::{Mono, Wall};

/// One lease.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) spec: Arc<Spec>,
    pub(super) fence: Fence,
    pub(super) run: Run,
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
    /// The newest checkpoint of this attempt.
    newest: Option<Bytes>,
    /// When its alarm goes off.
    alarm: Option<Mono>,
    /// Its next beat waits for its call already.
    pub(super) beating: bool,
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
    pub(super) fn new(job: &Record, run: Run, owner: Owner, deadline: Mono) -> Self {
        Self {
            spec: job.spec.clone(),
            fence: Fence {
                token: job.token,
                owner,
            },
            run,
            failures: job.failures,
            crashes: job.crashes,
            returns: job.returns,
            delay: job.delay,
            enqueued_at: job.enqueued_at,
            deadline,
            stage: Stage::Running,
            why: None,
            progress: None,
            newest: None,
            alarm: None,
            beating: false,
        }
    }

    pub(super) fn silence(&mut self) {
        self.alarm = None;
    }

    /// Whether its handler is not yet known to have ended.
    pub(super) fn handled(&self) -> bool {
        self.stage != Stage::Settling
    }

    pub(super) fn beat(&self, id: Id) -> Beat {
        Beat {
            id,
            fence: self.fence,
            progress: self.progress.clone(),
        }
    }

    pub(super) fn checkpoint(&mut self, progress: Bytes) {
        self.newest = Some(progress.clone());
        self.progress = Some(progress);
    }

    /// The store has this checkpoint now; a newer one stays.
    pub(super) fn stored(&mut self, progress: Option<&Bytes>) {
        if self.progress.as_ref() == progress {
            self.progress = None;
        }
    }

    pub(super) fn settle(&mut self, id: Id, outcome: Outcome, then: Vec<NewJob>) -> Settle {
        let unsaved = self.progress.take();
        let progress = match outcome {
            Outcome::Succeeded(_) => unsaved,
            // Whoever goes on begins there, even if a beat that was late on its way put an older one back.
            _ => self.newest.take(),
        };
        Settle {
            id,
            fence: self.fence,
            outcome,
            progress,
            then,
        }
    }
}

/// One alarm per lease at most counts: the newest set, which the lease knows. Older ones are skipped when
/// they fire and swept before they pile up.
#[derive(Debug, Default)]
pub(super) struct Alarms(BinaryHeap<Reverse<(Mono, Id, u64)>>);

impl Alarms {
    /// Sets the alarm of a lease, in place of an earlier one.
    pub(super) fn set(&mut self, held: &mut Map<Id, Held>, at: Mono, id: Id) {
        let Some(one) = held.get_mut(&id) else {
            return;
        };
        one.alarm = Some(at);
        self.0.push(Reverse((at, id, one.fence.token)));
        if self.0.len() > 64 + 2 * held.len() {
            self.0
                .retain(|Reverse(alarm)| Self::counts(held, *alarm).is_some());
        }
    }

    /// The next lease whose alarm is due.
    pub(super) fn due(&mut self, held: &mut Map<Id, Held>, now: Mono) -> Option<Id> {
        while let Some(Reverse(alarm)) = self.0.peek().copied()
            && alarm.0 <= now
        {
            self.0.pop();
            if Self::counts(held, alarm).is_some() {
                held.get_mut(&alarm.1)?.alarm = None;
                return Some(alarm.1);
            }
        }
        None
    }

    fn counts(held: &Map<Id, Held>, (at, id, token): (Mono, Id, u64)) -> Option<&Held> {
        let one = held.get(&id)?;
        (one.fence.token == token && one.alarm == Some(at)).then_some(one)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// When the next is due; perhaps one that no longer counts, which costs a wake-up and no more.
    pub(super) fn next(&self) -> Option<Mono> {
        self.0.peek().map(|Reverse((at, ..))| *at)
    }
}
