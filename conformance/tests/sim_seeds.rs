//! Two thousand worlds of clients that stall, break off and talk nonsense, against the real driver.
//! Each is run twice, and must be the same to the byte.
//!
//! `TIDEWAY_SEED=7 cargo test -p tideway-conformance --test sim_seeds` runs one of them again.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tideway::stages::Accounts;
use tideway::{App, Body, Clock, Rng, Seed, get, post};
use tideway_conformance::suite::Ledger;
use tideway_conformance::suite::reply::Reply;
use tideway_driver::{Options, Report, Runtime, Stop, serve};
use tideway_sim::{Host, Link, Sim, SimStream};

const SEEDS: u64 = 2_000;

#[test]
fn every_exchange_ends_once_in_every_world() {
    if let Ok(seed) = std::env::var("TIDEWAY_SEED") {
        let seed = seed.parse().expect("TIDEWAY_SEED is a number");
        println!("{:#?}", world(seed));
        return;
    }
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for first in 0..threads {
            let total = &total;
            scope.spawn(move || {
                for seed in (first..SEEDS).step_by(threads as usize) {
                    let tally = checked(seed);
                    total
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .add(&tally);
                }
            });
        }
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{SEEDS} seeds in {:?}: {total:?}", begun.elapsed());
    // A world in which nothing goes wrong, or nothing goes well, tests nothing.
    assert!(
        total.completed > SEEDS && total.aborted > SEEDS && total.answered > SEEDS,
        "{total:?}"
    );
    assert!(total.refused > 0 && total.broken > 0, "{total:?}");
}

/// Runs a world twice; a failure names the seed.
fn checked(seed: u64) -> Tally {
    let run = || catch_unwind(AssertUnwindSafe(|| world(seed)));
    let outcome = run().and_then(|tally| {
        let again = run()?;
        assert_eq!(
            tally, again,
            "seed {seed}: the replay differs, so something is not simulated"
        );
        Ok(tally)
    });
    outcome.unwrap_or_else(|panic| {
        eprintln!(
            "seed {seed} broke; run it again with\n  \
             TIDEWAY_SEED={seed} cargo test -p tideway-conformance --test sim_seeds"
        );
        resume_unwind(panic)
    })
}

/// What became of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Exchanges completed and aborted, as the server counts.
    completed: u64,
    aborted: u64,
    /// Responses that clients read whole, all of them right.
    answered: u64,
    /// Of those, what was refused as no request.
    refused: u64,
    /// Connections that broke off under a client that still waited.
    broken: u64,
    digest: u128,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.completed += other.completed;
        self.aborted += other.aborted;
        self.answered += other.answered;
        self.refused += other.refused;
        self.broken += other.broken;
        self.digest ^= other.digest;
    }
}

/// Runs one world to its end.
fn world(seed: u64) -> Tally {
    let mut rng = Rng::new(&Seed::from_u64(seed ^ 0x7469_6465));
    let sim = Sim::new(seed);
    let server = sim.host("server");
    let (ledger, accounts, stop) = (Ledger::default(), Accounts::default(), Stop::new());
    let report = start(&server, &ledger, &accounts, stop.clone());
    let tally = Arc::new(Mutex::new(Tally::default()));
    let clients = 2 + rng.below(5);
    for n in 0..clients {
        let host = sim.host(&format!("client {n}"));
        sim.link(&server, &host, link(&mut rng));
        let client = Client {
            host: host.clone(),
            rng: Rng::new(&rng.fork()),
            tally: tally.clone(),
        };
        host.spawn_named("client", client.live());
    }
    // A stop may come in the middle of it all.
    let early = rng.below(4) == 0;
    if early {
        sim.run_for(Duration::from_millis(rng.below(5_000)))
            .expect("time goes on");
        stop.stop();
    }
    // The worst link carries a long answer in an hour or so, in time at every byte.
    for _ in 0..24 {
        sim.run_for(Duration::from_secs(600)).expect("time goes on");
        if sim.tasks() <= 1 {
            break;
        }
    }
    if !early {
        assert_eq!(
            sim.task_names(),
            ["server/1 server"],
            "seed {seed}: a task is left behind"
        );
        stop.stop();
        sim.run_for(Duration::from_secs(60)).expect("time goes on");
    }

    assert_eq!(
        sim.task_names(),
        [""; 0],
        "seed {seed}: a task outlives the server"
    );
    assert_eq!(
        sim.connections(),
        0,
        "seed {seed}: a connection outlives the server"
    );
    let report: Report = report.try_recv().expect("a stopped server reports");
    assert!(
        early || report.cut == 0,
        "seed {seed}: an idle server cut {}",
        report.cut
    );
    if let Some(entry) = ledger.unbalanced() {
        panic!("seed {seed}: `done` must run exactly once: {entry:?}");
    }
    let counts = accounts.counts();
    assert_eq!(counts.in_flight, 0, "seed {seed}: {counts:?}");
    assert_eq!(
        ledger.entries().len() as u64,
        counts.started,
        "seed {seed}: {counts:?}"
    );
    let mut tally = tally.lock().expect("one thread").clone();
    assert!(
        tally.answered - tally.refused <= counts.completed,
        "seed {seed}: clients read {tally:?}, the server completed {counts:?}"
    );
    (tally.completed, tally.aborted) = (counts.completed, counts.aborted);
    tally.digest = sim.digest();
    tally
}

fn link(rng: &mut Rng) -> Link {
    match rng.below(6) {
        0 => Link::perfect(),
        1 => Link::default().chop(8 + rng.below(40) as usize),
        2 => Link::rough(),
        3 => Link::hostile(),
        4 => Link::hostile().reset(20_000).half_close(20_000),
        _ => Link::rough().stall(100_000, Duration::from_secs(1)..Duration::from_secs(50)),
    }
}

fn start(
    host: &Host,
    ledger: &Ledger,
    accounts: &Accounts,
    stop: Stop,
) -> std::sync::mpsc::Receiver<Report> {
    let (tell, told) = std::sync::mpsc::channel();
    let on = host.listener(80).expect("a free port");
    let app = app()
        .without_stage("accounts")
        .stage_before("host", accounts.clone())
        .stage_before("request id", ledger.clone());
    let served = serve(host.clone(), app, on, Options::default(), stop);
    host.spawn_named("server", async move {
        let report = served.await.expect("a well-formed app");
        tell.send(report).expect("the test waits for it");
    });
    told
}

/// How long `/long` is.
const LONG: usize = 20_000;

fn app() -> App {
    App::new()
        .route("/", get(|| "hello"))
        .route(
            "/echo",
            post(async |body: Body| Body::stream(body.into_data_stream())),
        )
        .route("/long", get(|| Body::stream(long(LONG))))
        .route(
            "/breaks",
            get(|| {
                let end = stream::iter([Err(std::io::Error::other("as the test wants it"))]);
                Body::stream(long(LONG / 2).chain(end))
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
        .route(
            "/panics",
            get(async || -> &'static str {
                // Without the hook, which would print it two thousand times.
                resume_unwind(Box::new("as the test wants it"))
            }),
        )
}

fn long(bytes: usize) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send {
    const PIECE: Bytes = Bytes::from_static(&[b'x'; 1_000]);
    stream::iter((0..bytes / PIECE.len()).map(|_| Ok(PIECE)))
}

struct Client {
    host: Host,
    rng: Rng,
    tally: Arc<Mutex<Tally>>,
}

/// A request, and what its answer must be.
struct Ask {
    bytes: Vec<u8>,
    status: u16,
    body: Option<Vec<u8>>,
}

impl Client {
    async fn live(mut self) {
        for _ in 0..1 + self.rng.below(3) {
            if self.rng.below(3) == 0 {
                self.host
                    .sleep(Duration::from_millis(self.rng.below(2_000)))
                    .await;
            }
            let Ok(stream) = self.host.connect("server", 80).await else {
                continue;
            };
            if self.talk(stream).await.is_err() {
                self.tally.lock().expect("one thread").broken += 1;
            }
        }
    }

    /// One connection: some requests at once or one by one, each perhaps left half-way.
    async fn talk(&mut self, mut stream: SimStream) -> std::io::Result<()> {
        for _ in 0..1 + self.rng.below(4) {
            let asks: Vec<Ask> = (0..1 + self.rng.below(3)).map(|_| self.ask()).collect();
            let bytes: Vec<u8> = asks.iter().flat_map(|ask| ask.bytes.clone()).collect();
            match self.rng.below(12) {
                // Leaves in the middle of asking.
                0 => {
                    let part = self.rng.below(bytes.len() as u64 + 1) as usize;
                    stream.write_all(&bytes[..part]).await?;
                    return Ok(());
                }
                // Leaves in the middle of waiting.
                1 => {
                    stream.write_all(&bytes).await?;
                    self.host
                        .sleep(Duration::from_millis(self.rng.below(5_000)))
                        .await;
                    return Ok(());
                }
                // Goes silent with half a request sent.
                2 => {
                    let part = self.rng.below(bytes.len() as u64) as usize;
                    stream.write_all(&bytes[..part]).await?;
                    self.host
                        .sleep(Duration::from_secs(self.rng.below(100)))
                        .await;
                    return Ok(());
                }
                // Does not read for a while.
                3 => {
                    stream.write_all(&bytes).await?;
                    self.host
                        .sleep(Duration::from_secs(self.rng.below(100)))
                        .await;
                }
                _ => stream.write_all(&bytes).await?,
            }
            let mut read = Vec::new();
            for ask in asks {
                let reply = next(&mut stream, &mut read).await?;
                if self.check(&ask, &reply) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Counts a whole reply; true if the connection ends behind it.
    fn check(&self, ask: &Ask, reply: &Reply) -> bool {
        let mut tally = self.tally.lock().expect("one thread");
        tally.answered += 1;
        // A deadline may pass on any way to the server; what else is said must be right.
        if reply.status == 408 || reply.status == 503 {
            tally.refused += u64::from(reply.status == 408);
            return reply.closes();
        }
        let asked = String::from_utf8_lossy(&ask.bytes[..ask.bytes.len().min(60)]).into_owned();
        assert_eq!(
            reply.status,
            ask.status,
            "{asked:?} got {}",
            reply.summary()
        );
        if let Some(body) = &ask.body {
            assert_eq!(&reply.body, body, "{asked:?} got {}", reply.summary());
        }
        tally.refused += u64::from(reply.status == 400);
        reply.closes()
    }

    fn ask(&mut self) -> Ask {
        let get = |path: &str, status, body: Option<&[u8]>| Ask {
            bytes: format!("GET {path} HTTP/1.1\r\nhost: server\r\n\r\n").into(),
            status,
            body: body.map(<[u8]>::to_vec),
        };
        match self.rng.below(20) {
            0..8 => get("/", 200, Some(b"hello")),
            8..10 => get("/long", 200, Some(&[b'x'; LONG])),
            10 => get("/breaks", 200, None),
            11..13 => get("/slow", 200, Some(b"hello")),
            13 => get("/never", 503, None),
            14 => get("/panics", 500, None),
            15 => get("/nowhere", 404, None),
            16 => Ask {
                bytes: b"GET / HTTP/1.1\r\nhost: server\r\nno header\r\n\r\n".into(),
                status: 400,
                body: None,
            },
            other => self.echo(other == 17),
        }
    }

    fn echo(&mut self, chunked: bool) -> Ask {
        let body = vec![b'a' + self.rng.below(26) as u8; self.rng.below(6_000) as usize];
        let head = "POST /echo HTTP/1.1\r\nhost: server\r\n";
        let bytes = if chunked {
            let mut bytes = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
            for chunk in body.chunks(1 + self.rng.below(2_000) as usize) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            bytes
        } else {
            let head = format!("{head}content-length: {}\r\n\r\n", body.len());
            [head.as_bytes(), &body].concat()
        };
        Ask {
            bytes,
            status: 200,
            body: Some(body),
        }
    }
}

/// The next whole reply; an error if the connection ends first.
async fn next(stream: &mut SimStream, read: &mut Vec<u8>) -> std::io::Result<Reply> {
    loop {
        let parsed = Reply::whole(read, false).unwrap_or_else(|wrong| panic!("no HTTP: {wrong}"));
        if let Some((reply, len)) = parsed {
            read.drain(..len);
            return Ok(reply);
        }
        let more = stream.read(4_096).await?;
        if more.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        read.extend(more);
    }
}
