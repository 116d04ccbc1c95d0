//! HTTP/2 against the real driver over simulated links: many streams, some cut short by the client.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use hyper::http::Request;
use hyper::rt::{Read as _, Write as _};
use tideway::{App, Body, Clock, Rng, Seed, get};
use tideway_conformance::suite::Ledger;
use tideway_driver::{Options, Runtime, Stop, serve};
use tideway_sim::{Host, Link, Sim, SimStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const SEEDS: u64 = 100;
const LONG: usize = 20_000;

#[test]
fn every_stream_ends_once_over_any_link() {
    let mut answered = 0;
    for seed in 0..SEEDS {
        let (link, breaks) = match seed % 4 {
            0 => (Link::perfect(), false),
            1 => (Link::default().chop(50), false),
            2 => (Link::rough(), false),
            _ => (Link::hostile(), true),
        };
        answered += world(seed, link, breaks);
    }
    assert!(answered > 4 * SEEDS as usize, "{answered} streams answered");
}

/// Runs one world; returns how many streams were answered whole.
fn world(seed: u64, link: Link, breaks: bool) -> usize {
    let sim = Sim::new(seed);
    sim.default_link(link);
    let server = sim.host("server");
    let (ledger, stop) = (Ledger::default(), Stop::new());
    let on = server.listener(80).expect("a free port");
    let app = app().stage_before("request id", ledger.clone());
    let served = serve(server.clone(), app, on, Options::default(), stop.clone());
    server.spawn_named("server", async move {
        served.await.expect("a well-formed app");
    });
    let answered = Arc::new(Mutex::new(0));
    for n in 0..3 {
        let client = sim.host(&format!("client {n}"));
        let (rt, answered) = (client.clone(), answered.clone());
        let rng = Rng::new(&Seed::from_u64(seed * 3 + n));
        client.spawn_named("client", async move {
            let talked = talk(rt, rng, answered).await;
            assert!(talked.is_ok() || breaks, "seed {seed}: {talked:?}");
        });
    }
    sim.run_for(Duration::from_secs(3600))
        .expect("time goes on");
    assert_eq!(
        sim.task_names(),
        ["server/1 server"],
        "seed {seed}: a task is left behind"
    );
    stop.stop();
    sim.run_for(Duration::from_secs(60)).expect("time goes on");
    assert_eq!((sim.tasks(), sim.connections()), (0, 0), "seed {seed}");
    if let Some(entry) = ledger.unbalanced() {
        panic!("seed {seed}: `done` must run exactly once: {entry:?}");
    }
    let answered = *answered.lock().expect("one thread");
    assert!(
        answered <= ledger.open().0,
        "seed {seed}: more answers than requests"
    );
    answered
}

fn app() -> App {
    const PIECE: Bytes = Bytes::from_static(&[b'x'; 1_000]);
    App::new()
        .route("/", get(|| "hello"))
        .route(
            "/long",
            get(|| {
                Body::stream(stream::iter(
                    (0..LONG / 1_000).map(|_| Ok::<_, io::Error>(PIECE)),
                ))
            }),
        )
        .route(
            "/slow",
            get(async |clock: Clock| {
                clock.sleep(Duration::from_secs(3)).await;
                "hello"
            }),
        )
        .route(
            "/never",
            get(async || {
                std::future::pending::<()>().await;
                "never"
            }),
        )
}

/// Eight streams at once on one connection.
async fn talk(host: Host, mut rng: Rng, answered: Arc<Mutex<usize>>) -> Result<(), h2::Error> {
    let Ok(stream) = host.connect("server", 80).await else {
        return Ok(());
    };
    let (mut send, connection) = h2::client::handshake(OverSim(stream)).await?;
    host.spawn_named("connection", async move {
        let _ = connection.await;
    });
    let mut streams = Vec::new();
    for _ in 0..8 {
        let (path, status, len) = match rng.below(8) {
            0..3 => ("/", 200, 5),
            3..5 => ("/long", 200, LONG),
            5 => ("/slow", 200, 5),
            6 => ("/never", 503, 0),
            _ => ("/none", 404, 0),
        };
        let gives_up = rng.below(4) == 0;
        let request = Request::get(format!("http://server{path}")).body(());
        send = send.ready().await?;
        let (response, _) = send.send_request(request.expect("well-formed"), true)?;
        let (host, answered) = (host.clone(), answered.clone());
        let wait = Duration::from_millis(rng.below(1_000));
        streams.push(async move {
            if gives_up {
                host.sleep(wait).await;
                return Ok(());
            }
            let (head, mut body) = response.await?.into_parts();
            let mut read = 0;
            while let Some(data) = body.data().await {
                let data = data?;
                read += data.len();
                body.flow_control().release_capacity(data.len())?;
            }
            assert_eq!(head.status, status, "{path}");
            assert!(len == 0 || read == len, "{read} bytes of {path}");
            *answered.lock().expect("one thread") += 1;
            Ok::<(), h2::Error>(())
        });
    }
    drop(send);
    join_all(streams).await.into_iter().collect()
}

/// The simulator's stream with the traits that `h2` wants.
struct OverSim(SimStream);

impl AsyncRead for OverSim {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut scratch = [0; 4_096];
        let room = buf.remaining().min(scratch.len());
        let mut read = hyper::rt::ReadBuf::new(&mut scratch[..room]);
        ready!(Pin::new(&mut self.0).poll_read(cx, read.unfilled()))?;
        buf.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for OverSim {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
