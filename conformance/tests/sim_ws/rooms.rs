//! Rooms on the real driver: one order for all, slow clients that delay nobody, and nothing left behind.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tideway::http::StatusCode;
use tideway::ws::{Cause, Closed, Config, Hub, Policy, Room, Rules, Socket, WebSocketUpgrade};
use tideway::{App, IntoResponse, Mono, Response, Rng, Seed, get};
use tideway_driver::{Runtime, Stop};
use tideway_sim::{Host, Link, Sim};

use super::peer::Peer;
use super::{Ends, start};

/// What a test looks at from outside.
#[derive(Clone, Default)]
struct Seen {
    hub: Arc<Mutex<Option<Hub>>>,
    ends: Ends,
    /// Messages published.
    count: Arc<Mutex<u64>>,
}

impl Seen {
    fn hub(&self) -> Hub {
        self.hub
            .lock()
            .expect("one thread")
            .clone()
            .expect("a client came")
    }

    fn ended(&self, cause: Cause) -> usize {
        let ends = self.ends.lock().expect("one thread");
        ends.iter().filter(|end| end.cause == cause).count()
    }
}

/// Numbers what comes and publishes it.
async fn talk(mut socket: Socket, room: Room, seen: Seen) {
    room.join(&socket).await.expect("there is room");
    while let Some(message) = socket.recv().await {
        let number = {
            let mut count = seen.count.lock().expect("one thread");
            *count += 1;
            *count
        };
        let text = format!("{number} {}", message.as_text().expect("text"));
        room.publish(text).expect("it fits");
    }
}

fn app(seen: &Seen, policy: Policy) -> App {
    let seen = seen.clone();
    let config = Arc::new(Config {
        max_message: 16 << 10,
        max_frame: 16 << 10,
        max_queue: 64 << 10,
        ..Config::default()
    });
    let rules = Rules {
        policy,
        ..Rules::default()
    };
    let open = move |upgrade: WebSocketUpgrade, hub: Hub| -> Response {
        seen.hub
            .lock()
            .expect("one thread")
            .get_or_insert(hub.clone());
        let Ok(room) = hub.room("room") else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        let (told, seen) = (seen.ends.clone(), seen.clone());
        upgrade
            .config(config.clone())
            .on_close(move |closed: Closed| told.lock().expect("one thread").push(closed))
            .on_upgrade(move |socket| talk(socket, room.rules(rules), seen))
    };
    App::new().route("/room", get(open))
}

async fn join(host: &Host, n: u64) -> io::Result<Peer> {
    Peer::open(host, "/room", &Seed::from_u64(n), &[]).await
}

fn say(peer: &mut Peer, text: &str) {
    // What was said after the end is lost.
    let _ = peer
        .conn
        .send(tideway::ws::Encoded::text(text), &mut peer.codecs);
}

/// Reads to the end; when each message came.
async fn listen(mut peer: Peer, times: Arc<Mutex<Vec<(usize, Mono)>>>) {
    loop {
        let before = peer.got.len();
        let more = peer.read().await.unwrap_or(false);
        let now = peer.host.now().mono;
        let came = before..peer.got.len();
        times
            .lock()
            .expect("one thread")
            .extend(came.map(|n| (n, now)));
        if !more {
            return;
        }
    }
}

const READERS: u64 = 24;
const SLOW: u64 = 5;
const MESSAGES: usize = 60;

/// A room with or without clients that never read: when the others got each message.
fn room_with(slow: u64, policy: Policy) -> (Vec<(usize, Mono)>, Seen) {
    let sim = Sim::new(1);
    let server = sim.host("server");
    sim.default_link(Link::perfect().buffer(64 << 10));
    let (seen, stop) = (Seen::default(), Stop::new());
    let report = start(&server, app(&seen, policy), stop.clone());
    let times = Arc::new(Mutex::new(Vec::new()));
    for n in 0..READERS {
        let (host, times) = (sim.host(&format!("reader {n}")), times.clone());
        host.clone().spawn_named("reader", async move {
            let peer = join(&host, n).await.expect("nothing breaks");
            listen(peer, times).await;
        });
    }
    for n in 0..slow {
        let host = sim.host(&format!("slow {n}"));
        host.clone().spawn_named("slow", async move {
            let _peer = join(&host, 100 + n).await.expect("nothing breaks");
            host.sleep(Duration::from_secs(3600)).await;
        });
    }
    sim.run_for(Duration::from_secs(1)).expect("time goes on");
    assert_eq!(seen.hub().counts().members as u64, READERS + slow);
    let talker = sim.host("talker");
    let mut peer = sim.run(join(&talker, 999)).expect("nothing breaks");
    for _ in 0..MESSAGES {
        say(&mut peer, &"x".repeat(8_000));
        sim.run(peer.flush()).expect("nothing breaks");
        sim.run_for(Duration::from_millis(20))
            .expect("time goes on");
        while peer.got.len() < seen.count.lock().map_or(0, |count| *count as usize) {
            sim.run(peer.read()).expect("nothing breaks");
        }
    }
    sim.run_for(Duration::from_secs(5)).expect("time goes on");
    let slow_ended = seen.ended(Cause::Slow) as u64;
    assert_eq!(
        slow_ended,
        if policy == Policy::Close { slow } else { 0 },
        "{policy:?}"
    );
    sim.run(peer.close()).expect("nothing breaks");
    // Whoever still does not read is found by the heartbeat.
    sim.run_for(Duration::from_secs(60)).expect("time goes on");
    let silent = seen.ended(Cause::Silent) as u64;
    assert_eq!(silent + slow_ended, slow, "{policy:?}");
    stop.stop();
    sim.run_for(Duration::from_secs(11)).expect("time goes on");
    assert_eq!(report.try_recv().expect("it has stopped").cut, 0);
    let counts = seen.hub().counts();
    assert_eq!(
        (
            counts.connections,
            counts.members,
            counts.topics,
            counts.log
        ),
        (0, 0, 0, 0)
    );
    let times = std::mem::take(&mut *times.lock().expect("one thread"));
    (times, seen)
}

#[test]
fn a_client_that_does_not_read_delays_no_other_by_a_nanosecond() {
    for policy in [Policy::Close, Policy::DropOldest, Policy::DropNewest] {
        let (alone, _) = room_with(0, policy);
        let (beside, seen) = room_with(SLOW, policy);
        assert_eq!(alone.len(), READERS as usize * MESSAGES);
        assert_eq!(alone, beside, "{policy:?}");
        let delivered = seen.hub().counts().delivered;
        assert!(delivered >= READERS * MESSAGES as u64, "{delivered}");
    }
}

/// One member of a random world: it reads, talks, and goes in its own way. What it got must be all that was published from its
/// first message on, in order.
async fn member(host: Host, mut rng: Rng, n: u64) -> io::Result<()> {
    let mut peer = join(&host, n).await?;
    for _ in 0..rng.below(30) {
        for _ in 0..rng.below(4) {
            say(&mut peer, &"y".repeat(rng.below(2_000) as usize));
        }
        peer.flush().await?;
        let pause = Duration::from_millis(rng.below(200));
        host.sleep(pause).await;
        while rng.chance(700_000) {
            // A word of its own to itself: so there is something to be read.
            say(&mut peer, "w");
            peer.flush().await?;
            if !peer.read().await? {
                break;
            }
        }
    }
    match rng.below(4) {
        0 => peer.stream.reset(),
        1 => {}
        _ => {
            peer.close().await?;
        }
    }
    let numbers: Vec<u64> = peer
        .got
        .iter()
        .map(|got| {
            let text = std::str::from_utf8(got).expect("UTF-8");
            let number = text.split(' ').next().expect("a number");
            number.parse().expect("a number")
        })
        .collect();
    for pair in numbers.windows(2) {
        assert_eq!(
            pair[1],
            pair[0] + 1,
            "one order, nothing twice, nothing missing"
        );
    }
    Ok(())
}

fn world(seed: u64) -> (u128, u64) {
    let mut rng = Rng::new(&Seed::from_u64(seed ^ 0x0072_6f6f_6d73));
    let sim = Sim::new(seed);
    let server = sim.host("server");
    let (seen, stop) = (Seen::default(), Stop::new());
    // Whoever is too slow is closed, and so misses nothing in silence.
    let report = start(&server, app(&seen, Policy::Close), stop.clone());
    for n in 0..2 + rng.below(6) {
        let host = sim.host(&format!("member {n}"));
        let link = match rng.below(3) {
            0 => Link::perfect(),
            1 => Link::rough(),
            _ => Link::hostile().reset(2_000),
        };
        sim.link(&server, &host, link);
        let (rng, rt) = (Rng::new(&rng.fork()), host.clone());
        host.spawn_named("member", async move {
            // A link that breaks ends a member early.
            let _ = member(rt, rng, n).await;
        });
    }
    sim.run_for(Duration::from_secs(400)).expect("time goes on");
    if let Some(hub) = seen.hub.lock().expect("one thread").as_ref() {
        let counts = hub.counts();
        assert_eq!(
            (
                counts.connections,
                counts.members,
                counts.topics,
                counts.log
            ),
            (0, 0, 0, 0),
            "seed {seed}"
        );
    }
    stop.stop();
    sim.run_for(Duration::from_secs(11)).expect("time goes on");
    assert_eq!(
        report.try_recv().expect("it has stopped").cut,
        0,
        "seed {seed}"
    );
    assert_eq!((sim.tasks(), sim.connections()), (0, 0), "seed {seed}");
    let hub = seen.hub.lock().expect("one thread").clone();
    (sim.digest(), hub.map_or(0, |hub| hub.counts().delivered))
}

#[test]
fn members_of_every_world_see_one_order_and_leave_nothing_behind() {
    let mut delivered = 0;
    for seed in 0..40 {
        println!("seed {seed}");
        let (digest, some) = world(seed);
        delivered += some;
        if seed % 10 == 0 {
            assert_eq!(world(seed).0, digest, "seed {seed} is replayed");
        }
    }
    assert!(delivered > 5_000, "{delivered}");
}

#[test]
fn a_join_that_races_with_the_end_of_its_member_leaves_nothing_behind() {
    use tideway::testing::VirtualTasks;
    use tideway::ws::Sender;

    for round in 0..300 {
        let app = App::new().seed(Seed::from_u64(round));
        let pipeline = app
            .pipeline(Arc::new(VirtualTasks::default()))
            .expect("a well-formed app");
        let hub = pipeline.context().get::<Hub>().expect("it was seeded");
        let listener = hub.listener();
        let sender: Sender = listener.as_ref().clone();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..20 {
                    let room = hub.room(&n.to_string()).expect("a name");
                    // Refused from its end on.
                    let _ = futures_util::FutureExt::now_or_never(room.join(&sender));
                }
            });
            scope.spawn(|| drop(listener));
        });
        let counts = hub.counts();
        assert_eq!(
            (counts.connections, counts.members),
            (0, 0),
            "round {round}"
        );
    }
}
