//! The WebSocket client on every runtime, with tungstenite as its server: a reading of RFC 6455 that is not ours.

#[path = "ws_tungstenite/peer.rs"]
mod peer;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use peer::{Peer, closed, head, on_each_runtime};
use tideway::ws::{self, Cause, CloseCode, Closed, Socket};
use tideway_conformance::Runtime;
use tideway_conformance::suite::Harness;
use tideway_driver::tasks;
use tideway_engine::ws::handshake::accept_key;
use tungstenite::Message;
use tungstenite::protocol::frame::coding::{CloseCode as Code, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role, WebSocket};

/// Serves one socket with `work`, whose value is sent.
fn serve<T: Send + 'static>(
    work: impl FnOnce(Peer) -> T + Send + 'static,
) -> (SocketAddr, mpsc::Receiver<T>) {
    let on = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = on.local_addr().expect("it is bound");
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = on.accept().expect("a client");
        let limit = Some(Duration::from_secs(10));
        stream.set_read_timeout(limit).expect("a limit above zero");
        let head = head(&mut stream);
        let key = head.split("Sec-WebSocket-Key: ").nth(1).expect("a key");
        let key = key.split("\r\n").next().expect("a line");
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-accept: {}\r\n\r\n",
            accept_key(key)
        );
        stream.write_all(answer.as_bytes()).expect("it reads");
        let _ = tell.send(work(WebSocket::from_raw_socket(stream, Role::Server, None)));
    });
    (addr, told)
}

/// Runs `talk` with a socket to `addr`.
fn on_socket<R, T, F>(
    h: &Harness<R>,
    addr: SocketAddr,
    talk: impl FnOnce(Socket) -> F + Send + 'static,
) -> T
where
    R: Runtime,
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    h.on_runtime(move |rt| async move {
        let tasks = tasks(rt);
        let opened = ws::connect(&tasks, &format!("ws://{addr}/x?y=z"))
            .max_message(4 << 20)
            .await;
        talk(opened.expect("a socket")).await
    })
}

async fn echo(mut socket: Socket) -> Closed {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
    socket.over().await
}

fn messages_come_back<R: Runtime>(h: &Harness<R>) {
    let (addr, told) = serve(|mut peer| {
        for size in [0, 1, 30, 31, 125, 126, 65_535, 65_536, 3 << 20] {
            for message in [
                Message::text("é".repeat(size / 2)),
                Message::binary(vec![7; size]),
            ] {
                peer.send(message.clone()).expect("it is open");
                assert_eq!(peer.read().expect("an answer"), message);
            }
        }
        for n in 0..100 {
            peer.write(Message::text(n.to_string())).expect("room");
        }
        peer.flush().expect("it reads");
        for n in 0..100 {
            assert_eq!(peer.read().expect("it"), Message::text(n.to_string()));
        }
        let part = |code, last, data: &'static [u8]| {
            Message::Frame(Frame::message(data, OpCode::Data(code), last))
        };
        // Cut inside of a letter.
        peer.send(part(Data::Text, false, b"\xc3")).expect("open");
        peer.send(Message::Ping("between".into())).expect("open");
        peer.send(part(Data::Continue, true, b"\xa9"))
            .expect("open");
        assert_eq!(
            peer.read().expect("a pong"),
            Message::Pong("between".into())
        );
        assert_eq!(peer.read().expect("it"), Message::text("é"));
        let frame = CloseFrame {
            code: Code::Library(4001),
            reason: "bye".into(),
        };
        peer.close(Some(frame)).expect("it is open");
        closed(&mut peer)
    });
    let end = on_socket(h, addr, echo);
    assert_eq!(
        (end.cause, end.code, &*end.reason),
        (Cause::Peer, 4001, "bye")
    );
    assert_eq!(told.recv().expect("it ended well"), Some(4001));
}

fn closing_tells_the_server_why<R: Runtime>(h: &Harness<R>) {
    let (addr, told) = serve(|mut peer| closed(&mut peer));
    let end = on_socket(h, addr, |mut socket| async move {
        let code = CloseCode::new(4000).expect("a code for applications");
        socket.close(code, "as you wish").expect("it is open");
        assert!(socket.recv().await.is_none());
        socket.over().await
    });
    assert_eq!((end.cause, end.code), (Cause::Handler, 4000));
    assert_eq!(told.recv().expect("it ended well"), Some(4000));
    // Dropped with messages in the queue: they go first.
    let (addr, told) = serve(|mut peer| {
        let mut sum = 0;
        loop {
            match peer.read().expect("a frame") {
                Message::Binary(data) => sum += data.len(),
                Message::Close(frame) => {
                    let code = frame.map(|frame| u16::from(frame.code));
                    assert_eq!(closed(&mut peer), None);
                    return (sum, code);
                }
                other => panic!("{other:?}"),
            }
        }
    });
    let got = on_socket(h, addr, |socket| async move {
        for _ in 0..10 {
            socket.send(vec![7; 100_000]).await.expect("it is open");
        }
        drop(socket);
        // The runtime lives until the server has seen it all.
        told.recv_timeout(Duration::from_secs(10))
    });
    assert_eq!(got, Ok((1_000_000, Some(1000))));
}

fn raw(peer: &mut Peer, bytes: &[u8]) {
    peer.get_mut().write_all(bytes).expect("it reads");
}

fn broken_rules_of_the_server_have_their_codes<R: Runtime>(h: &Harness<R>) {
    type Break = fn(&mut Peer);
    let cases: [(Break, u16); 4] = [
        // Masked, which only a client's are.
        (|peer| raw(peer, b"\x81\x82\0\0\0\0hi"), 1002),
        (|peer| raw(peer, b"\x81\x01\xff"), 1007),
        (|peer| raw(peer, b"\x83\x00"), 1002),
        (
            |peer| {
                // What is too large need not be read to its end.
                let _ = peer.send(Message::binary(vec![0; (4 << 20) + 1]));
            },
            1009,
        ),
    ];
    for (broken, code) in cases {
        let (addr, told) = serve(move |mut peer| {
            broken(&mut peer);
            closed(&mut peer)
        });
        let end = on_socket(h, addr, echo);
        assert!(matches!(end.cause, Cause::Violation(_)), "{end:?}");
        assert_eq!(end.code, code);
        assert_eq!(told.recv().expect("it ended well"), Some(code));
    }
}

fn a_server_that_vanishes_is_noticed<R: Runtime>(h: &Harness<R>) {
    let (addr, _told) = serve(|mut peer| {
        peer.send(Message::text("gone in a moment")).expect("open");
        drop(peer);
    });
    let end = on_socket(h, addr, echo);
    assert_eq!((end.cause, end.code), (Cause::Lost, 1006));
}

on_each_runtime! {
    messages_come_back,
    closing_tells_the_server_why,
    broken_rules_of_the_server_have_their_codes,
    a_server_that_vanishes_is_noticed,
}
