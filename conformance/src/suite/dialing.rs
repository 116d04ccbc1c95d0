//! WebSockets to other servers: what an app opens is a socket like those it serves, fails with a reason, and ends with it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tideway::ws::{self, Cause, Closed, ConnectError, WebSocketUpgrade};
use tideway::{App, Clock, Response, get};
use tideway_driver::{Runtime, tasks};

use super::claim::{eventually, fail, holds, not_before, same};
use super::{Harness, Site};

fn echoes<R: Runtime>(h: &Harness<R>, ends: &Arc<Mutex<Vec<Closed>>>) -> Site {
    let ends = ends.clone();
    let answer = move |upgrade: WebSocketUpgrade| -> Response {
        let ends = ends.clone();
        upgrade
            .max_message(8 << 20)
            .deflate(true)
            .protocols(["echo"])
            .on_close(move |closed| {
                let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
                ends.push(closed);
            })
            .on_upgrade(|mut socket| async move {
                while let Some(message) = socket.recv().await {
                    if socket.send(message).await.is_err() {
                        break;
                    }
                }
            })
    };
    h.site().serve(|app| app.route("/echo", get(answer)))
}

/// A handler asks another server, in messages of every size, compressed or not, and closes.
pub fn a_handler_talks_to_another_server<R: Runtime>(h: &Harness<R>) {
    let ends = Arc::default();
    let other = echoes(h, &ends);
    let to = format!("ws://{}/echo", other.addr());
    let ask = move |clock: Clock| {
        let to = to.clone();
        async move {
            for deflate in [false, true] {
                let opening = ws::connect(&clock, &to).max_message(8 << 20);
                let opened = opening.protocols(["other", "echo"]).deflate(deflate).await;
                let mut socket = opened.map_err(|error| error.to_string())?;
                if socket.protocol() != Some("echo") {
                    return Err(format!("{:?}", socket.protocol()));
                }
                for size in [0, 1, 125, 126, 65_535, 65_536, 5 << 20] {
                    let text = "x".repeat(size);
                    let _ = socket.send(&*text).await;
                    let _ = socket.send(text.as_bytes()).await;
                    for is_text in [true, false] {
                        let back = socket.recv().await.ok_or("it ended")?;
                        let same = back.as_bytes() == text.as_bytes();
                        if !same || back.as_text().is_some() != is_text {
                            return Err(format!("{} bytes of {size}", back.as_bytes().len()));
                        }
                    }
                }
                let _ = socket.send("the last").await;
            }
            Ok("all came back".to_owned())
        }
    };
    let site = h.site().serve(|app: App| app.route("/", get(ask)));
    let reply = site.client().get("/");
    same(
        (reply.status, reply.text().as_str()),
        (200, "all came back"),
        "an echo is one, whoever asks",
    );
    let seen = || {
        let ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = ends.iter().map(|end| (end.cause, end.code));
        ends.collect::<Vec<_>>()
    };
    eventually(
        "two sockets that their client closed with 1000",
        || format!("{:?}", seen()),
        || seen() == [(Cause::Peer, 1000); 2],
        "a socket that is dropped says goodbye",
    );
}

/// What a server that is none does with its only connection.
#[derive(Clone, Copy)]
enum Wrong {
    Silent,
    Says(&'static [u8]),
}

impl Wrong {
    fn serve(self) -> SocketAddr {
        let on = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = on.local_addr().expect("it is bound");
        thread::spawn(move || {
            let Ok((mut stream, _)) = on.accept() else {
                return;
            };
            match self {
                Self::Silent => {
                    // Until the client goes.
                    let _ = stream.read_to_end(&mut Vec::new());
                }
                Self::Says(bytes) => {
                    let _ = stream.read(&mut [0; 4096]);
                    let _ = stream.write_all(bytes);
                }
            }
        });
        addr
    }
}

/// Nobody there, no WebSocket there, nothing said, half of it said: each is its own error, in time.
pub fn a_handshake_that_fails_says_why<R: Runtime>(h: &Harness<R>) {
    let within = Duration::from_millis(400);
    let open = move |to: String| {
        h.on_runtime(move |rt| async move {
            let tasks = tasks(rt);
            let opened = ws::connect(&tasks, &to).within(within).await;
            opened.err()
        })
    };
    let of = |wrong: Wrong| open(format!("ws://{}/", wrong.serve()));
    let kind = |error: &Option<ConnectError>| match error {
        Some(ConnectError::Unreachable { .. }) => "unreachable",
        Some(ConnectError::Late { .. }) => "late",
        Some(ConnectError::Lost(_)) => "lost",
        Some(ConnectError::Head(_)) => "head",
        Some(ConnectError::Answer(_)) => "answer",
        Some(ConnectError::Refused(answer)) if answer.status() == 404 => "404",
        Some(ConnectError::Refused(answer)) if answer.status() == 403 => "403",
        _ => "?",
    };
    let is = |error: Option<ConnectError>, wanted: &str, why: &str| {
        if kind(&error) != wanted {
            fail(wanted, format!("{error:?}"), why);
        }
    };
    let nobody = {
        let on = TcpListener::bind("127.0.0.1:0").expect("a free port");
        on.local_addr().expect("it is bound")
    };
    is(
        open(format!("ws://{nobody}/")),
        "unreachable",
        "nobody listens",
    );
    let begun = Instant::now();
    is(
        of(Wrong::Silent),
        "late",
        "a silent server is not waited for",
    );
    not_before(begun, within, "the error", "it has its time");
    for (bytes, wanted) in [
        (&b""[..], "lost"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgr", "lost"),
        (b"220 mail ESMTP\r\n", "head"),
        (
            b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
              sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            "answer",
        ),
        (b"HTTP/1.1 403 No\r\ncontent-length: 3\r\n\r\nwhy", "403"),
    ] {
        is(of(Wrong::Says(bytes)), wanted, "each failure has its name");
    }
    let ends = Arc::default();
    let site = echoes(h, &ends);
    let nowhere = open(format!("ws://{}/nowhere", site.addr()));
    let Some(ConnectError::Refused(answer)) = &nowhere else {
        fail(
            "a refusal",
            format!("{nowhere:?}"),
            "there is no such route",
        );
    };
    let body = String::from_utf8_lossy(answer.body()).into_owned();
    holds(
        body.contains("\"status\":404"),
        "the body of the refusal",
        body.clone(),
        "the server says why",
    );
}

/// A socket in a task of its own outlives the request that opened it, and a stop closes it with 1001.
pub fn a_stop_closes_what_the_app_opened<R: Runtime>(h: &Harness<R>) {
    let ends: Arc<Mutex<Vec<Closed>>> = Arc::default();
    let other = echoes(h, &ends);
    let to = format!("ws://{}/echo", other.addr());
    let keep = move |clock: Clock| {
        let to = to.clone();
        async move {
            let opened = ws::connect(&clock, &to).await;
            let mut socket = opened.map_err(|error| error.to_string())?;
            clock.tasks().spawn(Box::pin(
                async move { while socket.recv().await.is_some() {} },
            ));
            Ok::<_, String>("kept")
        }
    };
    let site = h.site().serve(|app: App| app.route("/", get(keep)));
    for _ in 0..3 {
        same(site.client().get("/").text().as_str(), "kept", "it is open");
    }
    same(
        ends.lock().unwrap_or_else(PoisonError::into_inner).len(),
        0,
        "all are open",
    );
    site.stop.stop();
    same(site.report().cut, 0, "nothing was cut");
    let seen = || {
        let ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = ends.iter().map(|end| (end.cause, end.code));
        ends.collect::<Vec<_>>()
    };
    eventually(
        "three sockets closed with 1001",
        || format!("{:?}", seen()),
        || seen() == [(Cause::Peer, 1001); 3],
        "the peer is told that we go away",
    );
}
