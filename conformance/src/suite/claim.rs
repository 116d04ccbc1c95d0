//! How a case fails: what was expected, what happened instead, and why it matters.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long anything that must happen may take. Generous: it tells *late* from *never*, no more.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Fails the case.
///
/// # Panics
///
/// Always.
#[track_caller]
pub fn fail(expected: impl AsRef<str>, actual: impl AsRef<str>, why: &str) -> ! {
    panic!(
        "\n  expected: {}\n    actual: {}\n       why: {why}\n",
        expected.as_ref(),
        actual.as_ref()
    )
}

/// Fails unless `actual` is `expected`.
///
/// # Panics
///
/// If they differ; so do all the others.
#[track_caller]
pub fn same<T: PartialEq + Debug>(actual: T, expected: T, why: &str) {
    if actual != expected {
        fail(format!("{expected:?}"), format!("{actual:?}"), why);
    }
}

/// Fails unless `holds`.
///
/// # Panics
///
/// If it does not.
#[track_caller]
pub fn holds(holds: bool, expected: impl AsRef<str>, actual: impl AsRef<str>, why: &str) {
    if !holds {
        fail(expected, actual, why);
    }
}

/// Waits until `holds`; fails after [`LIMIT`], with what `state` says then.
///
/// # Panics
///
/// After the limit.
#[track_caller]
pub fn eventually(
    expected: &str,
    mut state: impl FnMut() -> String,
    mut holds: impl FnMut() -> bool,
    why: &str,
) {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > LIMIT {
            fail(format!("{expected}, within {LIMIT:?}"), state(), why);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Fails if less than `least` has passed since `begun`.
///
/// # Panics
///
/// If so.
#[track_caller]
pub fn not_before(begun: Instant, least: Duration, what: &str, why: &str) {
    let passed = begun.elapsed();
    holds(
        passed >= least,
        format!("{what} after {least:?} or later"),
        format!("after {passed:?}"),
        why,
    );
}
