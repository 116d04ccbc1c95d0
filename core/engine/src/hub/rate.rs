//! How fast one connection may speak: a bucket of tokens kept as one instant. It sleeps for nobody.

use std::time::Duration;

use crate::time::Mono;

/// At most `burst` at once and `per_second` in the long run, of messages or of bytes.
///
/// It is kept as the instant at which the bucket will be full again (GCRA), which is exact at any rate and
/// needs no timer.
///
/// - **C** commands: [`take`](Self::take)
///
/// ```
/// use std::time::Duration;
/// use tideway_engine::{Mono, hub::Rate};
///
/// let mut rate = Rate::new(10, 2);
/// let now = Mono::START;
/// assert_eq!(rate.take(now, 1), Ok(()));
/// assert_eq!(rate.take(now, 1), Ok(()));
/// assert_eq!(rate.take(now, 1), Err(now.plus(Duration::from_millis(100))));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Nanoseconds until one token is back, in 1/1024: rates of millions a second stay exact enough.
    each: u64,
    /// Nanoseconds until an empty bucket is full.
    full: u64,
    /// When the bucket is full again, in nanoseconds.
    at: u64,
}

const FINE: u128 = 1024;

impl Rate {
    /// `per_second` tokens come back each second, up to `burst`. Both count as at least 1.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let each = (1_000_000_000 * FINE as u64) / u64::from(per_second.max(1));
        Self {
            each,
            full: cost(each, u64::from(burst.max(1))),
            at: 0,
        }
    }

    /// Takes `tokens`.
    ///
    /// # Errors
    ///
    /// When they will be there, without taking any: stop reading until then. More than the bucket holds are
    /// there when it is full; they are paid for afterwards.
    pub fn take(&mut self, now: Mono, tokens: u64) -> Result<(), Mono> {
        let now = now.as_nanos();
        let start = self.at.max(now);
        let needed = cost(self.each, tokens);
        let ready = start
            .saturating_add(needed.min(self.full))
            .saturating_sub(self.full);
        if ready > now {
            return Err(Mono::from_nanos(ready));
        }
        self.at = start.saturating_add(needed);
        Ok(())
    }

    /// How long until it is full again.
    #[must_use]
    pub fn debt(&self, now: Mono) -> Duration {
        Duration::from_nanos(self.at.saturating_sub(now.as_nanos()))
    }
}

fn cost(each: u64, tokens: u64) -> u64 {
    u64::try_from(u128::from(each) * u128::from(tokens) / FINE).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_flood_is_limited_and_a_steady_client_is_not(
            per_second in 1..100_000_u32,
            burst in 1..1_000_u32,
            gaps in prop::collection::vec(0..50_000_000_u64, 1..300),
        ) {
            let (mut rate, mut now, mut taken) = (Rate::new(per_second, burst), Mono::START, 0_u64);
            for gap in gaps {
                now = now.plus(Duration::from_nanos(gap));
                match rate.take(now, 1) {
                    Ok(()) => taken += 1,
                    Err(then) => {
                        prop_assert!(then > now);
                        let mut early = rate;
                        let before = Mono::from_nanos(then.as_nanos() - 1);
                        prop_assert!(before < now || early.take(before, 1).is_err());
                        prop_assert!(rate.clone().take(then, 1).is_ok(), "what it promised");
                    }
                }
                let earned = now.as_nanos() as f64 * f64::from(per_second) / 1e9;
                prop_assert!(taken as f64 <= f64::from(burst) + earned + 1.0);
            }
            let mut steady = Rate::new(per_second, burst);
            let each = 1_000_000_000 / u64::from(per_second) + 1;
            for n in 0..100 {
                prop_assert!(steady.take(Mono::from_nanos(1 + n * each), 1).is_ok());
            }
        }
    }

    #[test]
    fn more_than_a_bucket_passes_when_it_is_full_and_is_paid_for() {
        let (mut rate, now) = (Rate::new(1, 10), Mono::START);
        assert_eq!(rate.take(now, 100), Ok(()));
        let then = rate.take(now, 1).unwrap_err();
        assert_eq!(then.since(now), Duration::from_secs(91));
        assert_eq!(rate.debt(now), Duration::from_secs(100));
    }
}
