//! Which attempts are tried, and how a failing one is brought down to the smallest. Knows no policy.

use tideway_engine::{Rng, Seed};

/// From here down every attempt is tried.
const ALL: u32 = 10_000;

/// For the expensive test: from here down every attempt is tried.
const ALL_DRAWN: u32 = 64;

/// Attempts in rising order: all up to 10 000, then around the powers of two, where integers
/// overflow, and 400 at random.
pub(super) fn many() -> Vec<u32> {
    let edges = (0..32).map(|bit| 1_u32 << bit);
    let edges = edges.flat_map(|edge| [edge - 1, edge, edge + 1]);
    let mut rng = Rng::new(&Seed::from_u64(super::SEED));
    let random: Vec<u32> = (0..400).map(|_| rng.u32()).collect();
    rising((0..=ALL).chain(edges).chain(random).chain([u32::MAX]))
}

/// Attempts in rising order, for a test of thousands of draws each.
pub(super) fn few() -> Vec<u32> {
    rising((1..=ALL_DRAWN).chain([100, 1_000, ALL, u32::MAX]))
}

fn rising(attempts: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut attempts: Vec<u32> = attempts.collect();
    attempts.sort_unstable();
    attempts.dedup();
    attempts
}

/// Tries `attempts`, in rising order, and brings a failure down towards the last attempt that passed.
/// Where none was left out between the two, that is the smallest failure there is.
pub(super) fn scan<F>(
    attempts: Vec<u32>,
    mut test: impl FnMut(u32) -> Result<(), F>,
) -> Result<(), F> {
    let mut passed = 0;
    for attempt in attempts {
        match test(attempt) {
            Ok(()) => passed = attempt,
            Err(flaw) => return Err(shrink(passed, attempt, flaw, test)),
        }
    }
    Ok(())
}

/// Jumps down from `failing` as far as it still fails, by half of the way to `passed`, a quarter, and
/// so on to one. A plain binary search would believe that all above the smallest failure fail, too.
fn shrink<F>(
    passed: u32,
    mut failing: u32,
    mut flaw: F,
    mut test: impl FnMut(u32) -> Result<(), F>,
) -> F {
    let mut jump = failing.saturating_sub(passed) / 2;
    while jump > 0 {
        match test(failing - jump) {
            Err(smaller) => {
                (failing, flaw) = (failing - jump, smaller);
                jump = (failing - passed) / 2;
            }
            Ok(()) => jump /= 2,
        }
    }
    flaw
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a scan reports if `fails` says which attempts fail.
    fn reported(fails: impl Fn(u32) -> bool) -> Result<(), u32> {
        scan(many(), |n| if fails(n) { Err(n) } else { Ok(()) })
    }

    #[test]
    fn a_small_failure_is_reported_exactly() {
        for n in [0, 1, 2, 33, 9_999, 10_000] {
            assert_eq!(reported(|attempt| attempt == n), Err(n));
        }
    }

    #[test]
    fn a_large_one_is_brought_down() {
        for n in [10_001, 65_535, 1_000_003, u32::MAX] {
            assert_eq!(reported(|attempt| attempt >= n), Err(n));
        }
    }

    #[test]
    fn what_it_stops_at_fails_and_the_one_before_does_not() {
        let fails = |attempt: u32| attempt > 12_345 && !attempt.is_multiple_of(7);
        let found = reported(fails).unwrap_err();
        assert!(fails(found) && !fails(found - 1), "{found}");
    }

    #[test]
    fn the_edges_are_among_the_many() {
        let many = many();
        for n in [0, 10_000, 65_537, 1 << 31, (1 << 31) - 1, u32::MAX] {
            assert!(many.binary_search(&n).is_ok(), "{n}");
        }
        assert_eq!(reported(|_| false), Ok(()));
    }
}
