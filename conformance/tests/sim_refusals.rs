//! A client that is still sending hears why it is refused, on a network where a reset destroys what
//! was not read. Over a real socket this cannot be seen: Linux keeps what has arrived.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tideway::stages::MaxBody;
use tideway::{App, post};
use tideway_conformance::suite::reply::Reply;
use tideway_driver::{Options, Runtime, Stop, serve};
use tideway_sim::{Link, Sim};

#[test]
fn a_refused_upload_is_answered_before_the_end() {
    for seed in 0..200 {
        let link = match seed % 3 {
            0 => Link::perfect(),
            1 => Link::default(),
            // Far slower than this, and a client is still sending when lingering is over.
            _ => Link::default().chop(1_000),
        };
        // The head alone, some of the body in the same breath, or far more than is read at once.
        for sent in [0, 1_000, 100_000] {
            let request = "POST / HTTP/1.1\r\nhost: server\r\ncontent-length: 3000000\r\n\r\n";
            let request = [request.as_bytes(), &vec![b'x'; sent]].concat();
            answered(seed, link.clone(), Options::default(), &request, 413);
        }
        let nonsense = [&b"nonsense\r\n\r\n"[..], &[b'x'; 50_000]].concat();
        answered(seed, link.clone(), Options::default(), &nonsense, 400);
    }
}

/// Decision 004: which of the two it is depends on the cap on the whole head.
#[test]
fn a_long_target_is_a_414_logged_once_if_the_head_may_be_that_long() {
    /// The longest that hyper takes (`http::Uri`).
    const LONGEST: usize = 65_534;
    let mut roomy = Options::default();
    roomy.max_head = 256 * 1024;
    let post = |target: usize| {
        let target = format!("/?{}", "x".repeat(target - 2));
        format!(
            "POST {target} HTTP/1.1\r\nhost: server\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
    };
    for seed in 0..20 {
        let long = post(70_000);
        let (reply, log) = answered(seed, Link::default(), roomy.clone(), long.as_bytes(), 414);
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
        assert!(reply.text().contains("\"status\":414"), "{}", reply.text());
        let id = reply.header("x-request-id").expect("a request id");
        assert_eq!(log.matches("tideway::access").count(), 1, "{log}");
        assert!(log.contains(id) && log.contains("status=414"), "{log}");

        let more = post(LONGEST + 1);
        answered(seed, Link::default(), roomy.clone(), more.as_bytes(), 414);
        let most = post(LONGEST);
        answered(seed, Link::default(), roomy.clone(), most.as_bytes(), 200);
        let options = Options::default();
        answered(seed, Link::default(), options, long.as_bytes(), 431);
    }
}

/// What `run` comes to, and what it logs. Every run of this file is one of these: `tracing` turns an event
/// off for all threads if one without a subscriber is the first to come to it.
fn logged<T>(run: impl FnOnce() -> T) -> (T, String) {
    let (mut read, write) = std::io::pipe().expect("a pipe");
    let subscriber = tracing_subscriber::fmt().with_writer(Arc::new(write));
    let value = tracing::subscriber::with_default(subscriber.finish(), run);
    let mut log = String::new();
    read.read_to_string(&mut log).expect("text");
    (value, log)
}

#[track_caller]
fn answered(
    seed: u64,
    link: Link,
    options: Options,
    request: &[u8],
    status: u16,
) -> (Reply, String) {
    logged(|| exchanged(seed, link, options, request, status))
}

#[track_caller]
fn exchanged(seed: u64, link: Link, options: Options, request: &[u8], status: u16) -> Reply {
    let sim = Sim::new(seed);
    sim.default_link(link);
    let (server, client) = (sim.host("server"), sim.host("client"));
    let app = App::new()
        .set(MaxBody(1_000_000))
        .route("/", post(|body: Bytes| body));
    let on = server.listener(80).expect("a free port");
    let served = serve(server.clone(), app, on, options, Stop::new());
    server.spawn_named("server", async move {
        served.await.expect("a well-formed app");
    });
    let read = sim.run(async {
        let mut stream = client.connect("server", 80).await?;
        // The server may close its end before it has taken everything.
        let _ = stream.write_all(request).await;
        client.sleep(Duration::from_millis(300)).await;
        stream.read_to_end().await
    });
    let read = read.unwrap_or_else(|error| panic!("seed {seed}: {error} instead of {status}"));
    let reply = Reply::whole(&read, false);
    let Ok(Some((reply, len))) = reply else {
        panic!("seed {seed}: {reply:?} instead of {status}");
    };
    assert_eq!((reply.status, len), (status, read.len()), "seed {seed}");
    sim.run_for(Duration::from_secs(10)).expect("time goes on");
    assert_eq!(sim.task_names(), ["server/1 server"], "seed {seed}");
    reply
}
