//! What became of the exchanges: counters that add up on every path.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::pipeline::{Cx, End, Flow, Phases, Stage};

/// Counts every exchange exactly once at its start and once at its end.
///
/// Keep a clone to read the [`Counts`].
#[derive(Clone, Debug, Default)]
pub struct Accounts(Arc<Atomics>);

#[derive(Debug, Default)]
struct Atomics {
    started: AtomicU64,
    completed: AtomicU64,
    aborted: AtomicU64,
    panicked: AtomicU64,
}

/// A reading of [`Accounts`]; `started = completed + aborted + in_flight` when nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Exchanges begun.
    pub started: u64,
    /// Ended with the last byte accepted for writing, or became something that is not HTTP.
    pub completed: u64,
    /// Cut: client gone, deadline, failed body, stop.
    pub aborted: u64,
    /// Of the completed and aborted, those in which user code panicked.
    pub panicked: u64,
    /// Begun and not ended.
    pub in_flight: u64,
}

impl Accounts {
    /// The counters now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        // Ends are read before starts, so that `in_flight` cannot underflow.
        let completed = self.0.completed.load(Ordering::Acquire);
        let aborted = self.0.aborted.load(Ordering::Acquire);
        let started = self.0.started.load(Ordering::Acquire);
        Counts {
            started,
            completed,
            aborted,
            panicked: self.0.panicked.load(Ordering::Acquire),
            in_flight: started.saturating_sub(completed + aborted),
        }
    }
}

impl Stage for Accounts {
    fn name(&self) -> &'static str {
        "accounts"
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST.and(Phases::DONE)
    }

    fn request(&self, _: &mut Cx<'_>) -> Flow {
        self.0.started.fetch_add(1, Ordering::Release);
        Flow::Next
    }

    fn done(&self, cx: &mut Cx<'_>, end: &End) {
        if cx.panicked() {
            self.0.panicked.fetch_add(1, Ordering::Release);
        }
        let ended = match end {
            End::Complete { .. } | End::Upgraded => &self.0.completed,
            End::Aborted(_) => &self.0.aborted,
        };
        ended.fetch_add(1, Ordering::Release);
    }
}
