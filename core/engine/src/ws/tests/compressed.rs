//! permessage-deflate on the wire: the examples of RFC 7692 §7.2.3, both directions, bombs, and the small
//! ones of the Autobahn cases 12 and 13.

use proptest::prelude::*;

use super::*;
use crate::ws::{DeflateConfig, Encoded, Violation};

const AGREED: Deflate = Deflate {
    server_takeover: false,
    client_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

const TAKEOVER: Deflate = Deflate {
    server_takeover: true,
    client_takeover: true,
    ..AGREED
};

fn server(deflate: Deflate) -> Driven {
    Driven::new(Role::Server, still(), Some(deflate))
}

#[track_caller]
fn receives(deflate: Deflate, stream: &[Vec<u8>], expected: &[Said]) {
    for piece in [1, 3, 1000] {
        let mut driven = server(deflate);
        for piece in stream.concat().chunks(piece) {
            driven.receive(piece);
        }
        assert_eq!(driven.said, expected, "in pieces of {piece}");
    }
}

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

#[test]
fn rfc_7692_7_2_3_1_one_block() {
    receives(AGREED, &[masked(0xc1, &HELLO)], &[text("Hello")]);
    let fragments = [masked(0x41, &HELLO[..3]), masked(0x80, &HELLO[3..])];
    receives(AGREED, &fragments, &[text("Hello")]);
}

#[test]
fn rfc_7692_7_2_3_2_sharing_the_window() {
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let stream = [masked(0xc1, &HELLO), masked(0xc1, &again)];
    receives(TAKEOVER, &stream, &[text("Hello"), text("Hello")]);
    // Without the first it refers to nothing.
    let end = Said::End(End::Violation(Violation::Inflate));
    receives(AGREED, &stream, &[text("Hello"), end]);
}

#[test]
fn rfc_7692_7_2_3_3_a_block_without_compression() {
    let stored = [
        0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
    ];
    receives(AGREED, &[masked(0xc1, &stored)], &[text("Hello")]);
}

#[test]
fn rfc_7692_7_2_3_4_a_block_marked_as_the_last() {
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let stream = [masked(0xc1, &last), masked(0xc1, &HELLO)];
    for deflate in [AGREED, TAKEOVER] {
        receives(deflate, &stream, &[text("Hello"), text("Hello")]);
        // Also without the byte that should follow it.
        let stream = [masked(0xc1, &last[..7]), masked(0xc1, &HELLO)];
        receives(deflate, &stream, &[text("Hello"), text("Hello")]);
    }
}

#[test]
fn rfc_7692_7_2_3_5_two_blocks() {
    let blocks = [
        0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
    ];
    receives(AGREED, &[masked(0xc1, &blocks)], &[text("Hello")]);
}

#[test]
fn rfc_7692_7_2_3_6_nothing() {
    receives(AGREED, &[masked(0xc1, &[0x00])], &[text("")]);
    receives(AGREED, &[masked(0xc2, &[])], &[binary(b"")]);
    // An endpoint that agreed may still send without.
    receives(AGREED, &[masked(0x81, b"plain")], &[text("plain")]);
}

#[test]
fn rsv1_has_its_place() {
    let end = |violation| Said::End(End::Violation(violation));
    let reserved = [end(Violation::Reserved)];
    receives(AGREED, &[masked(0xc9, b"")], &reserved);
    receives(AGREED, &[masked(0xc8, b"")], &reserved);
    let continued = [masked(0x41, &HELLO[..3]), masked(0xc0, &HELLO[3..])];
    receives(AGREED, &continued, &reserved);
    receives(AGREED, &[masked(0xa1, &HELLO)], &reserved);
    let mut without = Driven::still(Role::Server);
    without.receive(&masked(0xc1, &HELLO));
    assert_eq!(without.said, reserved);
}

#[test]
fn control_frames_pass_between_compressed_fragments() {
    let stream = [
        masked(0x41, &HELLO[..2]),
        masked(0x89, b"now"),
        masked(0x00, &HELLO[2..2]),
        masked(0x80, &HELLO[2..]),
    ];
    let said = [Said::Ping(b"now".to_vec()), text("Hello")];
    receives(AGREED, &stream, &said);
}

#[test]
fn bytes_that_do_not_inflate_close_1007() {
    let end = End::Violation(Violation::Inflate);
    assert_eq!(end.code(), 1007);
    // A block of the fourth kind.
    receives(AGREED, &[masked(0xc2, &[0x06, 0xff])], &[Said::End(end)]);
    // Text that inflates to no text.
    let mut codecs = Codecs::default();
    let bad = codecs.deflate(15, &[0xff; 200]).unwrap().to_vec();
    let end = End::Violation(Violation::Utf8);
    receives(AGREED, &[masked(0xc1, &bad)], &[Said::End(end)]);
}

#[test]
fn a_bomb_closes_1009_and_takes_no_more_than_the_cap() {
    let config = Config {
        max_message: 100_000,
        ..still()
    };
    let mut codecs = Codecs::default();
    let bomb = codecs.deflate(15, &vec![0; 50_000_000]).unwrap().to_vec();
    assert!(bomb.len() < 60_000, "{}", bomb.len());
    for piece in [10, 1 << 20] {
        let mut driven = Driven::new(Role::Server, config.clone(), Some(AGREED));
        for piece in masked(0xc2, &bomb).chunks(piece) {
            driven.receive(piece);
            assert!(driven.conn.held() <= 200_000);
        }
        let end = End::Violation(Violation::TooBig);
        assert_eq!(end.code(), 1009);
        assert_eq!(driven.said, [Said::End(end)]);
    }
    // Exactly the cap is no bomb.
    let most = codecs.deflate(15, &[0; 100_000]).unwrap().to_vec();
    let mut driven = Driven::new(Role::Server, config.clone(), Some(AGREED));
    driven.receive(&masked(0xc2, &most));
    assert_eq!(driven.said, [binary(&[0; 100_000])]);
    // Nor do blocks without content go on for ever.
    let mut driven = Driven::new(Role::Server, config, Some(AGREED));
    let empty = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(20_000);
    driven.receive(&masked(0x42, &empty));
    driven.receive(&masked(0x00, &empty));
    assert_eq!(driven.said, [Said::End(End::Violation(Violation::TooBig))]);
}

#[test]
fn an_idle_connection_holds_no_codec() {
    let mut driven = server(AGREED);
    driven.receive(&masked(0xc1, &HELLO));
    let message = Encoded::text(&"compressible ".repeat(50));
    driven.conn.send(message, &mut driven.codecs).unwrap();
    driven.flush();
    assert!(!driven.conn.keeps_codecs());
    let mut driven = server(TAKEOVER);
    driven.receive(&masked(0xc1, &HELLO));
    assert!(driven.conn.keeps_codecs());
}

/// Sends `messages` from one role to the other; what arrived, and the bytes on the wire.
fn pass(agreed: Deflate, from: Role, messages: &[Vec<u8>], piece: usize) -> (Vec<Said>, usize) {
    let to = match from {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    };
    let config = Config {
        max_queue: usize::MAX,
        ..still()
    };
    let mut sender = Driven::new(from, config.clone(), Some(agreed));
    let mut receiver = Driven::new(to, config, Some(agreed));
    for message in messages {
        let message = match String::from_utf8(message.clone()) {
            Ok(text) => Encoded::from_string(text),
            Err(_) => Encoded::binary(message),
        };
        sender
            .conn
            .send(message.shared(), &mut sender.codecs)
            .unwrap();
    }
    sender.flush();
    for piece in sender.sent.chunks(piece) {
        receiver.receive(piece);
    }
    (receiver.said, sender.sent.len())
}

/// Messages that compress, and some that do not.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let json = (1..200_usize).prop_map(|n| {
        let items = (0..n).map(|i| format!("{{\"id\":{i},\"name\":\"user {}\"}}", i % 7));
        items.collect::<String>().into_bytes()
    });
    let noise = proptest::collection::vec(any::<u8>(), 0..2000);
    let long = (any::<u8>(), 0..100_000_usize).prop_map(|(byte, len)| vec![byte; len]);
    prop_oneof![3 => json, 2 => noise, 1 => long]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Autobahn 12 and 13: every combination of parameters carries every message.
    #[test]
    fn what_is_compressed_is_inflated(
        messages in proptest::collection::vec(message(), 1..6),
        takeover: bool, server_max_window_bits in 9..=15_u8, client_max_window_bits in 9..=15_u8,
        from_server: bool, piece in prop_oneof![1..50_usize, Just(1 << 20)],
    ) {
        let config = DeflateConfig { takeover, server_max_window_bits, client_max_window_bits };
        let (agreed, _) = Deflate::accept(&Deflate::offer(&config), &config).unwrap().unwrap();
        let from = if from_server { Role::Server } else { Role::Client };
        let (said, _) = pass(agreed, from, &messages, piece);
        let said: Vec<Vec<u8>> = said.into_iter().map(|said| match said {
            Said::Text(text) => text.into_bytes(),
            Said::Binary(data) => data,
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!(said, messages);
    }
}

#[test]
fn takeover_makes_the_second_message_smaller() {
    let mut noise = [0; 1000];
    crate::rng::Rng::new(&Seed::from_u64(1)).fill(&mut noise);
    let messages = vec![noise.to_vec(), noise.to_vec(), noise.to_vec()];
    for from in [Role::Server, Role::Client] {
        let (said, bytes) = pass(AGREED, from, &messages, 1000);
        assert!(said.len() == 3 && bytes > 3000, "{bytes}");
        let (said, bytes) = pass(TAKEOVER, from, &messages, 1000);
        assert!(said.len() == 3 && bytes < 1100, "{bytes}");
    }
}

#[test]
fn one_compressed_body_serves_all_receivers_that_agreed_alike() {
    let message = Encoded::text(&"to everybody ".repeat(100)).shared();
    let mut first = server(AGREED);
    let mut second = server(AGREED);
    let mut narrow = server(Deflate {
        server_max_window_bits: 9,
        ..AGREED
    });
    let lent = |driven: &mut Driven| {
        let Driven { conn, codecs, .. } = driven;
        conn.send(message.clone(), codecs).unwrap();
        let mut slices = [IoSlice::new(&[])];
        assert_eq!(conn.poll_transmit(&mut slices), 1);
        (slices[0].as_ptr(), slices[0].len())
    };
    let (a, b, c) = (lent(&mut first), lent(&mut second), lent(&mut narrow));
    assert_eq!(a, b);
    assert_ne!(a.0, c.0);
    assert!(a.1 < 100, "{}", a.1);
}

#[test]
fn answers_to_compressed_messages_are_compressed() {
    let mut driven = server(AGREED);
    let long = "Hello ".repeat(30);
    let message = Encoded::from_string(long.clone());
    driven.conn.send(message, &mut driven.codecs).unwrap();
    let short = Encoded::text("short");
    driven.conn.send(short, &mut driven.codecs).unwrap();
    driven.flush();
    let sent = frames(&driven.sent);
    assert_eq!(sent[1], (0x81, b"short".to_vec()));
    assert_eq!(sent[0].0, 0xc1);
    let mut client = Driven::new(Role::Client, still(), Some(AGREED));
    client.receive(&driven.sent);
    assert_eq!(client.said, [text(&long), text("short")]);
}
