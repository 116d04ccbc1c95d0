//! WebSockets over HTTP/2 (RFC 8441): a stream each, beside requests on the same connection.

use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use tideway::ws::Cause;
use tideway_driver::Runtime;

use super::Harness;
use super::claim::{fail, holds, not_before, same};
use super::http2_client::{Http2, on_http2, pause, whole};
use super::websocket::{BINARY, CLOSE, Ends, TEXT, echoes, frame};

/// A socket over HTTP/2, on its client's side.
struct Tunnel {
    send: SendStream<Bytes>,
    receive: RecvStream,
    read: Vec<u8>,
}

impl Tunnel {
    async fn open(h2: &mut Http2, path: &str) -> Self {
        let (head, send, receive) = h2.tunnel("websocket", path).await;
        same(head.status.as_u16(), 200, "RFC 8441 §5");
        holds(
            !head.headers.contains_key("sec-websocket-accept"),
            "no `Sec-WebSocket-Accept`",
            format!("{:?}", head.headers),
            "there was no key",
        );
        Self {
            send,
            receive,
            read: Vec::new(),
        }
    }

    async fn say(&mut self, opcode: u8, payload: &[u8]) {
        let mut bytes = Bytes::from(frame(opcode, payload));
        while !bytes.is_empty() {
            self.send.reserve_capacity(bytes.len());
            let room = std::future::poll_fn(|cx| self.send.poll_capacity(cx)).await;
            let Some(Ok(room)) = room else {
                fail("room to send", format!("{room:?}"), "the server reads");
            };
            let piece = bytes.split_to(room.min(bytes.len()));
            if let Err(error) = self.send.send_data(piece, false) {
                fail("a stream", error.to_string(), "it is open");
            }
        }
    }

    /// The next bytes; false at the end.
    async fn more(&mut self) -> bool {
        loop {
            match self.receive.data().await {
                None => return false,
                // What carries END_STREAM.
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    let _ = self.receive.flow_control().release_capacity(data.len());
                    self.read.extend_from_slice(&data);
                    return true;
                }
                Some(Err(error)) => fail("a frame", error.to_string(), "it is open"),
            }
        }
    }

    /// The next frame: opcode and payload.
    async fn next(&mut self) -> (u8, Vec<u8>) {
        loop {
            let len = match *self.read {
                [_, len @ ..126, ..] => Some((2, usize::from(len))),
                [_, 126, a, b, ..] => Some((4, usize::from(u16::from_be_bytes([a, b])))),
                [_, 127, _, _, _, _, a, b, c, d, ..] => {
                    Some((10, u32::from_be_bytes([a, b, c, d]) as usize))
                }
                _ => None,
            };
            if let Some((head, len)) = len
                && self.read.len() >= head + len
            {
                let opcode = self.read[0] & 0xf;
                let rest = self.read.split_off(head + len);
                let payload = self.read.split_off(head);
                self.read = rest;
                return (opcode, payload);
            }
            if !self.more().await {
                fail("a frame", "the end of the stream", "it is open");
            }
        }
    }

    /// The peer says Close with `code`; we answer, and both ends of the stream are closed.
    async fn closes(mut self, code: u16) {
        let (opcode, payload) = self.next().await;
        let said = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        same((opcode, said), (CLOSE, Some(code)), "the peer is told why");
        self.say(CLOSE, &code.to_be_bytes()).await;
        same(self.more().await, false, "END_STREAM: both have sent Close");
        let _ = self.send.send_data(Bytes::new(), true);
    }
}

/// Waits for the end of `count` sockets, while the connection goes on.
async fn told(ends: &Ends, count: usize) {
    while ends.list().len() < count {
        pause(Duration::from_millis(2)).await;
    }
}

/// Two sockets and requests on one connection: each has its own messages, and none waits for another.
pub fn two_sockets_and_a_request_share_a_connection<R: Runtime>(h: &Harness<R>) {
    let ends = Ends::default();
    let site = h.site().serve(|app| echoes(app, &ends));
    on_http2(site.addr(), async |mut h2| {
        let mut one = Tunnel::open(&mut h2, "/echo").await;
        let mut two = Tunnel::open(&mut h2, "/echo").await;
        for size in [0, 125, 126, 65_535, 65_536, 3 << 20] {
            one.say(BINARY, &vec![1; size]).await;
            two.say(TEXT, &vec![b'x'; size]).await;
            same(
                h2.get("/").await.text().as_str(),
                "hello",
                "a request beside",
            );
            let (opcode, back) = two.next().await;
            same((opcode, back == vec![b'x'; size]), (TEXT, true), "an echo");
            let (opcode, back) = one.next().await;
            same((opcode, back == vec![1; size]), (BINARY, true), "an echo");
        }
        one.say(CLOSE, &1000_u16.to_be_bytes()).await;
        one.closes(1000).await;
        two.say(TEXT, b"still").await;
        same(
            two.next().await,
            (TEXT, b"still".to_vec()),
            "the other lives on",
        );
        // A frame that is not masked.
        let _ = two.send.send_data(Bytes::from_static(b"\x81\x02hi"), false);
        let (opcode, payload) = two.next().await;
        same((opcode, &payload[..2]), (CLOSE, &[3, 234][..]), "1002");
        same(two.more().await, false, "and the end of the stream");
        let _ = two.send.send_data(Bytes::new(), true);
        same(
            h2.get("/").await.status,
            200,
            "the connection lives on, too",
        );
    });
    let broken = Cause::Violation(tideway::ws::Violation::Unmasked);
    ends.are(&[Cause::Peer, broken]);
    site.idle("an upgrade ends its exchange");
}

/// Another protocol, a route without a WebSocket, no route: none of them looks like a socket.
pub fn what_opens_no_socket_is_refused<R: Runtime>(h: &Harness<R>) {
    let ends = Ends::default();
    let site = h
        .site()
        .serve(|app| echoes(app, &ends).route("/any", tideway::any(|| "whatever you say")));
    on_http2(site.addr(), async |mut h2| {
        for (protocol, path, status) in [
            ("connect-udp", "/echo", 405),
            ("connect-udp", "/any", 501),
            ("websocket", "/", 501),
            ("websocket", "/none", 404),
        ] {
            let (head, _send, body) = h2.tunnel(protocol, path).await;
            let reply = whole(head, body).await;
            same(
                (reply.status, reply.header("content-type")),
                (status, Some("application/problem+json")),
                "a 200 would be a socket (RFC 8441 §4)",
            );
        }
        // As a request it is none either.
        same(
            h2.get("/echo").await.status,
            426,
            "a GET asks for no socket",
        );
        let mut socket = Tunnel::open(&mut h2, "/echo").await;
        socket.say(TEXT, b"one").await;
        same(
            socket.next().await,
            (TEXT, b"one".to_vec()),
            "it was no harm",
        );
        socket.say(CLOSE, &1000_u16.to_be_bytes()).await;
        socket.closes(1000).await;
    });
    ends.are(&[Cause::Peer]);
}

/// A reset stream, a finished one and a lost connection end their sockets; an idle connection that has one is kept.
pub fn a_lost_stream_ends_its_socket_and_no_other<R: Runtime>(h: &Harness<R>) {
    let ends = Ends::default();
    let short = Duration::from_millis(300);
    let site = h
        .site()
        .options(|options| options.limits.keep_alive = short)
        .serve(|app| echoes(app, &ends));
    on_http2(site.addr(), async |mut h2| {
        let mut reset = Tunnel::open(&mut h2, "/echo").await;
        let mut ended = Tunnel::open(&mut h2, "/echo").await;
        let mut lives = Tunnel::open(&mut h2, "/echo").await;
        for tunnel in [&mut reset, &mut ended, &mut lives] {
            tunnel.say(TEXT, b"here").await;
            same(tunnel.next().await.0, TEXT, "each is served");
        }
        reset.send.send_reset(Reason::CANCEL);
        told(&ends, 1).await;
        let _ = ended.send.send_data(Bytes::new(), true);
        same(ended.more().await, false, "an end is answered by one");
        told(&ends, 2).await;
        pause(2 * short).await;
        lives.say(TEXT, b"still").await;
        same(
            lives.next().await,
            (TEXT, b"still".to_vec()),
            "a connection with a socket is not idle",
        );
    });
    ends.are(&[Cause::Lost; 3]);
    site.stop.stop();
    same(site.report().cut, 0, "none was left to be cut");
}

/// A stop says 1001 to every socket, waits for the answers, and cuts who gives none.
pub fn a_stop_closes_sockets_over_http2<R: Runtime>(h: &Harness<R>) {
    let ends = Ends::default();
    let drain = Duration::from_millis(500);
    let site = h
        .site()
        .options(|options| options.drain = drain)
        .serve(|app| echoes(app, &ends));
    let begun = on_http2(site.addr(), async |mut h2| {
        let polite = Tunnel::open(&mut h2, "/echo").await;
        let mut rude = Tunnel::open(&mut h2, "/echo").await;
        let begun = Instant::now();
        site.stop.stop();
        polite.closes(1001).await;
        same(rude.next().await.0, CLOSE, "it is told as well");
        // Kept open until the cut.
        told(&ends, 2).await;
        begun
    });
    ends.are(&[Cause::Stop; 2]);
    same(site.report().cut, 1, "the connection is cut, and counted");
    not_before(begun, drain, "the cut", "until then it could have answered");
}
