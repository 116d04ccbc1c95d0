//! What makes a retry policy valid. Refused here, once, where a person can still act on it; the
//! arithmetic elsewhere is total for policies that are not valid, too.

use std::time::Duration;

use super::{Backoff, Jitter, LONGEST_DELAY, Retry};
use crate::jobs::spec::whole_millis;

/// Ten years: enough for any job, and stored milliseconds stay exact in every number format.
const LONGEST_UNTIL: Duration = Duration::from_hours(3_650 * 24);

/// Why a retry policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetryError {
    /// A duration with a fraction of a millisecond, which would be lost when it is stored.
    #[error(
        "{name} of {given:?} is not in whole milliseconds, as it would be stored: \
         use `Duration::from_millis`, of at least 1"
    )]
    Fraction {
        /// Which duration.
        name: &'static str,
        /// What was given.
        given: Duration,
    },
    /// A duration of zero where there must be one.
    #[error("{name} is zero: give at least 1 ms; only `Retry::fixed` never grows and may be zero")]
    Zero {
        /// Which duration.
        name: &'static str,
    },
    /// A duration that is too long.
    #[error("{name} is longer than {days} days: give less")]
    TooLong {
        /// Which duration.
        name: &'static str,
        /// How many days it may have.
        days: u32,
    },
    /// No attempt at all.
    #[error("attempts is 0, but the first attempt counts: use 1 to never retry")]
    NoAttempts,
    /// A table without delays.
    #[error("the table of delays is empty: give at least one, or use `Retry::fixed`")]
    EmptyTable,
    /// A table with too many delays.
    #[error("the table has more than {max} delays: leave some out, the last one repeats", max = Backoff::LONGEST_TABLE)]
    LongTable,
    /// A table in which a delay is shorter than the one before.
    #[error(
        "delay {position} of the table is shorter than the one before: sort them, a backoff never hurries"
    )]
    Shrinks {
        /// Which delay, from 1.
        position: u32,
    },
    /// An exponential backoff whose factor is zero.
    #[error("factor is 0, so that there would be no second delay: use 2 to double it each time")]
    NoFactor,
    /// A proportional jitter of more than the delay itself.
    #[error("a jitter of {0} %: give at most 100, a delay cannot be negative")]
    Percent(u8),
    /// Jitter on top of a backoff that is random already.
    #[error("a decorrelated backoff is its own jitter: leave the jitter at `Jitter::None`")]
    JitterTwice,
    /// An added jitter above the cap, under which the backoff would have no say.
    #[error("the jitter adds more than the cap allows in all: raise the cap, or add less")]
    JitterAboveCap,
}

impl Retry {
    /// Whether the policy is one that can be stored and makes sense.
    ///
    /// # Errors
    ///
    /// [`RetryError`] names the first thing that is wrong, and the cure.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tideway_engine::jobs::retry::Retry;
    /// assert!(Retry::fixed(Duration::ZERO).check().is_ok());
    /// assert!(Retry::fixed(Duration::from_micros(500)).check().is_err());
    /// ```
    pub fn check(&self) -> Result<(), RetryError> {
        match &self.backoff {
            Backoff::Fixed(delay) => whole("delay", *delay)?,
            Backoff::Linear { base, step } => {
                whole("base", *base)?;
                positive("step", *step)?;
            }
            Backoff::Poly { base, power: _ } => whole("base", *base)?,
            Backoff::Exp { base, factor } => {
                positive("base", *base)?;
                if *factor == 0 {
                    return Err(RetryError::NoFactor);
                }
            }
            Backoff::Table(delays) => table(delays)?,
            Backoff::Decorrelated { base } => positive("base", *base)?,
        }
        positive("cap", self.cap)?;
        match self.jitter {
            Jitter::None => {}
            _ if matches!(self.backoff, Backoff::Decorrelated { .. }) => {
                return Err(RetryError::JitterTwice);
            }
            Jitter::Full | Jitter::Equal => {}
            Jitter::Proportional(percent) if percent > 100 => {
                return Err(RetryError::Percent(percent));
            }
            Jitter::Proportional(_) => {}
            Jitter::Add(most) => {
                positive("jitter", most)?;
                if most > self.cap {
                    return Err(RetryError::JitterAboveCap);
                }
            }
        }
        if self.attempts == 0 {
            return Err(RetryError::NoAttempts);
        }
        match self.until {
            Some(until) => positive_below("until", until, LONGEST_UNTIL),
            None => Ok(()),
        }
    }
}

fn table(delays: &[Duration]) -> Result<(), RetryError> {
    if delays.is_empty() {
        return Err(RetryError::EmptyTable);
    }
    if delays.len() > Backoff::LONGEST_TABLE {
        return Err(RetryError::LongTable);
    }
    for delay in delays {
        whole("a delay of the table", *delay)?;
    }
    for (pair, position) in delays.windows(2).zip(2..) {
        if pair[1] < pair[0] {
            return Err(RetryError::Shrinks { position });
        }
    }
    Ok(())
}

fn whole(name: &'static str, given: Duration) -> Result<(), RetryError> {
    whole_below(name, given, LONGEST_DELAY)
}

fn positive(name: &'static str, given: Duration) -> Result<(), RetryError> {
    positive_below(name, given, LONGEST_DELAY)
}

fn positive_below(
    name: &'static str,
    given: Duration,
    longest: Duration,
) -> Result<(), RetryError> {
    if given.is_zero() {
        return Err(RetryError::Zero { name });
    }
    whole_below(name, given, longest)
}

fn whole_below(name: &'static str, given: Duration, longest: Duration) -> Result<(), RetryError> {
    if given > longest {
        let days = (longest.as_secs() / 86_400) as u32;
        return Err(RetryError::TooLong { name, days });
    }
    if Duration::from_millis(whole_millis(given)) != given {
        return Err(RetryError::Fraction { name, given });
    }
    Ok(())
}
