//! The real driver in the simulator, with an echo for a handler, and a client that speaks in bare bytes.

use std::time::Duration;

use tideway::ws::{Socket, Takeover, WebSocketUpgrade};
use tideway::{App, Response, get};
use tideway_conformance::suite::reply::Reply;
use tideway_driver::{Options, Runtime, Stop, serve};
use tideway_sim::{Link, Sim, SimStream};

use crate::case::{Case, bytes, close, read};
use crate::machine::outcome;

async fn echo(mut socket: Socket) {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

/// Compresses with takeover under this cap.
fn app(cap: Takeover) -> App {
    App::new().route(
        "/",
        get(move |upgrade: WebSocketUpgrade| -> Response {
            upgrade
                .max_message(4 << 20)
                .heartbeat(Duration::MAX, Duration::MAX)
                .deflate_with(&cap)
                .on_upgrade(echo)
        }),
    )
}

/// Runs `client` on a stream whose handshake is done, with the extensions that were answered to `offer`.
pub(crate) fn with_socket<T>(
    link: Link,
    cap: &Takeover,
    offer: &str,
    client: impl AsyncFnOnce(&mut SimStream, Option<String>) -> T,
) -> T {
    let sim = Sim::new(1);
    let (server, peer) = (sim.host("server"), sim.host("client"));
    sim.default_link(link);
    let on = server.listener(80).expect("a free port");
    let served = serve(
        server.clone(),
        app(cap.clone()),
        on,
        Options::default(),
        Stop::new(),
    );
    server.spawn_named("server", async move {
        served.await.expect("a well-formed app");
    });
    sim.run(async {
        let mut stream = peer.connect("server", 80).await.expect("it listens");
        let head = format!(
            "GET / HTTP/1.1\r\nhost: server\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("it reads");
        let mut head = Vec::new();
        let reply = loop {
            head.extend(stream.read(1).await.expect("nothing breaks"));
            if let Some((reply, _)) = Reply::head(&head).expect("HTTP") {
                break reply;
            }
        };
        assert_eq!(reply.status, 101, "{}", reply.summary());
        let extensions = reply.header("sec-websocket-extensions");
        client(&mut stream, extensions.map(str::to_owned)).await
    })
}

pub(crate) fn run(case: &Case) {
    let sends = bytes(&case.sends, true);
    let link = if sends.len() < 20_000 {
        Link::rough()
    } else {
        Link::perfect()
    };
    let sent = with_socket(
        link,
        &Takeover::at_most(0),
        "",
        async |stream, extensions| {
            assert_eq!(extensions, None, "nothing was offered");
            // What is sent after a violation may find nobody.
            let _ = stream.write_all(&sends).await;
            let mut sent = Vec::new();
            let mut closing = case.ends != crate::case::Ends::Not;
            loop {
                if !closing && read(&sent).0.len() == case.answers.len() {
                    let close = bytes(&[close(1000, "")], true);
                    stream.write_all(&close).await.expect("it is open");
                    closing = true;
                }
                let some = stream.read(64 << 10).await.expect("nothing breaks");
                if some.is_empty() {
                    return sent;
                }
                sent.extend(some);
            }
        },
    );
    let (answers, ends) = outcome(&sent);
    let expected = match case.ends {
        crate::case::Ends::Not => crate::case::Ends::With(1000),
        ends => ends,
    };
    assert_eq!(ends, expected, "{}", case.number);
    assert!(answers == case.answers, "{}", case.number);
}
