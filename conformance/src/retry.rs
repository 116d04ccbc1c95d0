//! Whether a retry policy keeps what [`Policy`] promises, whoever wrote it: a test of one line that
//! reads no clock, waits for nothing, and says the same every time.
//!
//! Implement [`Policy`], then test it like this:
//!
//! ```
//! use std::ops::RangeInclusive;
//! use std::time::Duration;
//!
//! use tideway_conformance::retry::assert_retry_policy;
//! use tideway_engine::jobs::retry::Policy;
//!
//! /// Twice as long after each attempt, half of it at random.
//! struct Doubling;
//!
//! impl Policy for Doubling {
//!     fn attempts(&self) -> u32 {
//!         10
//!     }
//!
//!     fn cap(&self) -> Duration {
//!         Duration::from_mins(10)
//!     }
//!
//!     fn spread(&self, attempt: u32, _prev: Duration) -> RangeInclusive<Duration> {
//!         let longest = Duration::from_secs(1)
//!             .saturating_mul(2_u32.saturating_pow(attempt))
//!             .min(self.cap());
//!         longest / 2..=longest
//!     }
//!
//!     fn delay(&self, attempt: u32, prev: Duration, entropy: u64) -> Duration {
//!         let spread = self.spread(attempt, prev);
//!         let choices = (*spread.end() - *spread.start()).as_millis() + 1;
//!         let chosen = (u128::from(entropy) * choices) >> 64;
//!         *spread.start() + Duration::from_millis(chosen as u64)
//!     }
//! }
//!
//! assert_retry_policy(&Doubling);
//! ```
//!
//! What is checked is the list of [`Rule`]s: on attempts 0 to 10 000, on the edges of the powers of
//! two and some hundreds at random up to `u32::MAX`, each after short, long and absurd previous delays
//! and with zero, one, half and all of the entropy there is. Whether delays are as even as the policy says is judged by a
//! Kolmogorov–Smirnov test of 4 096 draws; the draws are always the same, so a policy that
//! passed once passes for ever. A failure names the smallest attempt that shows it, what was expected,
//! what came instead, and why that matters.
//!
//! To test code that *takes* a policy, draw valid ones from [`strategies::retry`](crate::strategies::retry).

mod attempts;
mod even;
mod flaw;
mod trial;

use tideway_engine::jobs::retry::Policy;

use trial::Trial;

pub use flaw::{RetryPolicyFlaw, Rule};

// The guide's examples are compiled and run with this crate, which they use.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/retry-policies.md")]
mod guide {}

/// Of all random numbers here: fixed, so that a verdict never changes.
const SEED: u64 = 6;

/// How many delays are drawn to judge their evenness.
const DRAWS: usize = 4_096;

/// Fails the test that calls it unless `policy` keeps every [`Rule`].
///
/// # Panics
///
/// With the [`RetryPolicyFlaw`] as its text, if it does not.
#[track_caller]
pub fn assert_retry_policy(policy: &(impl Policy + ?Sized)) {
    if let Err(flaw) = check_retry_policy(policy) {
        panic!("{flaw}");
    }
}

/// The first flaw of `policy`, at the smallest attempt that shows it.
///
/// A panic of the policy is caught and is a flaw; the panic hook still prints it.
///
/// # Errors
///
/// [`RetryPolicyFlaw`], if a [`Rule`] is broken.
///
/// ```
/// use std::time::Duration;
/// use tideway_conformance::retry::check_retry_policy;
/// use tideway_engine::jobs::retry::Retry;
///
/// assert_eq!(check_retry_policy(&Retry::exp(Duration::from_secs(1), 2).full_jitter()), Ok(()));
/// ```
pub fn check_retry_policy(policy: &(impl Policy + ?Sized)) -> Result<(), RetryPolicyFlaw> {
    let trial = Trial::new(policy)?;
    let mut fixed = trial.nothing();
    attempts::scan(attempts::many(), |attempt| {
        trial.single(attempt, &mut fixed)
    })?;
    attempts::scan(attempts::few(), |attempt| trial.even(attempt))
}
