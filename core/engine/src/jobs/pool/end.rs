//! How a handler ends, as the worker that ran it tells the pool.

use std::time::Duration;

use bytes::Bytes;

use super::super::NewJob;

/// How a handler ended. What follows from it (a retry, when, or none) the pool decides.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// It returned well.
    Succeeded {
        /// What it returned.
        result: Bytes,
        /// Jobs to insert with the success, atomically.
        then: Vec<NewJob>,
    },
    /// It failed, panicked, or its payload could not be decoded: another attempt may help.
    Failed {
        /// What went wrong.
        text: String,
        /// When it asks to be tried again; else by its rule.
        after: Option<Duration>,
    },
    /// It failed, and says that no other attempt can help.
    Fatal {
        /// What went wrong.
        text: String,
    },
    /// It put itself off, for [`End::SHORTEST_SNOOZE`] at least.
    Snoozed(Duration),
    /// Nobody registered its kind here: it never started.
    Unknown,
}

impl End {
    /// A shorter snooze counts as this. A snooze spends no attempt, so a job that wants to run again at once
    /// would never end, and keep a worker and the store busy with nothing.
    pub const SHORTEST_SNOOZE: Duration = Duration::from_millis(100);
}
