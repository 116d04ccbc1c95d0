//! How delays grow from one attempt to the next, before jitter and cap. In milliseconds, saturating.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::stored;
use crate::jobs::spec::whole_millis;

/// How delays grow, before [`Jitter`](super::Jitter) and cap. All durations are whole
/// milliseconds, 30 days at most; attempts count from 1.
///
/// Stored under the names in lower case: `{"exp":{"base":1000,"factor":2}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Backoff {
    /// The same every time; zero retries at once.
    Fixed(#[serde(with = "stored::millis")] Duration),
    /// `base + step × (attempt − 1)`.
    Linear {
        /// The first delay; zero is legal.
        #[serde(with = "stored::millis")]
        base: Duration,
        /// What each further one adds; not zero.
        #[serde(with = "stored::millis")]
        step: Duration,
    },
    /// `base + attempt ^ power` seconds.
    Poly {
        /// What is added to each; zero is legal.
        #[serde(with = "stored::millis")]
        base: Duration,
        /// The exponent; 4 by default.
        power: u32,
    },
    /// `base × factor ^ (attempt − 1)`.
    Exp {
        /// The first delay; not zero.
        #[serde(with = "stored::millis")]
        base: Duration,
        /// How many times the one before; at least 1, mostly 2.
        factor: u32,
    },
    /// One after the other, the last one again and again: 1 to 32, none shorter than the one before.
    Table(#[serde(with = "stored::millis_each")] Vec<Duration>),
    /// Anything between `base` and three times the previous delay; takes no jitter.
    Decorrelated {
        /// The shortest delay; not zero. It stands for the previous delay where there was none.
        #[serde(with = "stored::millis")]
        base: Duration,
    },
}

impl Backoff {
    /// The most entries a table may have: it is stored with every job.
    pub const LONGEST_TABLE: usize = 32;

    /// The delay after `attempt`, in milliseconds; the shortest one if that depends on the
    /// previous delay.
    pub(super) fn after(&self, attempt: u32) -> u64 {
        let attempt = attempt.max(1);
        let further = attempt - 1;
        match self {
            Self::Fixed(delay) => whole_millis(*delay),
            Self::Linear { base, step } => {
                let grown = whole_millis(*step).saturating_mul(further.into());
                whole_millis(*base).saturating_add(grown)
            }
            Self::Poly { base, power } => {
                let seconds = u64::from(attempt).saturating_pow(*power);
                whole_millis(*base).saturating_add(seconds.saturating_mul(1_000))
            }
            Self::Exp { base, factor } => {
                let times = u64::from(*factor.max(&1)).saturating_pow(further);
                whole_millis(*base).saturating_mul(times)
            }
            Self::Table(delays) => {
                let at = usize::try_from(further).unwrap_or(usize::MAX);
                let delay = delays.get(at).or(delays.last());
                delay.map_or(0, |delay| whole_millis(*delay))
            }
            Self::Decorrelated { base } => whole_millis(*base),
        }
    }
}
