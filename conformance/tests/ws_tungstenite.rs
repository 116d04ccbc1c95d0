//! The WebSocket server on every runtime, with tungstenite as its client: a reading of RFC 6455 that is not ours.

#[path = "ws_tungstenite/peer.rs"]
mod peer;

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use peer::{closed, head, on_each_runtime};
use tideway::ws::{CloseCode, Socket, WebSocketUpgrade};
use tideway::{Response, get};
use tideway_conformance::Runtime;
use tideway_conformance::suite::{Harness, Site};
use tungstenite::Message;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};
use tungstenite::protocol::{Role, WebSocket};

async fn echo(mut socket: Socket) {
    while let Some(message) = socket.recv().await {
        if message.as_text() == Some("bye") {
            let code = CloseCode::new(4000).expect("a code for applications");
            socket.close(code, "as you wish").expect("it is open");
        } else if socket.send(message).await.is_err() {
            break;
        }
    }
}

fn site<R: Runtime>(h: &Harness<R>) -> Site {
    h.site().serve(|app| {
        app.route(
            "/",
            get(|upgrade: WebSocketUpgrade| -> Response {
                upgrade
                    .max_message(4 << 20)
                    .protocols(["two", "three"])
                    .on_upgrade(echo)
            }),
        )
    })
}

fn open(site: &Site) -> WebSocket<TcpStream> {
    let mut stream = TcpStream::connect(site.addr()).expect("it listens");
    let limit = Some(Duration::from_secs(10));
    stream.set_read_timeout(limit).expect("a limit above zero");
    stream
        .write_all(
            b"GET / HTTP/1.1\r\nHost: suite\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
              Sec-WebSocket-Protocol: one, two\r\nSec-WebSocket-Protocol: three\r\n\
              Origin: http://suite\r\n\r\n",
        )
        .expect("it reads");
    let head = head(&mut stream).to_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(
        head.contains("\r\nsec-websocket-protocol: two\r\n"),
        "{head}"
    );
    WebSocket::from_raw_socket(stream, Role::Client, None)
}

fn messages_come_back<R: Runtime>(h: &Harness<R>) {
    let site = site(h);
    let mut socket = open(&site);
    for size in [0, 1, 30, 31, 125, 126, 65_535, 65_536, 3 << 20] {
        for message in [
            Message::text("é".repeat(size / 2)),
            Message::binary(vec![7; size]),
        ] {
            socket.send(message.clone()).expect("it is open");
            assert_eq!(socket.read().expect("an answer"), message);
        }
    }
    // Many at once.
    for n in 0..100 {
        socket.write(Message::text(n.to_string())).expect("room");
    }
    socket.flush().expect("it reads");
    for n in 0..100 {
        assert_eq!(
            socket.read().expect("an answer"),
            Message::text(n.to_string())
        );
    }
    socket.close(None).expect("it is open");
    assert_eq!(closed(&mut socket), None, "our own Close, answered in kind");
}

fn fragments_and_pings_between_them<R: Runtime>(h: &Harness<R>) {
    let site = site(h);
    let mut socket = open(&site);
    let part = |code, last, data: &'static [u8]| {
        Message::Frame(Frame::message(data, OpCode::Data(code), last))
    };
    // Cut inside of a letter.
    socket.send(part(Data::Text, false, b"\xc3")).expect("open");
    socket.send(Message::Ping("between".into())).expect("open");
    socket.send(part(Data::Continue, false, b"")).expect("open");
    socket
        .send(part(Data::Continue, true, b"\xa9"))
        .expect("open");
    assert_eq!(
        socket.read().expect("a pong"),
        Message::Pong("between".into())
    );
    assert_eq!(socket.read().expect("an answer"), Message::text("é"));
    socket.send(Message::text("bye")).expect("open");
    assert_eq!(closed(&mut socket), Some(4000));
}

fn broken_rules_have_their_codes<R: Runtime>(h: &Harness<R>) {
    let site = site(h);
    let frame = |opcode, data: Vec<u8>| Frame::message(data, opcode, true);
    let mut reserved = frame(OpCode::Data(Data::Text), b"x".to_vec());
    *reserved.header_mut() = FrameHeader {
        rsv1: true,
        ..reserved.header().clone()
    };
    for (frame, code) in [
        (reserved, 1002),
        (frame(OpCode::Data(Data::Text), vec![0xff]), 1007),
        (
            frame(OpCode::Data(Data::Binary), vec![0; (4 << 20) + 1]),
            1009,
        ),
        (
            frame(OpCode::Data(Data::Continue), b"of nothing".to_vec()),
            1002,
        ),
    ] {
        let mut socket = open(&site);
        // What is too large need not be read to its end.
        let _ = socket.send(Message::Frame(frame));
        assert_eq!(closed(&mut socket), Some(code));
    }
}

on_each_runtime! {
    messages_come_back,
    fragments_and_pings_between_them,
    broken_rules_have_their_codes,
}
