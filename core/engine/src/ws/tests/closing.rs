//! The closing handshake: one Close, in its place, with a deadline, whoever begins and whatever comes.

use super::*;
use crate::ws::{CloseCode, CloseError, CloseFrame, Encoded, SendError, Violation};

fn close_frame(code: CloseCode, reason: &str) -> CloseFrame {
    CloseFrame {
        code: Some(code),
        reason: reason.into(),
    }
}

fn payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

#[test]
fn our_close_follows_what_is_queued_and_its_answer_ends_it() {
    let mut driven = Driven::still(Role::Server);
    let Driven { conn, codecs, .. } = &mut driven;
    conn.send(Encoded::text("last words"), codecs).unwrap();
    conn.close(Mono::START, CloseCode::AWAY, "restart").unwrap();
    assert_eq!(
        conn.send(Encoded::text("more"), codecs),
        Err(SendError::Closed)
    );
    assert_eq!(
        conn.close(Mono::START, CloseCode::NORMAL, ""),
        Err(CloseError::Closed)
    );
    assert_eq!(conn.ping(b""), Err(SendError::Closed));
    driven.flush();
    let sent = frames(&driven.sent);
    let expected = [
        (0x81, b"last words".to_vec()),
        (0x88, payload(1001, "restart")),
    ];
    assert_eq!(sent, expected);
    // What the peer sent before it saw our Close still comes in.
    driven.receive(&masked(0x81, b"on its way"));
    driven.receive(&masked(0x89, b"no answer"));
    driven.receive(&masked(0x88, &payload(1001, "bye")));
    let end = End::Answered(close_frame(CloseCode::AWAY, "bye"));
    assert_eq!(end.code(), 1001);
    let expected = [
        text("on its way"),
        Said::Ping(b"no answer".to_vec()),
        Said::End(end),
    ];
    assert_eq!(driven.said, expected);
    driven.flush();
    assert_eq!(frames(&driven.sent).len(), 2, "nothing follows Close");
    assert!(driven.conn.has_sent_all() && !driven.conn.is_done());
    driven.eof();
    assert!(driven.conn.is_done());
    assert_eq!(driven.ends().len(), 1);
}

#[test]
fn a_client_that_never_answers_close_is_cut_at_the_deadline() {
    let mut driven = Driven::still(Role::Server);
    driven
        .conn
        .close(driven.now, CloseCode::NORMAL, "")
        .unwrap();
    driven.flush();
    let deadline = Mono::START.plus(secs(5));
    assert_eq!(driven.conn.poll_timeout(), Some((deadline, "close")));
    // Whatever it sends instead gains no time.
    driven.pass(secs(4));
    driven.receive(&masked(0x81, b"I am still here"));
    driven.pass(secs(1));
    assert!(driven.conn.is_done());
    assert_eq!(driven.ends(), [&End::Unanswered]);
}

#[test]
fn a_peer_that_takes_nothing_is_cut_at_the_deadline() {
    let mut driven = Driven::still(Role::Server);
    driven.receive(&masked(0x88, &payload(1000, "")));
    assert!(!driven.conn.has_sent_all());
    driven.stall(secs(5));
    assert!(driven.conn.is_done());
    let end = End::Peer(close_frame(CloseCode::NORMAL, ""));
    assert_eq!(driven.ends(), [&end]);
}

#[test]
fn both_may_ask_at_once() {
    for flushed in [false, true] {
        let mut driven = Driven::still(Role::Server);
        driven.conn.close(driven.now, CloseCode::AWAY, "").unwrap();
        if flushed {
            driven.flush();
        }
        driven.receive(&masked(0x88, &payload(1000, "")));
        driven.flush();
        assert_eq!(frames(&driven.sent), [(0x88, payload(1001, ""))]);
        assert!(driven.conn.has_sent_all());
        let end = End::Answered(close_frame(CloseCode::NORMAL, ""));
        assert_eq!(driven.ends(), [&end]);
    }
}

#[test]
fn a_half_closed_peer_still_gets_our_close() {
    let mut driven = Driven::still(Role::Server);
    driven.receive(&masked(0x88, &payload(1000, "")));
    driven.eof();
    assert!(!driven.conn.is_done());
    driven.flush();
    assert_eq!(frames(&driven.sent), [(0x88, payload(1000, ""))]);
    assert!(driven.conn.is_done());
}

#[test]
fn a_stream_that_just_ends_is_lost() {
    for begin in [false, true] {
        let mut driven = Driven::still(Role::Client);
        if begin {
            driven
                .conn
                .close(driven.now, CloseCode::NORMAL, "")
                .unwrap();
            driven.flush();
        }
        driven.receive(&plain(0x01, b"half"));
        driven.eof();
        assert!(driven.conn.is_done() && driven.conn.poll_timeout().is_none());
        assert_eq!(driven.ends(), [&End::Lost]);
        assert_eq!(driven.ends()[0].code(), 1006);
    }
}

#[test]
fn a_client_lets_its_server_end_the_stream_first() {
    let mut driven = Driven::still(Role::Client);
    driven.receive(&plain(0x88, &payload(1000, "")));
    driven.flush();
    assert!(!driven.conn.has_sent_all());
    let mut broken = Driven::still(Role::Client);
    broken.receive(&masked(0x81, b"masked"));
    broken.flush();
    assert_eq!(broken.ends(), [&End::Violation(Violation::Masked)]);
    assert!(broken.conn.has_sent_all());
}

#[test]
fn an_unmasked_client_frame_closes_1002() {
    let mut driven = Driven::still(Role::Server);
    driven.receive(&plain(0x81, b"bare"));
    driven.flush();
    assert_eq!(driven.ends(), [&End::Violation(Violation::Unmasked)]);
    assert_eq!(driven.ends()[0].code(), 1002);
    assert_eq!(
        frames(&driven.sent),
        [(0x88, payload(1002, "frame not masked"))]
    );
}

#[test]
fn a_violation_while_closing_keeps_the_close_that_was_sent() {
    let mut driven = Driven::still(Role::Server);
    driven.conn.close(driven.now, CloseCode::AWAY, "").unwrap();
    driven.flush();
    driven.receive(&masked(0x83, b""));
    driven.flush();
    assert_eq!(frames(&driven.sent), [(0x88, payload(1001, ""))]);
    assert_eq!(driven.ends(), [&End::Violation(Violation::Opcode)]);
    assert!(driven.conn.has_sent_all());
}

#[test]
fn answers_go_out_before_the_close_they_cross() {
    // Both lie in one read; the handler runs after it.
    let mut driven = Driven::still(Role::Server);
    let stream = [masked(0x81, b"question"), masked(0x88, &payload(1000, ""))].concat();
    driven.receive(&stream);
    let Driven { conn, codecs, .. } = &mut driven;
    conn.send(Encoded::text("answer"), codecs).unwrap();
    driven.write(9);
    let Driven { conn, codecs, .. } = &mut driven;
    assert_eq!(
        conn.send(Encoded::text("too late"), codecs),
        Err(SendError::Closed),
        "a byte of Close is out"
    );
    driven.flush();
    let expected = [(0x81, b"answer".to_vec()), (0x88, payload(1000, ""))];
    assert_eq!(frames(&driven.sent), expected);
}

#[test]
fn a_reason_that_does_not_fit_is_refused() {
    let mut driven = Driven::still(Role::Server);
    let long = "x".repeat(124);
    let refused = driven.conn.close(driven.now, CloseCode::NORMAL, &long);
    assert_eq!(refused, Err(CloseError::ReasonTooLong));
    let fits = driven.conn.close(driven.now, CloseCode::NORMAL, &long[1..]);
    assert_eq!(fits, Ok(()));
}

#[test]
fn a_ping_that_comes_while_our_close_goes_out_does_not_break_into_it() {
    let mut driven = Driven::still(Role::Server);
    driven
        .conn
        .close(driven.now, CloseCode::NORMAL, "bye")
        .unwrap();
    driven.write(1);
    driven.receive(&masked(0x89, b"still there?"));
    driven.flush();
    assert_eq!(frames(&driven.sent), [(0x88, payload(1000, "bye"))]);
}
