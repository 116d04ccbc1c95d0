//! The heartbeat, the deadlines of messages, and who is to blame: in virtual time.

use super::*;
use crate::ws::{Encoded, Violation};

/// A server with a heartbeat of 30 s and 20 s.
fn server() -> Driven {
    Driven::new(Role::Server, Config::default(), None)
}

fn deadline(driven: &Driven) -> (Duration, &'static str) {
    let (at, name) = driven.conn.poll_timeout().expect("a deadline");
    (at.since(driven.now), name)
}

/// Past the first Ping, which is answered: the next is due 30 s from now.
fn greeted() -> Driven {
    let mut driven = server();
    let (first, name) = deadline(&driven);
    assert_eq!(name, "ping");
    driven.pass(first);
    assert_eq!(frames(&driven.sent), [(0x89, vec![])]);
    driven.sent.clear();
    driven.receive(&masked(0x8a, b""));
    driven.said.clear();
    driven
}

#[test]
fn the_first_ping_is_spread_by_the_seed() {
    let first = |seed| {
        let (seed, config) = (Seed::from_u64(seed), Arc::new(Config::default()));
        let conn = Conn::new(Role::Server, config, None, &seed, Mono::START);
        conn.poll_timeout().unwrap().0
    };
    let mut firsts: Vec<Mono> = (0..1000).map(first).collect();
    assert_eq!(first(1), firsts[1], "the same seed, the same instant");
    firsts.sort();
    for (i, at) in firsts.iter().enumerate() {
        let even = Mono::START.plus(Duration::from_millis(15_000 + 15 * i as u64));
        let off = at.since(even).max(even.since(*at));
        assert!(off < secs(1), "{i}: {at:?}");
        let half = Mono::START.plus(secs(15))..=Mono::START.plus(secs(30));
        assert!(half.contains(at), "{i}: {at:?}");
    }
}

#[test]
fn a_half_open_peer_is_found_within_interval_and_timeout() {
    let mut driven = greeted();
    driven.pass(secs(7));
    driven.receive(&masked(0x81, b"the last sign of life"));
    driven.pass(secs(49));
    assert!(driven.conn.is_open());
    assert_eq!(frames(&driven.sent), [(0x89, vec![])]);
    driven.pass(secs(1));
    assert!(driven.conn.is_done());
    assert_eq!(driven.ends(), [&End::Silent]);
    // And one that was never heard: no later.
    let mut driven = server();
    driven.pass(secs(50));
    assert_eq!(driven.ends(), [&End::Silent]);
}

#[test]
fn any_byte_is_life_not_only_a_pong() {
    let mut driven = greeted();
    driven.pass(secs(30));
    assert_eq!(frames(&driven.sent), [(0x89, vec![])]);
    driven.pass(secs(19));
    // One byte of a frame whose rest takes long.
    driven.receive(&[0x82]);
    driven.pass(secs(2));
    assert!(driven.conn.is_open());
    // The next Ping is an interval after the byte.
    assert_eq!(deadline(&driven), (secs(28), "ping"));
}

#[test]
fn a_busy_peer_is_never_pinged() {
    let mut driven = greeted();
    for _ in 0..100 {
        driven.pass(secs(29));
        driven.receive(&masked(0x82, b"busy"));
    }
    assert!(driven.sent.is_empty());
    assert_eq!(driven.said, vec![binary(b"busy"); 100]);
}

#[test]
fn a_peer_that_sends_one_frame_for_hours_lives() {
    let config = Config {
        max_frame: 64 << 20,
        max_message: 64 << 20,
        ..Config::default()
    };
    let mut driven = Driven::new(Role::Server, config, None);
    let frame = masked(0x82, &vec![7; 64 << 20]);
    // 32 KiB a second.
    for piece in frame.chunks(32 << 10) {
        driven.pass(secs(1));
        driven.receive(piece);
    }
    assert!(driven.conn.is_open());
    assert_eq!(driven.said.len(), 1);
}

#[test]
fn a_ping_stuck_behind_our_own_output_kills_nobody() {
    let mut driven = greeted();
    let data = vec![7; 10 << 20];
    let message = Encoded::from_bytes(data.into());
    driven.conn.send(message, &mut driven.codecs).unwrap();
    driven.stall(secs(29));
    // It takes 64 KiB every 19 s, and answers nothing for an hour.
    driven.write(64 << 10);
    while driven.write(64 << 10) > 0 {
        driven.stall(secs(19));
        assert!(driven.conn.is_open());
    }
    let sent = frames(&driven.sent);
    let sizes: Vec<_> = sent
        .iter()
        .map(|(first, data)| (*first, data.len()))
        .collect();
    assert_eq!(sizes, [(0x82, 10 << 20), (0x89, 0)]);
    // The Pong is owed from when the Ping was taken on.
    driven.receive(&masked(0x8a, b""));
    driven.stall(secs(29));
    assert!(driven.conn.is_open());
}

#[test]
fn a_peer_that_takes_nothing_and_says_nothing_is_cut() {
    let mut driven = greeted();
    let message = Encoded::binary(b"never taken");
    driven.conn.send(message, &mut driven.codecs).unwrap();
    driven.stall(secs(49));
    assert!(driven.conn.is_open());
    assert_eq!(deadline(&driven), (secs(1), "ping not taken"));
    driven.stall(secs(1));
    assert_eq!(driven.ends(), [&End::Silent]);
    assert_eq!(driven.conn.queued(), 0, "nothing stays behind");
}

#[test]
fn a_pong_that_waits_because_we_do_not_read_is_not_late() {
    let mut driven = greeted();
    driven.pass(secs(30));
    driven.pass(secs(15));
    driven.conn.pause(driven.now);
    driven.pass(secs(3600));
    assert!(driven.conn.is_open());
    driven.conn.resume(driven.now);
    // 15 of the 20 s had passed before.
    assert_eq!(deadline(&driven), (secs(5), "pong"));
    driven.pass(secs(4));
    driven.receive(&masked(0x8a, b""));
    driven.pass(secs(20));
    assert!(driven.conn.is_open());
}

#[test]
fn a_pause_forgives_nothing_that_was_late_before_it() {
    let mut driven = greeted();
    driven.pass(secs(30));
    driven.conn.pause(driven.now);
    driven.pass(secs(100));
    driven.conn.resume(driven.now);
    driven.pass(secs(19));
    assert!(driven.conn.is_open());
    driven.pass(secs(1));
    assert_eq!(driven.ends(), [&End::Silent]);
}

#[test]
fn a_byte_before_the_pause_still_counts_after_it() {
    let mut driven = greeted();
    driven.pass(secs(30));
    driven.pass(secs(1));
    driven.receive(&masked(0x8a, b""));
    driven.conn.pause(driven.now);
    driven.pass(secs(5));
    driven.conn.resume(driven.now);
    driven.pass(secs(24));
    assert_eq!(deadline(&driven), (secs(1), "ping"));
}

#[test]
fn a_trickled_message_has_a_deadline_of_its_own() {
    let mut driven = server();
    let frame = masked(0x82, &[7; 1000]);
    // A byte every ten seconds is life, and never a message.
    for byte in &frame[..6] {
        driven.receive(&[*byte]);
        driven.pass(secs(10));
    }
    assert_eq!(driven.ends(), [&End::Violation(Violation::TooSlow)]);
    assert_eq!(driven.ends()[0].code(), 1008);
    assert_eq!(frames(&driven.sent).last().unwrap().0, 0x88);
}

#[test]
fn what_came_earns_a_message_time() {
    let mut driven = server();
    let frame = masked(0x82, &vec![7; 500 << 10]);
    driven.receive(&frame[..14]);
    let due = |driven: &Driven| {
        let assembly = driven.conn.assembly_deadline().unwrap().0;
        assembly.since(Mono::START)
    };
    assert_eq!(due(&driven), secs(60));
    driven.receive(&frame[14..14 + (160 << 10)]);
    assert_eq!(due(&driven), secs(70));
    // Time in which we do not read is not the sender's.
    driven.pass(secs(10));
    driven.conn.pause(driven.now);
    driven.pass(secs(100));
    assert!(driven.conn.assembly_deadline().is_none());
    driven.conn.resume(driven.now);
    assert_eq!(due(&driven), secs(170));
    driven.receive(&frame[14 + (160 << 10)..]);
    assert!(driven.conn.assembly_deadline().is_none());
    assert_eq!(driven.said.len(), 1);
}

#[test]
fn endless_empty_fragments_earn_nothing() {
    let mut driven = server();
    driven.receive(&masked(0x01, b""));
    let fragments = masked(0x00, b"").repeat(100);
    for _ in 0..60 {
        driven.pass(secs(1));
        driven.receive(&fragments);
    }
    assert_eq!(driven.ends(), [&End::Violation(Violation::TooSlow)]);
}

#[test]
fn without_a_heartbeat_nothing_falls() {
    let mut driven = Driven::still(Role::Server);
    assert_eq!(driven.conn.poll_timeout(), None);
    driven.receive(&masked(0x81, b"x"));
    assert_eq!(driven.conn.poll_timeout(), None);
}

#[test]
fn limits_of_zero_do_not_spin() {
    let config = Config {
        ping_every: Duration::ZERO,
        pong_within: Duration::ZERO,
        message_within: Duration::ZERO,
        message_rate: 0,
        close_within: Duration::ZERO,
        ..Config::default()
    };
    // `pass` asserts progress at each deadline.
    let mut driven = Driven::new(Role::Server, config, None);
    driven.receive(&[0x81]);
    driven.pass(secs(1));
    assert!(driven.conn.is_done());
}
