//! What Tideway's code takes, drawn at random for property tests with proptest: always valid, and
//! at its limits as often as far from them.

use std::time::Duration;

use proptest::prelude::*;
use tideway_engine::jobs::retry::{Backoff, Jitter, LONGEST_DELAY, Retry};

/// Any [`Retry`] that passes [`Retry::check`].
///
/// ```
/// use proptest::prelude::*;
/// use std::time::Duration;
/// use tideway_conformance::strategies;
/// use tideway_engine::jobs::retry::Policy;
///
/// proptest!(|(retry in strategies::retry(), entropy: u64)| {
///     prop_assert!(retry.delay(1, Duration::ZERO, entropy) <= retry.cap);
/// });
/// ```
pub fn retry() -> impl Strategy<Value = Retry> {
    let backoff = prop_oneof![
        delay(0).prop_map(Retry::fixed),
        (delay(0), delay(1)).prop_map(|(base, step)| Retry::linear(base, step)),
        (delay(0), 0..=9_u32).prop_map(|(base, power)| Retry::poly(base, power)),
        (delay(1), 1..=10_u32).prop_map(|(base, factor)| Retry::exp(base, factor)),
        table().prop_map(Retry::table),
        delay(1).prop_map(Retry::decorrelated),
    ];
    let attempts = prop_oneof![1..=30_u32, 1..=u32::MAX];
    let until = prop::option::of((1..=3_650_u64 * 86_400_000).prop_map(Duration::from_millis));
    (backoff, jitter(), delay(1), attempts, until).prop_map(
        |(retry, jitter, cap, attempts, until)| {
            let jitter = match (&retry.backoff, jitter) {
                (Backoff::Decorrelated { .. }, _) => Jitter::None,
                (_, Jitter::Add(most)) => Jitter::Add(most.min(cap)),
                (_, jitter) => jitter,
            };
            let retry = retry.jitter(jitter).cap(cap).attempts(attempts);
            match until {
                Some(until) => retry.until(until),
                None => retry,
            }
        },
    )
}

fn jitter() -> impl Strategy<Value = Jitter> {
    prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        (0..=100_u8).prop_map(Jitter::Proportional),
        delay(1).prop_map(Jitter::Add),
    ]
}

fn table() -> impl Strategy<Value = Vec<Duration>> {
    prop::collection::vec(delay(0), 1..=Backoff::LONGEST_TABLE).prop_map(|mut delays| {
        delays.sort();
        delays
    })
}

/// From `shortest` to 30 days, in milliseconds: each order of magnitude as often as any other.
fn delay(shortest: u64) -> impl Strategy<Value = Duration> {
    let longest = LONGEST_DELAY.as_millis() as u64;
    prop_oneof![
        shortest..=20,
        shortest..=2_000,
        shortest..=600_000,
        shortest..=longest,
        Just(shortest),
        Just(longest),
    ]
    .prop_map(Duration::from_millis)
}
