//! The opening handshake in memory and virtual time, and the socket behind it.

use std::io::IoSlice;
use std::pin::pin;
use std::task::Waker;

use futures_util::future::FutureExt as _;
use proptest::prelude::*;
use tideway_engine::ws::handshake::accept_key;
use tideway_engine::ws::{Codecs, Conn, Encoded, Event};

use super::*;
use crate::ws::client::DEFAULTS;
use crate::ws::{Cause, SendError};

type Told = oneshot::Receiver<Result<Socket, ConnectError>>;

fn order() -> Order {
    Order {
        headers: HeaderMap::new(),
        protocols: vec!["one".into(), "two".into()],
        config: DEFAULTS.clone(),
        deflate: false,
        within: Duration::from_secs(10),
    }
}

fn begun(order: Order) -> (Opening, Told) {
    let address = Address::read("ws://h:9001/a?b=c").expect("a good URL");
    let (dial, told) = Dial::new(address, order);
    (dial.start(Mono::START, &Seed::from_u64(7)), told)
}

fn sent(opening: &mut Opening) -> String {
    let mut sent = Vec::new();
    while let [byte, ..] = *opening.poll_transmit() {
        sent.push(byte);
        opening.handle_tx(1);
    }
    String::from_utf8(sent).expect("ASCII")
}

fn key(request: &str) -> &str {
    let after = request.split("Sec-WebSocket-Key: ").nth(1).expect("a key");
    after.split("\r\n").next().expect("a line")
}

fn answer(key: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: two\r\n\r\n",
        accept_key(key)
    )
}

fn error(told: &mut Told) -> Option<ConnectError> {
    told.try_recv().expect("it is told")?.err()
}

#[test]
fn the_request_is_that_of_the_rfc() {
    let mut wanted = order();
    wanted.deflate = true;
    wanted
        .headers
        .append(header::AUTHORIZATION, "Bearer x".parse().expect("a value"));
    let (mut opening, _told) = begun(wanted);
    assert_eq!((opening.host(), opening.port()), ("h", 9001));
    let request = sent(&mut opening);
    let key = key(&request);
    assert_eq!(key.len(), 24);
    assert_eq!(
        request,
        format!(
            "GET /a?b=c HTTP/1.1\r\nHost: h:9001\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Protocol: one, two\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
             client_no_context_takeover; client_max_window_bits\r\n\
             authorization: Bearer x\r\n\r\n"
        )
    );
    // Another connection, another key.
    let address = Address::read("ws://h").expect("a good URL");
    let (dial, _told) = Dial::new(address, order());
    let mut other = dial.start(Mono::START, &Seed::from_u64(8));
    assert!(!sent(&mut other).contains(key));
}

#[test]
fn a_good_answer_opens_a_socket_that_has_the_bytes_behind_it() {
    let (mut opening, mut told) = begun(order());
    let key = key(&sent(&mut opening)).to_owned();
    let bytes = [answer(&key).as_bytes(), b"\x81\x05early"].concat();
    let mut session = opening.handle_rx(Mono::START, &bytes).expect("a session");
    assert!(opening.is_over());
    let (mut cx, mut codecs) = (Context::from_waker(Waker::noop()), Codecs::default());
    let mut socket = told.try_recv().expect("told").expect("now").expect("good");
    assert_eq!(socket.protocol(), Some("two"));
    assert!(session.poll(Mono::START, &mut cx, &mut codecs).is_pending());
    let early = socket.recv().now_or_never().expect("it is here");
    assert_eq!(early.expect("a message").as_text(), Some("early"));
    // What it sends is masked, and what is queued goes ahead of the Close that dropping it sends.
    socket
        .send("hi")
        .now_or_never()
        .expect("room")
        .expect("open");
    drop(socket);
    let mut server = Conn::new(
        Role::Server,
        Arc::default(),
        None,
        &Seed::from_u64(1),
        Mono::START,
    );
    let mut got = Vec::new();
    session.wake();
    assert!(session.poll(Mono::START, &mut cx, &mut codecs).is_pending());
    let mut out = transmit(&mut session, &mut codecs);
    assert_eq!(out[1] & 0x80, 0x80);
    let mut input = &mut out[..];
    while let Some(event) = server.handle_rx(Mono::START, &mut input, &mut codecs) {
        if let Event::Text(text) = event {
            got.push(text.into_owned());
        }
    }
    assert_eq!(got, ["hi"]);
    assert_eq!(server.poll_event().expect("Close").code(), 1000);
    // The server is the first to close the stream (RFC 6455 §7.1.1), and is waited for, though not for ever.
    session.handle_rx(Mono::START, &mut [0x88, 2, 3, 232], &mut codecs);
    assert!(!session.has_sent_all() && !session.is_over());
    assert_eq!(session.poll_timeout().map(|(_, why)| why), Some("close"));
    session.handle_lost(Mono::START, false);
    assert!(session.is_over());
    assert!(session.poll(Mono::START, &mut cx, &mut codecs).is_ready());
}

fn transmit(session: &mut Session, codecs: &mut Codecs) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut slices = [IoSlice::new(&[]); 8];
        let count = session.poll_transmit(&mut slices);
        let some: Vec<u8> = slices[..count]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        if some.is_empty() {
            return all;
        }
        session.handle_tx(Mono::START, some.len(), codecs);
        all.extend(some);
    }
}

#[test]
fn how_it_ended_can_be_read_by_every_holder() {
    let (mut opening, mut told) = begun(order());
    let key = key(&sent(&mut opening)).to_owned();
    let mut session = opening
        .handle_rx(Mono::START, answer(&key).as_bytes())
        .expect("a session");
    let socket = told.try_recv().expect("told").expect("now").expect("good");
    let (sender, mut receiver) = socket.split();
    let other = sender.clone();
    assert_eq!((sender.closed(), receiver.closed()), (None, None));
    let (mut cx, mut codecs) = (Context::from_waker(Waker::noop()), Codecs::default());
    session.handle_rx(
        Mono::START,
        &mut b"\x81\x01x\x88\x05\x0f\xa1bye".to_vec(),
        &mut codecs,
    );
    let _ = session.poll(Mono::START, &mut cx, &mut codecs);
    transmit(&mut session, &mut codecs);
    assert!(receiver.recv().now_or_never().expect("here").is_some());
    assert!(receiver.recv().now_or_never().expect("over").is_none());
    for closed in [sender.closed(), other.closed(), receiver.closed()] {
        let closed = closed.expect("it is over");
        assert_eq!(
            (closed.cause, closed.code, &*closed.reason),
            (Cause::Peer, 4001, "bye")
        );
    }
    session.wake();
    let _ = session.poll(Mono::START, &mut cx, &mut codecs);
    transmit(&mut session, &mut codecs);
    let refused = sender.send("late").now_or_never().expect("at once");
    assert!(matches!(refused, Err(SendError::Closed)), "{refused:?}");
}

#[test]
fn what_came_before_a_close_or_a_broken_rule_is_answered_first() {
    // Close; a reserved bit; and how our Close begins.
    for end in [&b"\x88\x02\x03\xe8"[..], b"\xc1\x01x"] {
        let (mut opening, mut told) = begun(order());
        let key = key(&sent(&mut opening)).to_owned();
        let mut session = opening
            .handle_rx(Mono::START, answer(&key).as_bytes())
            .expect("a session");
        let mut socket = told.try_recv().expect("told").expect("now").expect("good");
        let (mut cx, mut codecs) = (Context::from_waker(Waker::noop()), Codecs::default());
        assert!(socket.recv().now_or_never().is_none(), "it waits");
        let mut bytes = [b"\x81\x02hi", end].concat();
        session.handle_rx(Mono::START, &mut bytes, &mut codecs);
        let _ = session.poll(Mono::START, &mut cx, &mut codecs);
        assert!(
            transmit(&mut session, &mut codecs).is_empty(),
            "the reader is at it"
        );
        assert_eq!(session.poll_timeout().map(|(_, why)| why), Some("answers"));
        let hi = socket.recv().now_or_never().expect("here").expect("it");
        socket.send(hi).now_or_never().expect("room").expect("open");
        assert!(socket.recv().now_or_never().expect("over").is_none());
        session.wake();
        let _ = session.poll(Mono::START, &mut cx, &mut codecs);
        let out = transmit(&mut session, &mut codecs);
        assert_eq!((out[0], out[8]), (0x81, 0x88), "the answer, then Close");
    }
    // Whoever only waits, or is gone, is not waited for; whoever is slow, for a moment.
    for (held, at_once) in [("waiting", true), ("dropped", true), ("busy", false)] {
        let (mut opening, mut told) = begun(order());
        let key = key(&sent(&mut opening)).to_owned();
        let mut session = opening
            .handle_rx(Mono::START, answer(&key).as_bytes())
            .expect("a session");
        let socket = told.try_recv().expect("told").expect("now").expect("good");
        let (mut cx, mut codecs) = (Context::from_waker(Waker::noop()), Codecs::default());
        let (sender, mut receiver) = socket.split();
        if held == "waiting" {
            assert!(receiver.recv().now_or_never().is_none());
        }
        let receiver = (held != "dropped").then_some(receiver);
        session.handle_rx(Mono::START, &mut b"\x88\x00".to_vec(), &mut codecs);
        let _ = session.poll(Mono::START, &mut cx, &mut codecs);
        let out = transmit(&mut session, &mut codecs);
        assert_eq!(out.first() == Some(&0x88), at_once, "{held}: {out:?}");
        if !at_once {
            let (at, _) = session.poll_timeout().expect("a deadline");
            assert_eq!(at, Mono::START.plus(Duration::from_millis(100)));
            session.handle_timeout(at);
            assert_eq!(transmit(&mut session, &mut codecs)[0], 0x88);
        }
        drop((sender, receiver));
    }
}

#[test]
fn a_socket_closes_with_the_last_of_its_holders() {
    let (mut opening, mut told) = begun(order());
    let key = key(&sent(&mut opening)).to_owned();
    let mut session = opening
        .handle_rx(Mono::START, answer(&key).as_bytes())
        .expect("a session");
    let socket = told.try_recv().expect("told").expect("now").expect("good");
    let (sender, receiver) = socket.split();
    let other = sender.clone();
    let (mut cx, mut codecs) = (Context::from_waker(Waker::noop()), Codecs::default());
    let mut after = |what: &str| {
        session.wake();
        let _ = session.poll(Mono::START, &mut cx, &mut codecs);
        let out = transmit(&mut session, &mut codecs);
        assert!(out.is_empty(), "{what}: {out:?}");
    };
    after("nothing");
    drop(receiver);
    after("the receiver");
    drop(sender);
    after("a sender");
    drop(other);
    session.wake();
    let _ = session.poll(Mono::START, &mut cx, &mut codecs);
    assert_eq!(transmit(&mut session, &mut codecs)[0], 0x88);
}

#[test]
fn a_socket_cut_with_its_session_says_so() {
    let (mut opening, mut told) = begun(order());
    let key = key(&sent(&mut opening)).to_owned();
    let session = opening.handle_rx(Mono::START, answer(&key).as_bytes());
    let mut socket = told.try_recv().expect("told").expect("now").expect("good");
    drop(session);
    assert!(socket.recv().now_or_never().expect("over").is_none());
    assert_eq!(socket.closed().map(|closed| closed.cause), Some(Cause::Cut));
}

#[test]
fn what_is_wrong_with_an_answer_is_said() {
    let cases: [(&str, &str, &str); 7] = [
        ("Upgrade: WebSocket", "Upgrade: h2c", "Upgrade"),
        ("keep-alive, upgrade", "keep-alive", "Connection"),
        (
            "Sec-WebSocket-Accept: ",
            "Sec-WebSocket-Accept: x",
            "Accept",
        ),
        ("Sec-WebSocket-Accept: ", "x: ", "Accept"),
        ("Protocol: two", "Protocol: three", "Protocol"),
        (
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            "Extensions",
        ),
        (
            "\r\n\r\n",
            "\r\nSec-WebSocket-Protocol: two\r\n\r\n",
            "Protocol",
        ),
    ];
    for (from, to, what) in cases {
        let (mut opening, mut told) = begun(order());
        let key = key(&sent(&mut opening)).to_owned();
        let wrong = answer(&key).replace(from, to);
        assert!(opening.handle_rx(Mono::START, wrong.as_bytes()).is_none());
        assert!(opening.is_over());
        match error(&mut told) {
            Some(ConnectError::Answer(bad)) => assert_eq!(format!("{bad:?}"), what, "{wrong}"),
            other => panic!("{other:?}, not {what}"),
        }
    }
}

#[test]
fn whoever_waits_is_told_why_there_is_no_socket() {
    let late = Mono::START.plus(Duration::from_secs(10));
    let told = |end: &dyn Fn(&mut Opening)| {
        let (mut opening, mut told) = begun(order());
        sent(&mut opening);
        end(&mut opening);
        assert!(opening.is_over());
        assert_eq!(opening.poll_timeout(), None);
        error(&mut told).expect("an error").to_string()
    };
    let refused = io::ErrorKind::ConnectionRefused;
    let unreachable = told(&|opening| opening.handle_unreachable(refused.into()));
    assert!(
        unreachable.starts_with("no connection to h:9001: connection refused; "),
        "{unreachable}"
    );
    let lost = told(&|opening| opening.handle_lost());
    assert!(lost.contains("before its answer was complete"), "{lost}");
    let silent = told(&|opening| {
        assert_eq!(opening.poll_timeout(), Some((late, "handshake")));
        opening.handle_timeout(late);
    });
    assert!(
        silent.starts_with("no WebSocket with h:9001 in 10s: "),
        "{silent}"
    );
    let stopped = told(&Opening::stop);
    assert!(stopped.starts_with("the program stops"), "{stopped}");
    // A refusal whose body does not come is one without it.
    let half = "HTTP/1.1 503 Busy\r\ncontent-length: 100\r\n\r\nlat";
    let refused = told(&|opening| {
        assert!(opening.handle_rx(Mono::START, half.as_bytes()).is_none());
        assert!(!opening.is_over());
        let (at, _) = opening.poll_timeout().expect("a deadline");
        assert_eq!(at, Mono::START.plus(BODY));
        opening.handle_timeout(at);
    });
    assert_eq!(refused, "the server refused: 503 Service Unavailable: lat");
    let cut = told(&|opening| {
        assert!(opening.handle_rx(Mono::START, half.as_bytes()).is_none());
        opening.handle_lost();
    });
    assert_eq!(cut, refused);
}

#[test]
fn nobody_who_gave_up_is_connected_for() {
    let (mut opening, told) = begun(order());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(opening.poll_unwanted(&mut cx).is_pending());
    drop(told);
    assert!(opening.poll_unwanted(&mut cx).is_ready());
    // The other way around, the one who waits hears of it.
    let (opening, told) = begun(order());
    drop(opening);
    assert!(pin!(told).now_or_never().expect("at once").is_err());
}

proptest! {
    /// RFC 6455 §4.1 and the frames behind it: any cut gives the same messages.
    #[test]
    fn however_the_answer_is_cut_nothing_is_lost(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        messages in prop::collection::vec("[a-z]{0,200}", 0..5),
    ) {
        let (mut opening, mut told) = begun(order());
        let key = key(&sent(&mut opening)).to_owned();
        let mut bytes = answer(&key).into_bytes();
        let mut server = Conn::new(Role::Server, Arc::default(), None, &Seed::from_u64(1), Mono::START);
        let mut codecs = Codecs::default();
        for message in &messages {
            server.send(Encoded::text(message), &mut codecs).expect("open");
        }
        let mut slices = [IoSlice::new(&[]); 8];
        let count = server.poll_transmit(&mut slices);
        slices[..count].iter().for_each(|slice| bytes.extend_from_slice(slice));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut session = None;
        let mut cx = Context::from_waker(Waker::noop());
        for cut in cuts.windows(2) {
            let piece = &mut bytes[cut[0]..cut[1]];
            match &mut session {
                None => session = opening.handle_rx(Mono::START, piece),
                Some(session) => session.handle_rx(Mono::START, piece, &mut codecs),
            }
            if let Some(session) = &mut session {
                prop_assert!(session.poll(Mono::START, &mut cx, &mut codecs).is_pending());
            }
        }
        let mut socket = told.try_recv().expect("told").expect("now").expect("good");
        for message in &messages {
            let got = socket.recv().now_or_never().flatten().expect("a message");
            prop_assert_eq!(got.as_text(), Some(&**message));
        }
        prop_assert!(socket.recv().now_or_never().is_none());
    }
}
