//! The job: 1 KiB of JSON and a handler that counts itself.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

/// The payload; 1024 bytes as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Filler.
    pub text: String,
}

impl Work {
    const FRAME: usize = r#"{"text":""}"#.len();

    /// One job, freshly made.
    #[must_use]
    pub fn new() -> Self {
        Self {
            text: "x".repeat(1024 - Self::FRAME),
        }
    }
}

impl Default for Work {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts handlers.
#[derive(Debug)]
pub struct Done(AtomicUsize);

impl Done {
    /// Until there were `jobs`.
    #[must_use]
    pub const fn of(jobs: usize) -> Self {
        Self(AtomicUsize::new(jobs))
    }

    /// One handler ran; true for the last.
    pub fn one(&self) -> bool {
        self.0.fetch_sub(1, Relaxed) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_a_kibibyte() {
        assert_eq!(serde_json::to_vec(&Work::new()).unwrap().len(), 1024);
    }
}
