//! When a failed job runs again: a policy is a pure function of the attempt, the delay before it and
//! one random number. It reads no clock and no entropy and never panics; delays are whole milliseconds.
//!
//! [`Retry`] is a value stored with its job, so every worker, and the reaper after a crash, computes
//! the same delay. It is a [`Backoff`] (how delays grow) spread by a [`Jitter`] (so that jobs which
//! failed together do not come back together), both under a cap.
//!
//! Any other policy is a type that implements [`Policy`]; `tideway_conformance::retry` tests one.

mod backoff;
mod check;
mod jitter;
mod stored;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::time::Duration;

pub use backoff::Backoff;
pub use check::RetryError;
pub use jitter::Jitter;

use super::spec::whole_millis;

/// No retry is further away than this: 30 days, whatever a policy or a `Retry-After` says.
pub const LONGEST_DELAY: Duration = Duration::from_hours(30 * 24);

/// How long to wait after each failure, as a pure function.
///
/// Every method is total: any `u32` is an attempt, zero too, sums saturate, nothing panics.
/// The same arguments give the same answer in every process, for ever.
pub trait Policy {
    /// How many attempts there are in all, the first one included; at least 1.
    fn attempts(&self) -> u32;

    /// The delay after attempt number `attempt` (1-based) failed: whole milliseconds inside of
    /// [`spread`](Policy::spread). `prev` is the delay before that attempt, zero for none; `entropy`
    /// is 64 fresh random bits, as from [`Rng::u64`](crate::Rng::u64).
    fn delay(&self, attempt: u32, prev: Duration, entropy: u64) -> Duration;

    /// The shortest and the longest delay that [`delay`](Policy::delay) may give, in whole
    /// milliseconds. Over all values of entropy each millisecond between them is as likely as any other.
    fn spread(&self, attempt: u32, prev: Duration) -> RangeInclusive<Duration>;

    /// No delay is longer than this.
    fn cap(&self) -> Duration;
}

/// The retry policy of a job: plain data, stored with it.
///
/// Begin with a backoff, add what differs from the defaults: no jitter, a cap of 24 hours, 20
/// attempts, no end. [`Retry::default`] waits n⁴ + 15 seconds ± 10 % after attempt n.
///
/// Nothing is refused until [`Retry::check`], which whoever takes a policy calls once; a policy
/// that is not valid is neither stored nor read back.
///
/// ```
/// use std::time::Duration;
/// use tideway_engine::jobs::retry::{Policy, Retry};
///
/// let retry = Retry::exp(Duration::from_secs(1), 2)
///     .full_jitter()
///     .cap(Duration::from_mins(5))
///     .attempts(8);
/// retry.check()?;
/// let third = retry.spread(3, Duration::ZERO);
/// assert_eq!(third, Duration::ZERO..=Duration::from_secs(4));
/// # Ok::<(), tideway_engine::jobs::retry::RetryError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// How delays grow from one attempt to the next.
    pub backoff: Backoff,
    /// How each delay is spread.
    pub jitter: Jitter,
    /// The longest delay, jitter included: 1 ms to 30 days, 24 hours unless set.
    pub cap: Duration,
    /// Attempts in all, the first one included: at least 1, 20 unless set.
    pub attempts: u32,
    /// No attempt starts later than this after the job was enqueued; unset, only attempts count.
    pub until: Option<Duration>,
}

impl Default for Retry {
    /// n⁴ + 15 seconds after attempt n, ± 10 %, at most 24 hours, 20 attempts: 16 seconds at first, a
    /// day in the end, about six days in all.
    fn default() -> Self {
        Self::poly(Duration::from_secs(15), 4).jitter(Jitter::Proportional(10))
    }
}

impl Retry {
    /// The same `delay` every time. `Duration::ZERO` retries at once.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tideway_engine::jobs::retry::{Policy, Retry};
    /// let retry = Retry::fixed(Duration::from_secs(5));
    /// assert_eq!(retry.delay(7, Duration::ZERO, 0), Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn fixed(delay: Duration) -> Self {
        Self::new(Backoff::Fixed(delay))
    }

    /// `base` after the first attempt, `step` more after each further one.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tideway_engine::jobs::retry::{Policy, Retry};
    /// let retry = Retry::linear(Duration::from_secs(5), Duration::from_secs(2));
    /// assert_eq!(retry.delay(3, Duration::ZERO, 0), Duration::from_secs(9));
    /// ```
    #[must_use]
    pub fn linear(base: Duration, step: Duration) -> Self {
        Self::new(Backoff::Linear { base, step })
    }

    /// `base` and n to the `power` seconds after attempt n: slow at first, days in the end.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tideway_engine::jobs::retry::{Policy, Retry};
    /// let retry = Retry::poly(Duration::from_secs(15), 4);
    /// assert_eq!(retry.delay(3, Duration::ZERO, 0), Duration::from_secs(15 + 81));
    /// ```
    #[must_use]
    pub fn poly(base: Duration, power: u32) -> Self {
        Self::new(Backoff::Poly { base, power })
    }

    /// `base` after the first attempt, `factor` times as long after each further one.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tideway_engine::jobs::retry::{Policy, Retry};
    /// let retry = Retry::exp(Duration::from_millis(100), 2);
    /// assert_eq!(retry.delay(4, Duration::ZERO, 0), Duration::from_millis(800));
    /// ```
    #[must_use]
    pub fn exp(base: Duration, factor: u32) -> Self {
        Self::new(Backoff::Exp { base, factor })
    }

    /// The first delay after the first attempt and so on, the last one again and again: 1 to 32
    /// delays, none shorter than the one before.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tideway_engine::jobs::retry::{Policy, Retry};
    /// let retry = Retry::table([1, 10, 60].map(Duration::from_secs));
    /// assert_eq!(retry.delay(9, Duration::ZERO, 0), Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn table(delays: impl IntoIterator<Item = Duration>) -> Self {
        // One more than is legal, for `check` to refuse; all of an endless iterator would be too many.
        let delays = delays.into_iter().take(Backoff::LONGEST_TABLE + 1);
        Self::new(Backoff::Table(delays.collect()))
    }

    /// Anything between `base` and three times the delay before, which is its own jitter.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tideway_engine::jobs::retry::{Policy, Retry};
    /// let (base, prev) = (Duration::from_secs(1), Duration::from_secs(2));
    /// assert_eq!(Retry::decorrelated(base).spread(2, prev), base..=prev * 3);
    /// ```
    #[must_use]
    pub fn decorrelated(base: Duration) -> Self {
        Self::new(Backoff::Decorrelated { base })
    }

    fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            jitter: Jitter::None,
            cap: Duration::from_hours(24),
            attempts: 20,
            until: None,
        }
    }

    /// Spreads each delay.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tideway_engine::jobs::retry::{Jitter, Policy, Retry};
    /// let retry = Retry::fixed(Duration::from_secs(10)).jitter(Jitter::Proportional(20));
    /// let (from, to) = (Duration::from_secs(8), Duration::from_secs(12));
    /// assert_eq!(retry.spread(1, Duration::ZERO), from..=to);
    /// ```
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Anything from nothing to the delay: [`Jitter::Full`], which spreads a crowd the most.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tideway_engine::jobs::retry::{Policy, Retry};
    /// let retry = Retry::fixed(Duration::from_secs(10)).full_jitter();
    /// assert_eq!(retry.spread(1, Duration::ZERO), Duration::ZERO..=Duration::from_secs(10));
    /// ```
    #[must_use]
    pub fn full_jitter(self) -> Self {
        self.jitter(Jitter::Full)
    }

    /// The longest delay, jitter included: 1 ms to 30 days.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tideway_engine::jobs::retry::{Policy, Retry};
    /// let retry = Retry::exp(Duration::from_secs(1), 10).cap(Duration::from_mins(1));
    /// assert_eq!(retry.delay(9, Duration::ZERO, 0), Duration::from_mins(1));
    /// ```
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// How many attempts there are in all: 1 never retries.
    ///
    /// ```
    /// # use tideway_engine::jobs::retry::Retry;
    /// assert_eq!(Retry::default().attempts(3).attempts, 3);
    /// ```
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// No attempt starts later than this after the job was enqueued: 1 ms to 3 650 days.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tideway_engine::jobs::retry::Retry;
    /// let hour = Duration::from_hours(1);
    /// assert_eq!(Retry::default().until(hour).until, Some(hour));
    /// ```
    #[must_use]
    pub fn until(mut self, until: Duration) -> Self {
        self.until = Some(until);
        self
    }

    /// What becomes of a job `since_enqueue` after it was enqueued, when attempt number
    /// `failed_attempt` has failed.
    ///
    /// `prev` and `entropy` are those of [`Policy::delay`]. `asked` is the delay the failure itself asks
    /// for, as an HTTP `Retry-After` does: it takes the place of the policy's, even above the
    /// cap, up to [`LONGEST_DELAY`], and counts as whole milliseconds, rounded up.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tideway_engine::jobs::retry::{Retry, Verdict, Why};
    /// let (zero, second) = (Duration::ZERO, Duration::from_secs(1));
    /// let retry = Retry::fixed(second).attempts(2);
    /// assert_eq!(retry.after(1, zero, zero, None, 0), Verdict::Retry(second));
    /// assert_eq!(retry.after(1, zero, zero, Some(second * 9), 0), Verdict::Retry(second * 9));
    /// assert_eq!(retry.after(2, second, second, None, 0), Verdict::GiveUp(Why::Attempts));
    /// ```
    pub fn after(
        &self,
        failed_attempt: u32,
        prev: Duration,
        since_enqueue: Duration,
        asked: Option<Duration>,
        entropy: u64,
    ) -> Verdict {
        if failed_attempt.max(1) >= self.attempts {
            return Verdict::GiveUp(Why::Attempts);
        }
        let delay = match asked {
            Some(asked) => Duration::from_millis(whole_millis(asked.min(LONGEST_DELAY))),
            None => self.delay(failed_attempt, prev, entropy),
        };
        match self.until {
            Some(until) if since_enqueue.saturating_add(delay) > until => {
                Verdict::GiveUp(Why::Until)
            }
            _ => Verdict::Retry(delay),
        }
    }

    /// The ends of the spread, in milliseconds.
    fn bounds(&self, attempt: u32, prev: Duration) -> (u64, u64) {
        // Rounded down, for nothing is above it.
        let cap = u64::try_from(self.cap.as_millis()).unwrap_or(u64::MAX);
        if let Backoff::Decorrelated { base } = self.backoff {
            let base = whole_millis(base).min(cap);
            let longest = whole_millis(prev).max(base).saturating_mul(3);
            return (base, longest.min(cap));
        }
        self.jitter.around(self.backoff.after(attempt), cap)
    }
}

impl Policy for Retry {
    fn attempts(&self) -> u32 {
        self.attempts.max(1)
    }

    fn delay(&self, attempt: u32, prev: Duration, entropy: u64) -> Duration {
        let (from, to) = self.bounds(attempt, prev);
        // Multiply and shift: one draw for one choice, its odds even to 1 in 2^32 over the 2^32 ms of
        // 30 days. Exactly even odds would now and then need a second draw.
        let choices = u128::from(to - from) + 1;
        let chosen = (u128::from(entropy) * choices) >> 64;
        Duration::from_millis(from + chosen as u64)
    }

    fn spread(&self, attempt: u32, prev: Duration) -> RangeInclusive<Duration> {
        let (from, to) = self.bounds(attempt, prev);
        Duration::from_millis(from)..=Duration::from_millis(to)
    }

    fn cap(&self) -> Duration {
        self.cap
    }
}

/// What becomes of a job whose attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It runs again after this long.
    Retry(Duration),
    /// It does not run again.
    GiveUp(Why),
}

/// Why a job does not run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// That was the last of its attempts.
    Attempts,
    /// Its next attempt would start too long after it was enqueued.
    Until,
}
