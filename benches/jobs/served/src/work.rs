//! The job: 1 KiB of JSON that knows its number.

use serde::{Deserialize, Serialize};

/// The payload; 1024 bytes as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Which one of the run, from 0.
    pub number: usize,
    /// When it was made: nanoseconds of the run.
    pub at: u64,
    /// Filler.
    pub text: String,
}

impl Work {
    /// One job, freshly made.
    #[must_use]
    pub fn new(number: usize, at: u64) -> Self {
        const FRAME: usize = r#"{"number":,"at":,"text":""}"#.len();
        let digits = |number: u64| number.checked_ilog10().unwrap_or(0) as usize + 1;
        let rest = 1024 - FRAME - digits(number as u64) - digits(at);
        Self {
            number,
            at,
            text: "x".repeat(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_a_kibibyte() {
        for (number, at) in [(0, 0), (9, 10), (123_456, u64::MAX)] {
            let json = serde_json::to_vec(&Work::new(number, at)).unwrap();
            assert_eq!(json.len(), 1024);
        }
    }
}
