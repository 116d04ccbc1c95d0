//! Worlds of WebSocket clients that chop, stall, flood, vanish and lie, against the real driver: every socket ends once with
//! its reason, nothing is left behind, and each world can be replayed to the byte.
//!
//! `TIDEWAY_SEED=7 cargo test -p tideway-conformance --test sim_ws` runs one of them again.

#[path = "sim_ws/nodes.rs"]
mod nodes;
#[path = "sim_ws/peer.rs"]
mod peer;
#[path = "sim_ws/rooms.rs"]
mod rooms;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peer::Peer;
use tideway::stages::Accounts;
use tideway::ws::{Cause, Closed, Encoded, Socket, WebSocketUpgrade};
use tideway::{App, Clock, Response, Rng, Seed, get};
use tideway_driver::{Options, Report, Stop, serve};
use tideway_engine::ws::End;
use tideway_sim::{Host, Link, Sim};

const SEEDS: u64 = 100;

type Ends = Arc<Mutex<Vec<Closed>>>;

async fn echo(mut socket: Socket) {
    while let Some(message) = socket.recv().await {
        if message.as_text() == Some("panic") {
            panic!("asked to");
        }
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

/// Sends for as long as it can.
async fn feed(socket: Socket) {
    while socket.send(vec![7; 1000]).await.is_ok() {}
}

/// Does something else for a second, then counts what came.
async fn lag(clock: Clock, mut socket: Socket) {
    clock.sleep(Duration::from_secs(1)).await;
    for n in 0..LAGGING {
        let message = socket.recv().await.expect("all of them");
        assert_eq!(message.as_bytes(), [n as u8; 1000]);
    }
    socket.send("all").await.expect("it is open");
}

const LAGGING: usize = 500;

fn app(ends: &Ends, accounts: &Accounts) -> App {
    let told = |upgrade: WebSocketUpgrade, ends: Ends| {
        upgrade.on_close(move |closed| ends.lock().expect("one thread").push(closed))
    };
    let (echoes, feeds) = (ends.clone(), ends.clone());
    App::new()
        .without_stage("accounts")
        .stage_before("host", accounts.clone())
        .route(
            "/echo",
            get(move |upgrade: WebSocketUpgrade| -> Response {
                told(upgrade, echoes.clone()).on_upgrade(echo)
            }),
        )
        .route(
            "/feed",
            get(move |upgrade: WebSocketUpgrade| -> Response {
                told(upgrade, feeds.clone()).on_upgrade(feed)
            }),
        )
        .route(
            "/lag",
            get(|upgrade: WebSocketUpgrade, clock: Clock| -> Response {
                upgrade.on_upgrade(|socket| lag(clock, socket))
            }),
        )
}

fn start(host: &Host, app: App, stop: Stop) -> std::sync::mpsc::Receiver<Report> {
    let (tell, told) = std::sync::mpsc::channel();
    let on = host.listener(80).expect("a free port");
    let served = serve(host.clone(), app, on, Options::default(), stop);
    host.spawn_named("server", async move {
        let report = served.await.expect("a well-formed app");
        tell.send(report).expect("it is awaited");
    });
    told
}

/// What a client does, and how its socket is to end if the network lets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Polite,
    Flood,
    Vanish,
    Liar,
    Stalled,
    Panic,
}

impl Kind {
    fn draw(rng: &mut Rng) -> Self {
        let kinds = [
            Kind::Polite,
            Kind::Polite,
            Kind::Flood,
            Kind::Vanish,
            Kind::Liar,
            Kind::Stalled,
            Kind::Panic,
        ];
        kinds[rng.below(kinds.len() as u64) as usize]
    }

    async fn live(self, host: Host, mut rng: Rng) -> io::Result<&'static str> {
        let path = if self == Kind::Stalled {
            "/feed"
        } else {
            "/echo"
        };
        let messages: Vec<Vec<u8>> = (0..1 + rng.below(20))
            .map(|n| vec![n as u8; rng.below(3000) as usize])
            .collect();
        let early = rng.below(messages.len() as u64 + 1) as usize;
        let (first, later) = match self {
            Kind::Polite => messages.split_at(early),
            _ => (&[][..], &messages[..]),
        };
        let first: Vec<&[u8]> = first.iter().map(Vec::as_slice).collect();
        let mut peer = Peer::open(&host, path, &rng.fork(), &first).await?;
        match self {
            Kind::Polite => {
                for message in later {
                    peer.say(message);
                    peer.flush().await?;
                }
                while peer.got.len() < messages.len() && peer.read().await? {}
                if peer.end.is_none() {
                    assert_eq!(peer.got, messages);
                }
                let code = peer.close().await?;
                Ok(if code == 1000 { "echoed" } else { "stopped" })
            }
            Kind::Flood => {
                // Reads nothing before all is sent, which the server must not allow.
                for _ in 0..200 {
                    peer.say(&[7; 10_000]);
                }
                peer.flush().await?;
                Ok("flooded")
            }
            Kind::Vanish => {
                peer.say(&[7; 5000]);
                let bytes = peer.outgoing();
                peer.stream.write_all(&bytes[..bytes.len() / 2]).await?;
                if rng.chance(500_000) {
                    peer.stream.reset();
                }
                Ok("vanished")
            }
            Kind::Liar => {
                peer.stream.write_all(b"\x81\x02hi").await?;
                while peer.read().await? {}
                Ok(match peer.end.as_ref().map(End::code) {
                    Some(1002) => "refused",
                    // By a stop, or by a link that breaks.
                    Some(1001 | 1006) => "ended",
                    code => panic!("{code:?}"),
                })
            }
            Kind::Stalled => {
                host.sleep(Duration::from_secs(200)).await;
                Ok("stalled")
            }
            Kind::Panic => {
                peer.conn
                    .send(Encoded::text("panic"), &mut peer.codecs)
                    .expect("it is open");
                peer.flush().await?;
                while peer.read().await? {}
                Ok(match peer.end.as_ref().map(End::code) {
                    Some(1011) => "panicked",
                    Some(1001 | 1006) => "ended",
                    code => panic!("{code:?}"),
                })
            }
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    lives: BTreeMap<(Kind, &'static str), u64>,
    causes: BTreeMap<String, u64>,
    digest: u128,
}

fn world(seed: u64) -> Tally {
    let mut rng = Rng::new(&Seed::from_u64(seed ^ 0x7773));
    let sim = Sim::new(seed);
    let server = sim.host("server");
    let (ends, accounts, stop) = (Ends::default(), Accounts::default(), Stop::new());
    let report = start(&server, app(&ends, &accounts), stop.clone());
    let tally = Arc::new(Mutex::new(Tally::default()));
    for n in 0..2 + rng.below(5) {
        let host = sim.host(&format!("client {n}"));
        let link = match rng.below(4) {
            0 => Link::perfect(),
            1 => Link::rough(),
            2 => Link::hostile(),
            _ => Link::hostile().reset(2_000).half_close(500),
        };
        sim.link(&server, &host, link);
        let (kind, rng, tally) = (Kind::draw(&mut rng), Rng::new(&rng.fork()), tally.clone());
        let rt = host.clone();
        host.spawn_named("client", async move {
            let outcome = kind.live(rt, rng).await;
            let how = outcome.unwrap_or("broken");
            let mut tally = tally.lock().expect("one thread");
            *tally.lives.entry((kind, how)).or_default() += 1;
        });
    }
    // A stop may come in the middle of it all.
    let early = rng.chance(300_000);
    if early {
        let after = Duration::from_millis(rng.below(3000));
        sim.run_for(after).expect("time goes on");
        stop.stop();
    }
    sim.run_for(Duration::from_secs(400)).expect("time goes on");
    if !early {
        assert_eq!(sim.task_names(), ["server/1 server"], "seed {seed}");
        stop.stop();
        sim.run_for(Duration::from_secs(11)).expect("time goes on");
        let report = report.try_recv().expect("it has stopped");
        assert_eq!(report.cut, 0, "seed {seed}");
    }
    assert_eq!((sim.tasks(), sim.connections()), (0, 0), "seed {seed}");
    let counts = accounts.counts();
    assert_eq!(counts.in_flight, 0, "seed {seed}");
    let ends = ends.lock().expect("one thread");
    let refused = ends
        .iter()
        .filter(|end| end.cause == Cause::Refused)
        .count();
    let sockets = ends.len() - refused;
    assert!(
        sockets as u64 <= counts.completed && ends.len() as u64 >= counts.completed,
        "seed {seed}: {} ends of {counts:?}",
        ends.len()
    );
    let digest = sim.digest();
    let mut tally = std::mem::take(&mut *tally.lock().expect("one thread"));
    tally.digest = digest;
    for end in ends.iter() {
        *tally.causes.entry(end.cause.to_string()).or_default() += 1;
    }
    tally
}

#[test]
fn every_socket_ends_once_in_every_world() {
    if let Ok(seed) = std::env::var("TIDEWAY_SEED") {
        let seed = seed.parse().expect("TIDEWAY_SEED is a number");
        println!("{:#?}", world(seed));
        return;
    }
    let mut total = Tally::default();
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let tally = world(seed);
        if seed % 10 == 0 {
            assert_eq!(tally, world(seed), "seed {seed} is replayed");
        }
        for (life, n) in tally.lives {
            *total.lives.entry(life).or_default() += n;
        }
        for (cause, n) in tally.causes {
            *total.causes.entry(cause).or_default() += n;
        }
    }
    println!("{total:#?}");
    // A world in which nothing goes wrong, or nothing goes well, tests nothing.
    for cause in [
        Cause::Peer,
        Cause::Panic,
        Cause::Stop,
        Cause::Silent,
        Cause::Lost,
    ] {
        let seen = total.causes.get(&cause.to_string());
        assert!(seen.is_some_and(|n| *n > 5), "{cause}: {seen:?}");
    }
    assert!(total.lives[&(Kind::Polite, "echoed")] > SEEDS / 2);
    assert!(total.lives[&(Kind::Liar, "refused")] > 5);
    assert!(total.lives[&(Kind::Panic, "panicked")] > 5);
}

#[test]
fn a_reader_that_stalls_is_ended_by_the_heartbeat_and_holds_no_more_than_its_queue() {
    let sim = Sim::new(1);
    let (server, client) = (sim.host("server"), sim.host("client"));
    sim.default_link(Link::perfect().buffer(64 << 10));
    let (ends, accounts, stop) = (Ends::default(), Accounts::default(), Stop::new());
    let _report = start(&server, app(&ends, &accounts), stop);
    let peer = sim.run(Peer::open(&client, "/feed", &Seed::from_u64(1), &[]));
    let opened = sim.now().mono;
    // The default: a Ping after 30 s, 20 s for what is in its way to move.
    sim.run_for(Duration::from_secs(29)).expect("time goes on");
    assert!(ends.lock().expect("one thread").is_empty());
    sim.run_for(Duration::from_secs(22)).expect("time goes on");
    let ended = ends.lock().expect("one thread").clone();
    assert_eq!(ended.len(), 1, "{ended:?} since {opened:?}");
    assert_eq!(ended[0].cause, Cause::Silent);
    drop(peer);
    sim.run_for(Duration::from_secs(1)).expect("time goes on");
    assert_eq!(sim.connections(), 0);
}

#[test]
fn a_handler_that_lags_is_given_all_once_it_reads() {
    for seed in 0..10 {
        let sim = Sim::new(seed);
        let (server, client) = (sim.host("server"), sim.host("client"));
        sim.default_link(if seed < 5 {
            Link::perfect()
        } else {
            Link::rough()
        });
        let (ends, accounts, stop) = (Ends::default(), Accounts::default(), Stop::new());
        let _report = start(&server, app(&ends, &accounts), stop);
        sim.run(async {
            let opened = Peer::open(&client, "/lag", &Seed::from_u64(1), &[]).await;
            let mut peer = opened.expect("nothing breaks");
            for n in 0..LAGGING {
                peer.say(&[n as u8; 1000]);
            }
            // All at once: more than the inbox takes.
            peer.flush().await.expect("it is read in the end");
            while peer.got.is_empty() && peer.read().await.expect("an answer") {}
            assert_eq!(peer.got, [b"all"], "seed {seed}");
        });
        // Not by the heartbeat, whose first Ping would look again as well.
        let took = sim.now().mono.since(tideway::Mono::START);
        assert!(seed >= 5 || took < Duration::from_secs(2), "{took:?}");
    }
}
