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
    /// It put itself off.
    Snoozed(Duration),
    /// Nobody registered its kind here: it never started.
    Unknown,
}
