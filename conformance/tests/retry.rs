//! The test of retry policies, tested: Tideway's own pass, and policies with one mistake each fail for
//! that mistake, at the smallest attempt that shows it.

use std::cell::Cell;
use std::ops::RangeInclusive;
use std::time::Duration;

use proptest::prelude::*;
use tideway_conformance::retry::{Rule, assert_retry_policy, check_retry_policy};
use tideway_conformance::strategies;
use tideway_engine::jobs::retry::{Jitter, Policy, Retry};

const CAP: u64 = 60_000;

/// 100 ms doubled, at most a minute, the whole of it at random: right, until something is replaced.
/// All in milliseconds.
struct Doubling {
    attempts: u32,
    spread: fn(u32) -> (u64, u64),
    delay: fn(u32, u64) -> u64,
}

fn doubled(attempt: u32) -> u64 {
    2_u64.saturating_pow(attempt).saturating_mul(50).min(CAP)
}

fn even(width: u64, entropy: u64) -> u64 {
    ((u128::from(entropy) * (u128::from(width) + 1)) >> 64) as u64
}

const RIGHT: Doubling = Doubling {
    attempts: 20,
    spread: |attempt| (0, doubled(attempt)),
    delay: |attempt, entropy| even(doubled(attempt), entropy),
};

impl Policy for Doubling {
    fn attempts(&self) -> u32 {
        self.attempts
    }

    fn delay(&self, attempt: u32, _prev: Duration, entropy: u64) -> Duration {
        Duration::from_millis((self.delay)(attempt, entropy))
    }

    fn spread(&self, attempt: u32, _prev: Duration) -> RangeInclusive<Duration> {
        let (from, to) = (self.spread)(attempt);
        Duration::from_millis(from)..=Duration::from_millis(to)
    }

    fn cap(&self) -> Duration {
        Duration::from_millis(CAP)
    }
}

#[track_caller]
fn breaks(policy: &impl Policy, rule: Rule, attempt: u32) -> String {
    let flaw = check_retry_policy(policy).expect_err("it has a flaw");
    assert_eq!((flaw.rule, flaw.attempt), (rule, attempt), "{flaw}");
    flaw.to_string()
}

#[test]
fn ours_pass() {
    let second = Duration::from_secs(1);
    assert_retry_policy(&Retry::default());
    assert_retry_policy(&RIGHT);
    for jitter in [
        Jitter::None,
        Jitter::Full,
        Jitter::Equal,
        Jitter::Proportional(10),
        Jitter::Add(second),
    ] {
        for retry in [
            Retry::fixed(Duration::ZERO),
            Retry::fixed(second),
            Retry::linear(second, second),
            Retry::poly(second, 3),
            Retry::exp(second, 2),
            Retry::table([second, second * 9]),
        ] {
            assert_retry_policy(&retry.jitter(jitter));
        }
    }
    let boxed: Box<dyn Policy> = Box::new(Retry::decorrelated(second));
    assert_retry_policy(&*boxed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_valid_policy_passes(retry in strategies::retry()) {
        prop_assert_eq!(retry.check(), Ok(()));
        if let Err(flaw) = check_retry_policy(&retry) {
            prop_assert!(false, "{}", flaw);
        }
    }
}

#[test]
fn an_overflow_is_caught_where_it_begins() {
    let factor = |attempt: u32| 2_u32.checked_pow(attempt.saturating_sub(1));
    let overflows = Doubling {
        delay: |attempt, entropy| {
            let factor = 2_u32.checked_pow(attempt.saturating_sub(1));
            let _ = factor.expect("attempt to multiply with overflow");
            even(doubled(attempt), entropy)
        },
        ..RIGHT
    };
    assert_eq!(factor(33), None);
    let report = breaks(&overflows, Rule::Total, 33);
    assert!(
        report.contains("a panic: attempt to multiply with overflow"),
        "{report}"
    );
}

#[test]
fn an_overflow_far_away_is_brought_down() {
    let overflows = Doubling {
        spread: |attempt| {
            assert!(attempt < 1_000_003, "too large");
            (0, doubled(attempt))
        },
        ..RIGHT
    };
    breaks(&overflows, Rule::Total, 1_000_003);
}

#[test]
fn a_delay_above_the_cap() {
    let uncapped = |attempt: u32| 2_u64.saturating_pow(attempt.min(30)) * 50;
    let above = Doubling {
        spread: |attempt| (0, 2_u64.saturating_pow(attempt.min(30)) * 50),
        ..RIGHT
    };
    assert!(uncapped(10) < CAP && uncapped(11) > CAP);
    breaks(&above, Rule::WithinCap, 11);
    let jitter_on_top = Doubling {
        delay: |attempt, entropy| doubled(attempt) + even(1_000, entropy),
        spread: |attempt| (doubled(attempt), (doubled(attempt) + 1_000).min(CAP)),
        ..RIGHT
    };
    breaks(&jitter_on_top, Rule::WithinCap, 11);
}

#[test]
fn a_delay_outside_of_its_spread() {
    let outside = Doubling {
        delay: |attempt, entropy| {
            even(doubled(attempt), entropy) + u64::from(attempt == 7 && entropy == u64::MAX)
        },
        ..RIGHT
    };
    breaks(&outside, Rule::WithinSpread, 7);
}

/// d ± 50 %, sign and size from the same draw.
fn signed(attempt: u32, positive: bool, size: u64) -> u64 {
    let middle = doubled(attempt) / 2;
    if positive {
        middle + size
    } else {
        middle - size
    }
}

#[test]
fn sign_and_size_from_one_draw() {
    let spread = |attempt| {
        let middle = doubled(attempt) / 2;
        (middle - middle / 2, middle + middle / 2)
    };
    let by_the_top_bit = Doubling {
        spread,
        delay: |attempt, entropy| {
            let size = even(doubled(attempt) / 2 / 2, entropy);
            signed(attempt, entropy >> 63 == 0, size)
        },
        ..RIGHT
    };
    let report = breaks(&by_the_top_bit, Rule::Even, 1);
    assert!(report.contains("Kolmogorov"), "{report}");
    // As many on either side, as many near as far, but every second delay never comes.
    let by_the_lowest_bit = Doubling {
        spread,
        delay: |attempt, entropy| {
            let size = entropy % (doubled(attempt) / 2 / 2 + 1);
            signed(attempt, size.is_multiple_of(2), size)
        },
        ..RIGHT
    };
    breaks(&by_the_lowest_bit, Rule::Even, 1);
}

#[test]
fn a_delay_that_shrinks() {
    let without_jitter = |attempt| {
        if attempt == 5 {
            3_000
        } else {
            doubled(attempt).max(4_000)
        }
    };
    assert_eq!(without_jitter(4), 4_000);
    let shrinks = Doubling {
        spread: |attempt| {
            let delay = if attempt == 5 {
                3_000
            } else {
                doubled(attempt).max(4_000)
            };
            (delay, delay)
        },
        delay: |attempt, _| {
            if attempt == 5 {
                3_000
            } else {
                doubled(attempt).max(4_000)
            }
        },
        ..RIGHT
    };
    let report = breaks(&shrinks, Rule::NeverHurries, 5);
    assert!(report.contains("at least 4s"), "{report}");
}

#[test]
fn delays_that_crowd() {
    // The mean of two draws: most of them in the middle. Up to attempt 3 it is right.
    let crowds = Doubling {
        delay: |attempt, entropy| {
            let width = doubled(attempt);
            if attempt <= 3 {
                return even(width, entropy);
            }
            let halves = [entropy & 0xffff_ffff, entropy >> 32];
            even(width, (halves[0] + halves[1]) << 31)
        },
        ..RIGHT
    };
    breaks(&crowds, Rule::Even, 4);
}

#[test]
fn no_attempt_at_all() {
    breaks(
        &Doubling {
            attempts: 0,
            ..RIGHT
        },
        Rule::OneAttempt,
        0,
    );
}

#[test]
fn a_spread_the_wrong_way_round() {
    let reversed = Doubling {
        spread: |attempt| {
            (
                doubled(attempt),
                if attempt == 2 { 0 } else { doubled(attempt) },
            )
        },
        delay: |attempt, _| doubled(attempt),
        ..RIGHT
    };
    breaks(&reversed, Rule::Ordered, 2);
}

/// A policy that is of the caller's making in one way: the delay.
struct Custom<F>(F);

impl<F: Fn() -> Duration> Policy for Custom<F> {
    fn attempts(&self) -> u32 {
        1
    }

    fn delay(&self, _attempt: u32, _prev: Duration, _entropy: u64) -> Duration {
        (self.0)()
    }

    fn spread(&self, _attempt: u32, _prev: Duration) -> RangeInclusive<Duration> {
        Duration::ZERO..=Duration::from_secs(3_600)
    }

    fn cap(&self) -> Duration {
        Duration::from_secs(3_600)
    }
}

#[test]
fn a_policy_with_a_memory() {
    let calls = Cell::new(0);
    let counts = Custom(|| {
        calls.set(calls.get() + 1);
        Duration::from_millis(calls.get())
    });
    breaks(&counts, Rule::Repeatable, 0);
}

#[test]
fn a_fraction_of_a_millisecond() {
    breaks(
        &Custom(|| Duration::from_micros(1_500)),
        Rule::WholeMillis,
        0,
    );
}

#[test]
fn the_report_says_everything() {
    let report = breaks(&Custom(|| Duration::from_secs(3_601)), Rule::WithinCap, 0);
    let expected = "this retry policy breaks WithinCap
      call: delay(attempt 0, prev 0ns, entropy 0x0)
  expected: nothing above the cap of 3600s
    actual: 3601s
       why: a job that should be back in minutes is gone for days
      seed: 6";
    assert_eq!(report, expected);
}
