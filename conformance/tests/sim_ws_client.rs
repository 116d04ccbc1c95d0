//! Worlds of WebSocket clients of ours and a server of ours on links that chop, stall and break: every socket that opens
//! carries all or says how it ended, every one that does not says why, and nothing is left behind.
//!
//! `TIDEWAY_SEED=7 cargo test -p tideway-conformance --test sim_ws_client` runs one of them again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tideway::ws::{self, Cause, CloseCode, Closed, ConnectError, Socket, WebSocketUpgrade};
use tideway::{App, Clock, Mono, Response, Rng, Seed, get};
use tideway_driver::{Options, Stop, serve, tasks};
use tideway_sim::{Host, Link, Sim};

const SEEDS: u64 = 100;

type Ends = Arc<Mutex<Vec<Closed>>>;

fn start(host: &Host, ends: &Ends, stop: Stop) {
    let ends = ends.clone();
    let answer = move |upgrade: WebSocketUpgrade| -> Response {
        let ends = ends.clone();
        upgrade
            .deflate(true)
            .on_close(move |closed| ends.lock().expect("one thread").push(closed))
            .on_upgrade(|mut socket: Socket| async move {
                while let Some(message) = socket.recv().await {
                    if socket.send(message).await.is_err() {
                        break;
                    }
                }
            })
    };
    let on = host.listener(80).expect("a free port");
    let app = App::new().route("/echo", get(answer));
    let served = serve(host.clone(), app, on, Options::default(), stop);
    host.spawn_named("server", async move {
        served.await.expect("a well-formed app");
    });
}

/// How one client fared.
async fn live(host: Host, mut rng: Rng) -> &'static str {
    let (tasks, deflate) = (tasks(host.clone()), rng.chance(500_000));
    let opened = ws::connect(&tasks, "ws://server/echo")
        .deflate(deflate)
        .await;
    let socket = match opened {
        Ok(socket) => socket,
        Err(ConnectError::Unreachable { .. } | ConnectError::Lost(_)) => return "broken",
        Err(ConnectError::Late { .. }) => return "late",
        Err(ConnectError::Refused(_)) => return "refused",
        Err(error) => panic!("{error}"),
    };
    let messages: Vec<Vec<u8>> = (0..1 + rng.below(20))
        .map(|n| vec![n as u8; rng.below(30_000) as usize])
        .collect();
    let (sender, mut receiver) = socket.split();
    for message in &messages {
        if sender.send(message.clone()).await.is_err() {
            break;
        }
    }
    let mut got = 0;
    while got < messages.len() {
        let Some(message) = receiver.recv().await else {
            break;
        };
        assert_eq!(message.as_bytes(), messages[got]);
        got += 1;
    }
    if got < messages.len() {
        let closed = receiver.over().await;
        return match closed.cause {
            Cause::Peer if closed.code == 1001 => "stopped",
            Cause::Lost | Cause::Silent => "lost",
            cause => panic!("{cause} after {got}"),
        };
    }
    if rng.chance(500_000) {
        // Dropped, as most are.
        return "echoed";
    }
    let code = CloseCode::new(4000).expect("a code for applications");
    // A stop may have been first.
    let _ = sender.close(code, "enough");
    let closed = receiver.over().await;
    match (closed.cause, closed.code) {
        (Cause::Handler, 4000) => "closed",
        (Cause::Peer | Cause::Handler, 1001) => "stopped",
        (Cause::Handler | Cause::Lost, 1006) => "lost",
        _ => panic!("{closed:?}"),
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    lives: BTreeMap<&'static str, u64>,
    causes: BTreeMap<String, u64>,
    digest: u128,
}

fn world(seed: u64) -> Tally {
    let mut rng = Rng::new(&Seed::from_u64(seed ^ 0x7773_6300));
    let sim = Sim::new(seed);
    let server = sim.host("server");
    let (ends, stop) = (Ends::default(), Stop::new());
    start(&server, &ends, stop.clone());
    let (lives, mut all) = (Arc::new(Mutex::new(BTreeMap::new())), 0);
    for n in 0..2 + rng.below(5) {
        let host = sim.host(&format!("client {n}"));
        let link = match rng.below(5) {
            0 => Link::perfect(),
            1 => Link::rough(),
            2 => Link::default().chop(7),
            3 => Link::hostile(),
            _ => Link::hostile().reset(2_000).half_close(500),
        };
        sim.link(&server, &host, link);
        let (rng, lives) = (Rng::new(&rng.fork()), lives.clone());
        let rt = host.clone();
        host.spawn_named("client", async move {
            let how = live(rt, rng).await;
            *lives.lock().expect("one thread").entry(how).or_default() += 1;
        });
        all += 1;
    }
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
    }
    assert_eq!((sim.tasks(), sim.connections()), (0, 0), "seed {seed}");
    let mut tally = Tally {
        lives: std::mem::take(&mut *lives.lock().expect("one thread")),
        digest: sim.digest(),
        ..Tally::default()
    };
    assert_eq!(tally.lives.values().sum::<u64>(), all, "seed {seed}");
    for end in ends.lock().expect("one thread").iter() {
        // Our two roles find no fault with each other.
        assert!(
            !matches!(end.cause, Cause::Violation(_)),
            "seed {seed}: {end:?}"
        );
        *tally.causes.entry(end.cause.to_string()).or_default() += 1;
    }
    tally
}

#[test]
fn every_client_is_told_how_it_ended_in_every_world() {
    if let Ok(seed) = std::env::var("TIDEWAY_SEED") {
        let seed = seed.parse().expect("TIDEWAY_SEED is a number");
        println!("{:#?}", world(seed));
        return;
    }
    let mut total = BTreeMap::<_, u64>::new();
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let tally = world(seed);
        if seed % 10 == 0 {
            assert_eq!(tally, world(seed), "seed {seed} is replayed");
        }
        for (life, n) in tally.lives {
            *total.entry(life).or_default() += n;
        }
    }
    println!("{total:#?}");
    // A world in which nothing goes wrong, or nothing goes well, tests nothing.
    for life in ["echoed", "closed", "stopped", "lost", "broken"] {
        assert!(total.get(life).is_some_and(|n| *n > 2), "{life}: {total:?}");
    }
}

/// A world of two, on a perfect link.
fn pair() -> (Sim, Host, Host) {
    let sim = Sim::new(1);
    sim.default_link(Link::perfect());
    let (server, client) = (sim.host("server"), sim.host("client"));
    (sim, server, client)
}

fn since_start(sim: &Sim) -> Duration {
    sim.now().mono.since(Mono::START)
}

#[test]
fn a_silent_server_is_given_its_time_and_no_more() {
    let (sim, server, client) = pair();
    let on = server.listener(80).expect("a free port");
    let told = sim.run(async {
        let tasks = tasks(client.clone());
        ws::connect(&tasks, "ws://server/").await.err()
    });
    assert!(matches!(told, Some(ConnectError::Late { .. })), "{told:?}");
    assert_eq!(since_start(&sim), Duration::from_secs(10));
    // One that cannot be reached at all, with a limit of its own.
    sim.partition(&server, &client);
    let told = sim.run(async {
        let tasks = tasks(client.clone());
        let opening = ws::connect(&tasks, "ws://server/");
        opening.within(Duration::from_secs(3)).await.err()
    });
    assert!(matches!(told, Some(ConnectError::Late { .. })), "{told:?}");
    assert_eq!(since_start(&sim), Duration::from_secs(13));
    drop(on);
    sim.run_for(Duration::from_secs(1)).expect("time goes on");
    assert_eq!(client.tasks(), 0);
}

#[test]
fn whoever_gives_up_waiting_leaves_nothing_behind() {
    let (sim, server, client) = pair();
    let on = server.listener(80).expect("a free port");
    sim.run(async {
        let tasks = tasks(client.clone());
        let clock = Clock::new(tasks.clone());
        let opening = std::pin::pin!(ws::connect(&tasks, "ws://server/").into_future());
        let limit = clock.sleep(Duration::from_secs(2));
        futures_util::future::select(opening, limit).await;
    });
    // Dropped above, long before its deadline.
    sim.run_for(Duration::from_millis(10))
        .expect("time goes on");
    assert_eq!(
        (client.tasks(), since_start(&sim)),
        (0, Duration::from_millis(2010))
    );
    drop(on);
    assert_eq!(sim.connections(), 0);
}

#[test]
fn a_server_that_vanishes_is_found_by_the_heartbeat() {
    let (sim, server, client) = pair();
    start(&server, &Ends::default(), Stop::new());
    let mut socket = sim.run(async {
        let tasks = tasks(client.clone());
        ws::connect(&tasks, "ws://server/echo").await.expect("open")
    });
    sim.partition(&server, &client);
    let cut = sim.now().mono;
    let closed = sim.run(socket.over());
    assert_eq!((closed.cause, closed.code), (Cause::Silent, 1006));
    let took = sim.now().mono.since(cut);
    assert!(took <= Duration::from_secs(50), "{took:?}");
    drop(socket);
    sim.run_for(Duration::from_secs(1)).expect("time goes on");
    assert_eq!(client.tasks(), 0);
}
