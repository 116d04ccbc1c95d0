//! Announcements as bytes: they come back as they were, other bytes are refused, and the format is the one that
//! was written down.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn node() -> impl Strategy<Value = Incarnation> {
    any::<u128>().prop_map(Incarnation)
}

fn name() -> impl Strategy<Value = Name> {
    let odd = prop_oneof!["[a-z:/* ]{1,8}", "[^\\p{Cc}]{1,50}", "x{200}"];
    odd.prop_map(|text| Name::new(&text).unwrap())
}

fn topic() -> impl Strategy<Value = Topic> {
    (any::<bool>(), name()).prop_map(|(room, name)| {
        if room {
            Topic::Room(name)
        } else {
            Topic::User(name)
        }
    })
}

/// Numbers of every length.
fn any_number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64u32).prop_map(|(number, shift)| number >> shift)
}

fn body() -> impl Strategy<Value = Body<Encoded>> {
    let frame = prop_oneof![
        vec(any::<u8>(), 0..300).prop_map(|data| Encoded::binary(&data)),
        ".{0,100}".prop_map(|text| Encoded::text(&text)),
        (16_380..16_390usize, any::<bool>()).prop_map(|(size, text)| if text {
            Encoded::text(&"é".repeat(size / 2))
        } else {
            Encoded::binary(&vec![7; size])
        }),
    ];
    let list = || vec(name(), 0..4);
    prop_oneof![
        (frame, any_number()).prop_map(|(frame, key)| Body::Message { frame, key }),
        (any_number(), any::<bool>()).prop_map(|(version, empty)| Body::Digest { version, empty }),
        (any_number(), list()).prop_map(|(version, users)| Body::State { version, users }),
        (any_number(), any_number(), list(), list()).prop_map(|(base, version, came, went)| {
            Body::Diff {
                base,
                version,
                came,
                went,
            }
        }),
        proptest::option::of(node()).prop_map(|of| Body::Ask { of }),
    ]
}

fn announce() -> impl Strategy<Value = Announce<Encoded>> {
    (node(), topic(), any_number(), body()).prop_map(|(from, topic, seq, body)| Announce {
        from,
        topic,
        seq,
        body,
    })
}

/// Frames have no equality of their own.
fn plain(announce: &Announce<Encoded>) -> Announce<(bool, Vec<u8>)> {
    let body = match announce.body.clone() {
        Body::Message { frame, key } => Body::Message {
            frame: (frame.is_text(), frame.payload().to_vec()),
            key,
        },
        Body::Digest { version, empty } => Body::Digest { version, empty },
        Body::State { version, users } => Body::State { version, users },
        Body::Diff {
            base,
            version,
            came,
            went,
        } => Body::Diff {
            base,
            version,
            came,
            went,
        },
        Body::Ask { of } => Body::Ask { of },
    };
    Announce {
        from: announce.from,
        topic: announce.topic.clone(),
        seq: announce.seq,
        body,
    }
}

fn lobby() -> Topic {
    Topic::Room(Name::new("lobby").unwrap())
}

/// What `bytes` mean, if they mean anything, must be written as the same bytes.
fn reads_as_written(bytes: &Bytes) -> Result<(), TestCaseError> {
    if let Ok(read) = decode(lobby(), bytes) {
        prop_assert_eq!(&encode(&read).unwrap(), bytes);
    }
    Ok(())
}

proptest! {
    #[test]
    fn an_announcement_comes_back_as_it_was(announce in announce()) {
        let bytes = encode(&announce).unwrap();
        let back = decode(announce.topic.clone(), &bytes).unwrap();
        prop_assert_eq!(plain(&back), plain(&announce));
    }

    #[test]
    fn any_bytes_are_refused_or_read_as_they_would_be_written(
        kind in 0..8u8,
        tail in vec(any::<u8>(), 0..80),
        free in vec(any::<u8>(), 0..40),
    ) {
        reads_as_written(&free.into())?;
        reads_as_written(&[&[VERSION, kind][..], &tail].concat().into())?;
    }

    #[test]
    fn a_changed_byte_is_refused_or_read_as_it_would_be_written(
        announce in announce(),
        at in any::<prop::sample::Index>(),
        bit in 0..8u32,
    ) {
        let mut bytes = encode(&announce).unwrap().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        reads_as_written(&bytes.into())?;
    }

    #[test]
    fn what_is_cut_off_is_refused_unless_it_is_a_payload(announce in announce()) {
        let bytes = encode(&announce).unwrap();
        let payload = match &announce.body {
            Body::Message { frame, .. } => frame.payload().len(),
            _ => 0,
        };
        let head = bytes.len() - payload;
        for cut in 0..head {
            prop_assert_eq!(
                decode(lobby(), &bytes.slice(..cut)).unwrap_err(),
                WireError::Short,
                "{} of {}", cut, bytes.len()
            );
        }
    }

    #[test]
    fn what_stands_behind_an_announcement_is_refused(announce in announce(), more in 1..4usize) {
        let message = matches!(announce.body, Body::Message { .. });
        let bytes = encode(&announce).unwrap();
        let longer = [&bytes[..], &vec![b'x'; more]].concat().into();
        prop_assert_eq!(decode(lobby(), &longer).is_ok(), message);
    }

    #[test]
    fn a_channel_is_one_topics(a in topic(), b in topic(), p in "[a-z./_-]{1,4}", q in "[a-z./_-]{1,4}") {
        let (ours, theirs) = (Channels::new(&p).unwrap(), Channels::new(&q).unwrap());
        let (name, other) = (ours.name(&a), theirs.name(&b));
        prop_assert_eq!(name == other, (&p, &a) == (&q, &b));
        prop_assert_eq!(theirs.topic(&name), (p == q).then(|| a.clone()));
        prop_assert!(name.len() <= Channels::MAX);
        prop_assert_eq!(ours.topic(&name), Some(a));
    }
}

/// The golden bytes. Nodes of two releases run side by side while one replaces the other: whoever changes these
/// raises [`VERSION`], or adds a body.
#[test]
fn the_format_is_the_one_that_was_written_down() {
    let from = Incarnation(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
    let names = |texts: &[&str]| -> Vec<Name> {
        texts.iter().map(|text| Name::new(text).unwrap()).collect()
    };
    let head = b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
    let golden: [(Body<Encoded>, u8, &[u8]); 7] = [
        (
            Body::Message {
                frame: Encoded::binary(b"\xff\x00"),
                key: 0,
            },
            0,
            b"\x00\xff\x00",
        ),
        (
            Body::Message {
                frame: Encoded::text("h\u{e9}"),
                key: 128,
            },
            1,
            b"\x80\x01h\xc3\xa9",
        ),
        (
            Body::Digest {
                version: 9,
                empty: true,
            },
            2,
            b"\x09\x01",
        ),
        (
            Body::State {
                version: 127,
                users: names(&["ada", "b\u{f6}b"]),
            },
            3,
            b"\x7f\x02\x03ada\x04b\xc3\xb6b",
        ),
        (
            Body::Diff {
                base: 1,
                version: 2,
                came: names(&["c"]),
                went: names(&[]),
            },
            4,
            b"\x01\x02\x01\x01c\x00",
        ),
        (Body::Ask { of: None }, 5, b""),
        (
            Body::Ask {
                of: Some(Incarnation(1)),
            },
            6,
            b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
        ),
    ];
    for (body, kind, tail) in golden {
        let announce = Announce {
            from,
            topic: lobby(),
            seq: 300,
            body,
        };
        let bytes: Bytes = [&[1, kind][..], head, b"\xac\x02", tail].concat().into();
        assert_eq!(encode(&announce).unwrap(), bytes, "{announce:?}");
        let read = decode(lobby(), &bytes).unwrap();
        assert_eq!(plain(&read), plain(&announce));
    }
}

#[test]
fn what_another_release_writes_is_told_from_damage() {
    let announce = Announce {
        from: Incarnation(1),
        topic: lobby(),
        seq: 1,
        body: Body::Ask { of: None },
    };
    let good = encode(&announce).unwrap().to_vec();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        decode(lobby(), &bytes.into()).unwrap_err()
    };
    assert_eq!(with(0, 2), WireError::Version(2));
    assert_eq!(with(1, 7), WireError::Body(7));
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let announce = |body| Announce {
        from: Incarnation(1),
        topic: lobby(),
        seq: 1,
        body,
    };
    let users = vec![Name::new("a").unwrap(); NAMES + 1];
    let state = |users| announce(Body::State { version: 1, users });
    let many = encode(&state(users.clone()));
    assert_eq!(many, Err(WireError::TooMany(NAMES as u64 + 1)));
    let most = encode(&state(users[1..].to_vec())).unwrap();
    assert!(decode(lobby(), &most).is_ok());
    let message = |size| {
        let frame = Encoded::from_bytes(vec![0; size].into());
        encode(&announce(Body::Message { frame, key: 0 }))
    };
    assert_eq!(message(MAX), Err(WireError::TooLarge(MAX + 20)));
    assert_eq!(message(MAX + 1), Err(WireError::TooLarge(MAX + 1)));
    let largest = message(MAX - 20).unwrap();
    assert!(decode(lobby(), &largest).is_ok());
    let over = Bytes::from(vec![1; MAX + 1]);
    assert_eq!(
        decode(lobby(), &over).unwrap_err(),
        WireError::TooLarge(MAX + 1)
    );
}

#[test]
fn a_long_list_that_is_not_there_takes_no_memory() {
    let mut bytes = vec![VERSION, STATE];
    bytes.extend_from_slice(&[0; 17]);
    bytes.extend_from_slice(b"\x01\x80\x80\x04");
    assert_eq!(
        decode(lobby(), &bytes.into()).unwrap_err(),
        WireError::Short
    );
}

#[test]
fn large_binary_payloads_are_not_copied() {
    let frame = Encoded::from_bytes(vec![7; 100_000].into());
    let announce = Announce {
        from: Incarnation(1),
        topic: lobby(),
        seq: 1,
        body: Body::Message { frame, key: 0 },
    };
    let bytes = encode(&announce).unwrap();
    let read = decode(lobby(), &bytes).unwrap();
    let Body::Message { frame, .. } = read.body else {
        panic!("a message");
    };
    assert_eq!(frame.payload().as_ptr_range().end, bytes.as_ptr_range().end);
}

#[test]
fn a_prefix_is_checked() {
    for good in ["a", "shop-2/eu.west_1", &"x".repeat(Channels::PREFIX_MAX)] {
        assert!(Channels::new(good).is_ok(), "{good}");
    }
    for bad in ["", "a:b", "a b", "é", &"x".repeat(Channels::PREFIX_MAX + 1)] {
        assert!(Channels::new(bad).is_err(), "{bad}");
    }
    let channels = Channels::default();
    for foreign in [
        "tideway",
        "tideway:r:",
        "tideway:x:a",
        "tidewayr:a",
        "other:r:a",
    ] {
        assert_eq!(channels.topic(foreign), None, "{foreign}");
    }
}
