//! What a retry policy may break, and the report about it.

use std::fmt;
use std::time::Duration;

/// What a retry policy promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// There is at least one attempt.
    OneAttempt,
    /// Every call returns, whatever the attempt.
    Total,
    /// The same arguments give the same answer.
    Repeatable,
    /// Delays and the ends of spreads are whole milliseconds.
    WholeMillis,
    /// The shortest delay is not above the longest.
    Ordered,
    /// No delay, and no end of a spread, is above the cap.
    WithinCap,
    /// Every delay is within the spread of its attempt.
    WithinSpread,
    /// Without jitter, a later attempt waits no less than an earlier one.
    NeverHurries,
    /// Delays are as even over their spread as declared.
    Even,
}

impl Rule {
    /// Why it matters.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::OneAttempt => "a job with no attempt would never run",
            Self::Total => "a panic here takes a worker down, again at each attempt of the job",
            Self::Repeatable => {
                "a worker and the reaper must compute the same delay, and a simulation must replay it"
            }
            Self::WholeMillis => {
                "a store keeps milliseconds: the rest is lost, or rounded differently"
            }
            Self::Ordered => "no delay can be within a spread that holds none",
            Self::WithinCap => "a job that should be back in minutes is gone for days",
            Self::WithinSpread => "whoever plans with the spread, as a test does, is misled",
            Self::NeverHurries => "what keeps failing is tried ever more often, an outage grows",
            Self::Even => "jobs that failed together come back together, in a crowd",
        }
    }
}

/// How a retry policy breaks a [`Rule`]; its `Display` form is the whole report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicyFlaw {
    /// What is broken.
    pub rule: Rule,
    /// The smallest attempt found that shows it; 0 if it depends on none.
    pub attempt: u32,
    /// The call that shows it.
    pub call: String,
    /// What was expected of it.
    pub expected: String,
    /// What came instead.
    pub actual: String,
    /// Of the random numbers used. It is fixed: the same policy fails the same way again.
    pub seed: u64,
}

impl fmt::Display for RetryPolicyFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            call,
            expected,
            actual,
            seed,
            ..
        } = self;
        let why = rule.why();
        write!(
            f,
            "this retry policy breaks {rule:?}\n      call: {call}\n  expected: {expected}\n    \
             actual: {actual}\n       why: {why}\n      seed: {seed}"
        )
    }
}

impl std::error::Error for RetryPolicyFlaw {}

/// A call of a policy, for the report.
#[derive(Clone, Copy)]
pub(super) enum Call {
    Attempts,
    Cap,
    Spread(u32, Duration),
    Delay(u32, Duration, u64),
    Draws(u32, Duration),
}

impl Call {
    pub(super) fn flaw(
        self,
        rule: Rule,
        expected: impl Into<String>,
        actual: impl Into<String>,
    ) -> RetryPolicyFlaw {
        let attempt = match self {
            Self::Attempts | Self::Cap => 0,
            Self::Spread(attempt, _) | Self::Delay(attempt, ..) | Self::Draws(attempt, _) => {
                attempt
            }
        };
        RetryPolicyFlaw {
            rule,
            attempt,
            call: self.to_string(),
            expected: expected.into(),
            actual: actual.into(),
            seed: super::SEED,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempts => write!(f, "attempts()"),
            Self::Cap => write!(f, "cap()"),
            Self::Spread(attempt, prev) => write!(f, "spread(attempt {attempt}, prev {prev:?})"),
            Self::Delay(attempt, prev, entropy) => {
                write!(
                    f,
                    "delay(attempt {attempt}, prev {prev:?}, entropy {entropy:#x})"
                )
            }
            Self::Draws(attempt, prev) => {
                write!(
                    f,
                    "delay(attempt {attempt}, prev {prev:?}, entropy of {} draws)",
                    super::DRAWS
                )
            }
        }
    }
}
