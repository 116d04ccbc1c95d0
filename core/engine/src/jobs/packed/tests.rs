//! What is packed is unpacked, whatever is not is refused, and the bytes never change.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::jobs::Name;
use crate::jobs::retry::{Backoff, Jitter, LONGEST_DELAY, Retry};

/// The longest delay a policy may have, in milliseconds.
const LONGEST: u64 = LONGEST_DELAY.as_millis() as u64;

fn ms(range: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![
        "[a-z.]{1,12}",
        "[^\\p{Cc}]{1,50}",
        Just("x".repeat(Name::MAX))
    ]
    .prop_map(|text| Name::new(&text).expect("it is a name"))
}

/// Every policy that is valid.
fn retry() -> impl Strategy<Value = Retry> {
    let (least, zero) = (1..=LONGEST, 0..=LONGEST);
    let backoff = prop_oneof![
        ms(zero.clone()).prop_map(Backoff::Fixed),
        (ms(zero.clone()), ms(least.clone()))
            .prop_map(|(base, step)| Backoff::Linear { base, step }),
        (ms(zero.clone()), any::<u32>()).prop_map(|(base, power)| Backoff::Poly { base, power }),
        (ms(least.clone()), 1..=u32::MAX).prop_map(|(base, factor)| Backoff::Exp { base, factor }),
        vec(ms(zero), 1..=Backoff::LONGEST_TABLE).prop_map(|mut delays| {
            delays.sort();
            Backoff::Table(delays)
        }),
        ms(least.clone()).prop_map(|base| Backoff::Decorrelated { base }),
    ];
    let jitter = prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        (0..=100_u8).prop_map(Jitter::Proportional),
        ms(least.clone()).prop_map(Jitter::Add),
    ];
    let until = option::of(ms(1..=LONGEST * 100));
    let any = (backoff, jitter, ms(least), 1..=u32::MAX, until).prop_map(
        |(backoff, mut jitter, mut cap, attempts, until)| {
            if matches!(backoff, Backoff::Decorrelated { .. }) {
                jitter = Jitter::None;
            }
            if let Jitter::Add(most) = jitter {
                cap = cap.max(most);
            }
            Retry {
                backoff,
                jitter,
                cap,
                attempts,
                until,
            }
        },
    );
    prop_oneof![Just(Retry::default()), any]
}

fn unique() -> impl Strategy<Value = Unique> {
    let hold = prop_oneof![
        Just(Hold::UntilStart),
        Just(Hold::UntilDone),
        ms(0..=u64::MAX).prop_map(Hold::For)
    ];
    let conflict = prop_oneof![
        Just(Conflict::Keep),
        Just(Conflict::Replace),
        Just(Conflict::Reschedule)
    ];
    (name(), hold, conflict).prop_map(|(key, hold, conflict)| Unique {
        key,
        hold,
        conflict,
    })
}

/// Every spec whose times are whole milliseconds, up to the caps.
fn specs() -> impl Strategy<Value = Spec> {
    let keep = (ms(0..=u64::MAX), ms(0..=u64::MAX))
        .prop_map(|(succeeded, failed)| Keep { succeeded, failed });
    let keep = prop_oneof![Just(Keep::default()), keep];
    let header = (name(), ".{0,20}").prop_map(|(name, value)| (name, value.into_boxed_str()));
    let headers = prop_oneof![
        vec(header, 0..=Spec::MAX_HEADERS),
        name().prop_map(|name| {
            let value = "é".repeat((Spec::MAX_HEADER_BYTES - name.len()) / 2);
            vec![(name, value.into_boxed_str())]
        })
    ];
    let ids = vec(any::<u128>().prop_map(Id::from_u128), 0..=Spec::MAX_WAITS);
    (
        (any::<u128>(), name(), name(), 0..Spec::BANDS, 1..=u8::MAX),
        retry(),
        option::of(ms(0..=u64::MAX)),
        option::of(ms(0..=u64::MAX)),
        option::of(unique()),
        option::of(name()),
        (option::of(ids), any::<bool>()),
        (keep, option::of(headers)),
    )
        .prop_map(
            |(first, retry, timeout, expiry, unique, group, waits, last)| {
                let (id, queue, kind, band, strikes) = first;
                Spec {
                    id: Id::from_u128(id),
                    queue,
                    kind,
                    band,
                    retry,
                    strikes,
                    timeout,
                    expiry,
                    unique,
                    group,
                    waits: waits.0.unwrap_or_default(),
                    wait_failed: if waits.1 {
                        WaitFailed::Run
                    } else {
                        WaitFailed::Cancel
                    },
                    keep: last.0,
                    headers: last.1.unwrap_or_default(),
                }
            },
        )
        .prop_filter("headers within their cap", |spec| {
            let bytes: usize = spec.headers.iter().map(|(k, v)| k.len() + v.len()).sum();
            bytes <= Spec::MAX_HEADER_BYTES
        })
}

fn packed(spec: &Spec) -> Vec<u8> {
    let mut out = Vec::new();
    spec.pack(&mut out);
    out
}

proptest! {
    #[test]
    fn what_is_packed_is_unpacked(spec in specs()) {
        prop_assert_eq!(Spec::unpack(&packed(&spec)), Ok(spec));
    }

    #[test]
    fn a_spec_read_beside_another_is_the_same(spec in specs(), mut other in specs(), queue: bool, kind: bool) {
        if queue {
            other.queue = spec.queue.clone();
        }
        if kind {
            other.kind = spec.kind.clone();
        }
        prop_assert_eq!(Spec::unpack_beside(&packed(&spec), Some(&other)), Ok(spec));
    }

    #[test]
    fn a_spec_cut_short_or_with_more_behind_it_is_damaged(spec in specs(), more: u8) {
        let mut packed = packed(&spec);
        for end in 0..packed.len() {
            let cut = Spec::unpack(&packed[..end]);
            prop_assert!(matches!(cut, Err(Unreadable::Damaged(at)) if at <= end), "{end}: {cut:?}");
        }
        let end = packed.len();
        packed.push(more);
        prop_assert_eq!(Spec::unpack(&packed), Err(Unreadable::Damaged(end)));
    }

    /// Whatever is read can be written and read again: nothing beyond the caps gets in.
    #[test]
    fn a_damaged_spec_is_refused_or_sound(spec in specs(), flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = packed(&spec);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(read) = Spec::unpack(&bytes) {
            prop_assert!(read.waits.len() <= Spec::MAX_WAITS && read.headers.len() <= Spec::MAX_HEADERS);
            prop_assert!(read.retry.check().is_ok());
            prop_assert_eq!(Spec::unpack(&packed(&read)), Ok(read));
        }
    }

    #[test]
    fn any_bytes_at_all_are_read_without_a_panic(mut bytes in vec(any::<u8>(), 0..300), version: bool) {
        if version && let Some(first) = bytes.first_mut() {
            *first = VERSION;
        }
        let _ = Spec::unpack(&bytes);
    }
}

/// A spec with nothing but what it must have.
fn plain() -> Spec {
    Spec {
        band: 3,
        ..Spec::new(
            Id::from_u128(0x017f_22e2_79b0_7cc3_98c4_dc0c_0c07_398f),
            Name::new("mail").unwrap(),
            Name::new("send").unwrap(),
        )
    }
}

/// A spec with everything.
fn full() -> Spec {
    let second = Duration::from_secs(1);
    Spec {
        retry: Retry::exp(second, 2)
            .full_jitter()
            .attempts(8)
            .until(second * 60),
        timeout: Some(second),
        expiry: Some(second * 2),
        unique: Some(Unique {
            key: Name::new("key").unwrap(),
            hold: Hold::For(second),
            conflict: Conflict::Reschedule,
        }),
        group: Some(Name::new("grüppe").unwrap()),
        waits: vec![Id::from_u128(1), Id::from_u128(2)],
        wait_failed: WaitFailed::Run,
        keep: Keep {
            succeeded: second * 60,
            failed: second * 120,
        },
        headers: vec![(Name::new("traceparent").unwrap(), "00-1".into())],
        ..plain()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_never_change() {
    let plain = hex(&packed(&plain()));
    assert_eq!(
        plain,
        "01017f22e279b07cc398c4dc0c0c07398f000303046d61696c0473656e6400"
    );
    let full = hex(&packed(&full()));
    assert_eq!(
        full,
        "01017f22e279b07cc398c4dc0c0c07398fff0303046d61696c0473656e644ce8070280b8992908e0d403e807d00f036b65790ae807076772c3bc707065020000000000000000000000000000000100000000000000000000000000000002e0d403c0a907010b7472616365706172656e740430302d31"
    );
}

#[test]
fn another_version_says_so() {
    let mut bytes = packed(&plain());
    bytes[0] = 2;
    assert_eq!(Spec::unpack(&bytes), Err(Unreadable::Version(2)));
    assert_eq!(Spec::unpack(&[]), Err(Unreadable::Damaged(0)));
    bytes[0] = 0;
    assert_eq!(Spec::unpack(&bytes), Err(Unreadable::Damaged(0)));
}

#[test]
fn what_cannot_be_is_refused_where_it_is() {
    let damaged = |at: usize, byte: u8, spec: &Spec| {
        let mut bytes = packed(spec);
        bytes[at] = byte;
        Spec::unpack(&bytes)
    };
    // Band, strikes, the length of a name, a control character in it, no text, the retry policy.
    for (at, byte, told) in [
        (18, Spec::BANDS, 18),
        (19, 0, 19),
        (20, 0, 20),
        (20, 201, 21),
        (23, b'\n', 20),
        (23, 0xff, 21),
        (30, 7, 30),
    ] {
        let read = damaged(at, byte, &plain());
        assert_eq!(read, Err(Unreadable::Damaged(told)), "byte {at} as {byte}");
    }
}

#[test]
fn more_than_the_caps_allow_is_refused_and_no_number_is_too_long() {
    let waits = Spec {
        waits: vec![Id::from_u128(1); Spec::MAX_WAITS + 1],
        ..plain()
    };
    assert_eq!(Spec::unpack(&packed(&waits)), Err(Unreadable::Damaged(31)));
    let half = "x".repeat(Spec::MAX_HEADER_BYTES / 2);
    let headers = Spec {
        headers: vec![(Name::new("h").unwrap(), half.into()); 2],
        ..plain()
    };
    let second = 31 + 1 + 2 + 2 + Spec::MAX_HEADER_BYTES / 2 + 2;
    assert_eq!(
        Spec::unpack(&packed(&headers)),
        Err(Unreadable::Damaged(second))
    );
    let mut long = packed(&plain());
    long[17] = part::TIMEOUT;
    long.extend([0xff; 9]);
    long.push(2);
    assert_eq!(Spec::unpack(&long), Err(Unreadable::Damaged(31)));
}

#[test]
fn a_policy_that_is_not_valid_is_not_read_back() {
    let spec = Spec {
        retry: Retry::default().attempts(0),
        ..plain()
    };
    assert_eq!(Spec::unpack(&packed(&spec)), Err(Unreadable::Damaged(30)));
}
