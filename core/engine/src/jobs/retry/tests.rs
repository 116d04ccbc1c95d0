//! What holds for every retry policy, valid or not, and what each kind computes.

use std::time::Duration;

use proptest::prelude::*;

use super::{Backoff, Jitter, LONGEST_DELAY, Policy, Retry, RetryError, Verdict, Why};

const ZERO: Duration = Duration::ZERO;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Any duration at all, with the ones at the edges often.
fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        any::<Duration>(),
        (0..100_000_u64).prop_map(ms),
        Just(ZERO),
        Just(Duration::MAX),
    ]
}

fn any_attempt() -> impl Strategy<Value = u32> {
    prop_oneof![0..70_u32, any::<u32>(), Just(u32::MAX)]
}

fn any_entropy() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(1 << 63)
    ]
}

/// Policies that `check` would refuse as well as those it would not.
fn any_retry() -> impl Strategy<Value = Retry> {
    let backoff = prop_oneof![
        any_duration().prop_map(Backoff::Fixed),
        (any_duration(), any_duration()).prop_map(|(base, step)| Backoff::Linear { base, step }),
        (any_duration(), any::<u32>()).prop_map(|(base, power)| Backoff::Poly { base, power }),
        (any_duration(), 0..6_u32).prop_map(|(base, factor)| Backoff::Exp { base, factor }),
        (any_duration(), any::<u32>()).prop_map(|(base, factor)| Backoff::Exp { base, factor }),
        prop::collection::vec(any_duration(), 0..4).prop_map(Backoff::Table),
        any_duration().prop_map(|base| Backoff::Decorrelated { base }),
    ];
    let jitter = prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        any::<u8>().prop_map(Jitter::Proportional),
        any_duration().prop_map(Jitter::Add),
    ];
    let until = prop::option::of(any_duration());
    (backoff, jitter, any_duration(), any_attempt(), until).prop_map(
        |(backoff, jitter, cap, attempts, until)| Retry {
            backoff,
            jitter,
            cap,
            attempts,
            until,
        },
    )
}

#[test]
fn a_cap_below_a_millisecond_is_kept() {
    let retry = Retry {
        jitter: Jitter::Add(Duration::MAX),
        cap: Duration::from_nanos(1),
        ..Retry::fixed(Duration::ZERO)
    };
    let spread = retry.spread(0, Duration::ZERO);
    assert_eq!(spread, Duration::ZERO..=Duration::ZERO);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_delay_is_within_its_spread_and_the_cap(
        retry in any_retry(),
        attempt in any_attempt(),
        prev in any_duration(),
        entropy in any_entropy(),
    ) {
        let delay = retry.delay(attempt, prev, entropy);
        let spread = retry.spread(attempt, prev);
        prop_assert!(spread.contains(&delay), "{:?} outside of {:?}", delay, spread);
        prop_assert!(*spread.end() <= retry.cap, "{:?} above the cap", spread);
        prop_assert_eq!(delay.subsec_nanos() % 1_000_000, 0);
        prop_assert!(Policy::attempts(&retry) >= 1);
    }

    #[test]
    fn the_ends_of_the_spread_are_drawn(retry in any_retry(), attempt in any_attempt(), prev in any_duration()) {
        let (first, last) = (retry.delay(attempt, prev, 0), retry.delay(attempt, prev, u64::MAX));
        prop_assert_eq!(first..=last, retry.spread(attempt, prev));
    }

    #[test]
    fn without_jitter_a_later_attempt_waits_no_less(
        mut retry in any_retry(),
        attempts in [any_attempt(), any_attempt()],
        prev in any_duration(),
    ) {
        retry.jitter = Jitter::None;
        if let Backoff::Table(delays) = &mut retry.backoff {
            delays.sort();
        }
        let [sooner, later] = attempts.map(|n| *retry.spread(n, prev).start());
        let (sooner, later) = if attempts[0] <= attempts[1] { (sooner, later) } else { (later, sooner) };
        prop_assert!(sooner <= later, "{:?} after {:?}", later, sooner);
        prop_assert_eq!(retry.spread(0, prev), retry.spread(1, prev));
    }

    #[test]
    fn a_valid_policy_survives_storage_and_no_other_is_stored(retry in any_retry()) {
        match (retry.check(), serde_json::to_string(&retry)) {
            (Ok(()), Ok(text)) => prop_assert_eq!(serde_json::from_str::<Retry>(&text).unwrap(), retry),
            (Err(wrong), Err(refused)) => prop_assert_eq!(refused.to_string(), wrong.to_string()),
            (checked, stored) => prop_assert!(false, "{checked:?} but {stored:?}"),
        }
    }

    #[test]
    fn the_verdict_keeps_every_bound(
        retry in any_retry(),
        failed in any_attempt(),
        prev in any_duration(),
        since in any_duration(),
        asked in prop::option::of(any_duration()),
        entropy in any_entropy(),
    ) {
        let wanted = match asked {
            Some(asked) => asked.min(LONGEST_DELAY),
            None => retry.delay(failed, prev, entropy),
        };
        let late = retry.until.is_some_and(|until| since.saturating_add(wanted) > until);
        match retry.after(failed, prev, since, asked, entropy) {
            Verdict::Retry(delay) => {
                prop_assert!(failed.max(1) < retry.attempts && !late);
                prop_assert!((wanted..wanted.saturating_add(ms(1))).contains(&delay));
                prop_assert_eq!(delay.subsec_nanos() % 1_000_000, 0);
            }
            Verdict::GiveUp(Why::Attempts) => prop_assert!(failed.max(1) >= retry.attempts),
            Verdict::GiveUp(Why::Until) => prop_assert!(
                late || since.saturating_add(wanted).saturating_add(ms(1)) > retry.until.unwrap_or(Duration::MAX)
            ),
        }
    }
}

/// Valid policies of each kind, which the property above draws too seldom.
fn examples() -> Vec<Retry> {
    vec![
        Retry::default(),
        Retry::fixed(ZERO).until(secs(60)),
        Retry::linear(ZERO, secs(5)).jitter(Jitter::Equal),
        Retry::exp(ms(1), 2).full_jitter().attempts(1),
        Retry::table([1, 10, 60].map(secs)).jitter(Jitter::Add(secs(3))),
        Retry::decorrelated(secs(1)).cap(secs(600)),
    ]
}

#[test]
fn the_stored_form_never_changes() {
    let stored: Vec<String> = examples()
        .iter()
        .map(|retry| serde_json::to_string(retry).expect("it is valid"))
        .collect();
    insta::assert_snapshot!(stored.join("\n"), @r#"
    {"b":{"poly":{"base":15000,"power":4}},"j":{"proportional":10},"cap":86400000,"n":20,"until":null}
    {"b":{"fixed":0},"j":"none","cap":86400000,"n":20,"until":60000}
    {"b":{"linear":{"base":0,"step":5000}},"j":"equal","cap":86400000,"n":20,"until":null}
    {"b":{"exp":{"base":1,"factor":2}},"j":"full","cap":86400000,"n":1,"until":null}
    {"b":{"table":[1000,10000,60000]},"j":{"add":3000},"cap":86400000,"n":20,"until":null}
    {"b":{"decorrelated":{"base":1000}},"j":"none","cap":600000,"n":20,"until":null}
    "#);
    let read = stored
        .iter()
        .map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(read.collect::<Vec<Retry>>(), examples());
}

#[test]
fn what_is_not_known_is_refused_when_read() {
    let says = |text: &str| serde_json::from_str::<Retry>(text).unwrap_err().to_string();
    let texts = [
        r#"{"b":{"cubic":5},"j":"none","cap":1000,"n":3,"until":null}"#,
        r#"{"b":{"fixed":5},"j":"some","cap":1000,"n":3,"until":null}"#,
        r#"{"b":{"fixed":5},"j":"none","cap":1000,"n":3,"until":null,"then":1}"#,
        r#"{"b":{"exp":{"base":5,"factor":2,"max":9}},"j":"none","cap":1000,"n":3}"#,
        r#"{"b":{"fixed":5},"j":"none","cap":1000}"#,
        r#"{"b":{"fixed":-5},"j":"none","cap":1000,"n":3}"#,
        r#"{"b":{"fixed":5},"j":"none","cap":1000,"n":0}"#,
    ];
    insta::assert_snapshot!(texts.map(says).join("\n"), @r"
    unknown variant `cubic`, expected one of `fixed`, `linear`, `poly`, `exp`, `table`, `decorrelated` at line 1 column 13
    unknown variant `some`, expected one of `none`, `full`, `equal`, `proportional`, `add` at line 1 column 27
    unknown field `then`, expected one of `b`, `j`, `cap`, `n`, `until` at line 1 column 64
    unknown field `max`, expected `base` or `factor` at line 1 column 38
    missing field `n` at line 1 column 39
    invalid value: integer `-5`, expected u64 at line 1 column 16
    attempts is 0, but the first attempt counts: use 1 to never retry
    ");
}

#[test]
fn errors_say_what_to_do() {
    let second = Retry::fixed(secs(1));
    let wrong = [
        Retry::fixed(Duration::from_micros(500)),
        Retry::exp(Duration::from_micros(1_500), 2),
        Retry::linear(ZERO, ZERO),
        Retry::fixed(Duration::MAX),
        second.clone().until(Duration::MAX),
        second.clone().attempts(0),
        Retry::table([]),
        Retry::table(std::iter::repeat(secs(1))),
        Retry::table([3, 2].map(secs)),
        Retry::exp(secs(1), 0),
        second.clone().jitter(Jitter::Proportional(101)),
        Retry::decorrelated(secs(1)).full_jitter(),
        second.cap(ms(999)).jitter(Jitter::Add(secs(1))),
    ];
    let texts = wrong.map(|retry| retry.check().unwrap_err().to_string());
    insta::assert_snapshot!(texts.join("\n"), @r"
    delay of 500µs is not in whole milliseconds, as it would be stored: use `Duration::from_millis`, of at least 1
    base of 1.5ms is not in whole milliseconds, as it would be stored: use `Duration::from_millis`, of at least 1
    step is zero: give at least 1 ms; only `Retry::fixed` never grows and may be zero
    delay is longer than 30 days: give less
    until is longer than 3650 days: give less
    attempts is 0, but the first attempt counts: use 1 to never retry
    the table of delays is empty: give at least one, or use `Retry::fixed`
    the table has more than 32 delays: leave some out, the last one repeats
    delay 2 of the table is shorter than the one before: sort them, a backoff never hurries
    factor is 0, so that there would be no second delay: use 2 to double it each time
    a jitter of 101 %: give at most 100, a delay cannot be negative
    a decorrelated backoff is its own jitter: leave the jitter at `Jitter::None`
    the jitter adds more than the cap allows in all: raise the cap, or add less
    ");
}

#[test]
fn the_error_is_small() {
    assert!(size_of::<RetryError>() <= 32, "{}", size_of::<RetryError>());
}

#[test]
fn each_backoff_computes_its_formula() {
    let delays = |retry: Retry| [1, 2, 3, 4].map(|n| retry.delay(n, ZERO, 0).as_secs());
    assert_eq!(delays(Retry::fixed(secs(7))), [7, 7, 7, 7]);
    assert_eq!(delays(Retry::linear(secs(5), secs(2))), [5, 7, 9, 11]);
    assert_eq!(delays(Retry::poly(secs(15), 4)), [16, 31, 96, 271]);
    assert_eq!(delays(Retry::exp(secs(2), 3)), [2, 6, 18, 54]);
    assert_eq!(delays(Retry::table([0, 1, 5].map(secs))), [0, 1, 5, 5]);
    assert_eq!(delays(Retry::exp(secs(2), 3).cap(secs(9))), [2, 6, 9, 9]);
}

#[test]
fn each_jitter_spreads_as_it_says() {
    let spread = |jitter, cap| {
        let retry = Retry::fixed(secs(100)).jitter(jitter).cap(secs(cap));
        let spread = retry.spread(1, ZERO);
        [spread.start().as_secs(), spread.end().as_secs()]
    };
    assert_eq!(spread(Jitter::None, 1_000), [100, 100]);
    assert_eq!(spread(Jitter::Full, 1_000), [0, 100]);
    assert_eq!(spread(Jitter::Equal, 1_000), [50, 100]);
    assert_eq!(spread(Jitter::Proportional(10), 1_000), [90, 110]);
    assert_eq!(spread(Jitter::Proportional(10), 105), [90, 105]);
    assert_eq!(spread(Jitter::Add(secs(30)), 1_000), [100, 130]);
    // At the cap the crowd is largest, so there the spread must not vanish.
    assert_eq!(spread(Jitter::Proportional(10), 50), [45, 50]);
    assert_eq!(spread(Jitter::Add(secs(30)), 100), [70, 100]);
}

#[test]
fn a_decorrelated_delay_follows_the_one_before() {
    let retry = Retry::decorrelated(secs(2)).cap(secs(60));
    let spread = |prev| retry.spread(9, secs(prev));
    assert_eq!(spread(0), secs(2)..=secs(6));
    assert_eq!(spread(5), secs(2)..=secs(15));
    assert_eq!(spread(40), secs(2)..=secs(60));
}

#[test]
fn the_default_gives_up_after_six_days() {
    let retry = Retry::default();
    let middle = |n| {
        let spread = retry.spread(n, ZERO);
        (*spread.start() + *spread.end()) / 2
    };
    let all: Duration = (1..retry.attempts).map(middle).sum();
    assert_eq!(all.as_secs() / 86_400, 5, "{all:?}");
    assert_eq!(retry.spread(1, ZERO), ms(14_400)..=ms(17_600));
    assert_eq!(*retry.spread(19, ZERO).end(), secs(86_400));
}

#[test]
fn the_last_attempt_is_the_last() {
    let retry = Retry::fixed(secs(1)).attempts(2);
    let after = |failed| retry.after(failed, ZERO, ZERO, Some(ZERO), 0);
    assert_eq!(after(1), Verdict::Retry(ZERO));
    assert_eq!(after(2), Verdict::GiveUp(Why::Attempts));
    let once = Retry::fixed(secs(1)).attempts(1);
    let nought = once.after(0, ZERO, ZERO, None, 0);
    assert_eq!(nought, Verdict::GiveUp(Why::Attempts), "0 counts as 1");
}

#[test]
fn a_failure_that_asks_for_a_delay_gets_it() {
    let retry = Retry::fixed(secs(1)).cap(secs(5)).until(secs(100));
    let after = |since, asked| retry.after(1, ZERO, since, Some(asked), 0);
    assert_eq!(after(ZERO, secs(90)), Verdict::Retry(secs(90)));
    assert_eq!(after(ZERO, Duration::from_micros(1)), Verdict::Retry(ms(1)));
    assert_eq!(after(secs(10), secs(90)), Verdict::Retry(secs(90)));
    assert_eq!(after(secs(11), secs(90)), Verdict::GiveUp(Why::Until));
    let endless = Retry::fixed(secs(1)).after(1, ZERO, ZERO, Some(Duration::MAX), 0);
    assert_eq!(endless, Verdict::Retry(LONGEST_DELAY));
}
