//! Rooms on several nodes whose broker loses, delays and cuts off, in virtual time: what comes is in order and comes once,
//! what is missing is told, and who is there is who is there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tideway::ws::{GapCause, Hub, HubConfig, Joined, Reach, Room, RoomEvents, Rules};
use tideway::{App, Mono, Rng, Seed};
use tideway_driver::{Runtime, tasks};
use tideway_memory::{Broker, Node};
use tideway_sim::{Host, Sim};

const NODES: usize = 3;

/// What one node was told of its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Gap,
    Came(usize),
    Went(usize),
}

/// Message `number` of node `from` came.
#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Mono,
    from: usize,
    number: u64,
}

/// One node: its hub, and one member that listens.
struct Hall {
    host: Host,
    hub: Hub,
    node: Node,
    said: u64,
    heard: Arc<Mutex<Vec<Heard>>>,
    told: Arc<Mutex<Vec<(Mono, Told)>>>,
}

struct Recorder {
    host: Host,
    told: Arc<Mutex<Vec<(Mono, Told)>>>,
}

impl Recorder {
    fn note(&self, told: Told) {
        let now = self.host.now().mono;
        self.told.lock().expect("one thread").push((now, told));
    }
}

fn number(user: &str) -> usize {
    user.parse().expect("users are called by numbers")
}

impl RoomEvents for Recorder {
    async fn came(&self, _: &Room, user: &str) {
        self.note(Told::Came(number(user)));
    }

    async fn went(&self, _: &Room, user: &str) {
        self.note(Told::Went(number(user)));
    }

    async fn gap(&self, _: &Room, _: GapCause) {
        self.note(Told::Gap);
    }
}

impl Hall {
    fn open(sim: &Sim, broker: &Broker, n: usize, seed: Seed) -> Self {
        let (host, node) = (sim.host(&format!("node {n}")), broker.node());
        let (heard, told) = (Arc::<Mutex<_>>::default(), Arc::<Mutex<_>>::default());
        let recorder = Recorder {
            host: host.clone(),
            told: Arc::clone(&told),
        };
        let config = HubConfig {
            rules: Rules {
                reach: Reach::Cluster,
                ..Rules::default()
            },
            ..HubConfig::default()
        };
        let app = App::new().hub(config).pubsub(node.clone());
        let app = app.room_events(recorder).seed(seed);
        let pipeline = app
            .pipeline(tasks(host.clone()))
            .expect("a well-formed app");
        let hub = pipeline.context().get::<Hub>().expect("it has one").clone();
        let tended = hub.clone();
        host.spawn_named("tend", async move { tended.tend().await });
        let hall = Self {
            host,
            hub,
            node,
            said: 0,
            heard,
            told,
        };
        hall.listen(n);
        hall
    }

    fn listen(&self, n: usize) {
        let (hub, heard, host) = (self.hub.clone(), self.heard.clone(), self.host.clone());
        self.host.spawn_named("member", async move {
            let mut listener = hub.listener();
            let room = hub.room("room").expect("a name");
            let joined = room.join_as(&listener, &n.to_string()).await;
            assert_eq!(joined, Ok(Joined::Whole));
            while let Some(frame) = listener.recv().await {
                let text = std::str::from_utf8(frame.payload()).expect("text");
                let (from, number) = text.split_once(' ').expect("two numbers");
                heard.lock().expect("one thread").push(Heard {
                    at: host.now().mono,
                    from: from.parse().expect("a number"),
                    number: number.parse().expect("a number"),
                });
            }
        });
    }

    fn room(&self) -> Room {
        self.hub.room("room").expect("a name")
    }

    fn say(&mut self, n: usize) {
        self.said += 1;
        let text = format!("{n} {}", self.said);
        self.room().publish(text).expect("it fits");
    }

    fn present(&self) -> Vec<usize> {
        self.room()
            .present()
            .iter()
            .map(|user| number(user))
            .collect()
    }

    /// Whether a gap was told between the two.
    fn gap(&self, from: Mono, to: Mono) -> bool {
        let told = self.told.lock().expect("one thread");
        let mut told = told.iter().filter(|(_, told)| *told == Told::Gap);
        told.any(|(at, _)| (from..=to).contains(at))
    }

    /// What came of each node is in order, once, and whole but where a gap was told; how many are missing.
    fn check(&self, n: usize, said: &[u64], seed: u64) -> u64 {
        let heard = self.heard.lock().expect("one thread").clone();
        let mut missing = 0;
        for (from, said) in said.iter().enumerate() {
            let (mut last, mut since) = (0, Mono::START);
            for word in heard.iter().filter(|word| word.from == from) {
                assert!(
                    word.number > last,
                    "seed {seed}: {n} hears {word:?} after {last}"
                );
                let skipped = word.number - last - 1;
                let told = self.gap(since, word.at.plus(Duration::from_secs(1)));
                assert!(
                    skipped == 0 || told,
                    "seed {seed}: {n} misses some before {word:?}"
                );
                assert!(skipped == 0 || from != n, "seed {seed}: {n} misses its own");
                missing += skipped;
                (last, since) = (word.number, word.at);
            }
            let told = self.gap(since, Mono::START.plus(Duration::MAX));
            assert!(
                last == *said || told,
                "seed {seed}: {n} misses {from}'s last words"
            );
            missing += said - last;
        }
        missing
    }
}

fn world(seed: u64) -> (u128, u64) {
    let mut rng = Rng::new(&Seed::from_u64(seed ^ 0x006e_6f64_6573));
    let sim = Sim::new(seed);
    let broker = Broker::default();
    let mut halls: Vec<Hall> = (0..NODES)
        .map(|n| Hall::open(&sim, &broker, n, rng.fork()))
        .collect();
    let wait = |time: u64| {
        sim.run_for(Duration::from_millis(time))
            .expect("time goes on");
    };
    wait(3_000);
    for step in 0..300 {
        let n = rng.below(NODES as u64) as usize;
        match rng.below(40) {
            0 => halls[n].node.disconnect(),
            1..=4 => halls[n].node.reconnect(),
            5 => broker.hold(),
            6..=8 => broker.release(),
            9 => broker.lose(1 + rng.below(3) as usize),
            10 if step % 3 == 0 => broker.stop(),
            11..=13 => broker.start(),
            _ => halls[n].say(n),
        }
        let longest = if rng.chance(50_000) { 20_000 } else { 500 };
        wait(rng.below(longest));
    }
    broker.start();
    broker.release();
    halls.iter().for_each(|hall| hall.node.reconnect());
    wait(40_000);

    let said: Vec<u64> = halls.iter().map(|hall| hall.said).collect();
    let mut missing = 0;
    for (n, hall) in halls.iter().enumerate() {
        missing += hall.check(n, &said, seed);
        let all: Vec<usize> = (0..NODES).collect();
        assert_eq!(hall.present(), all, "seed {seed}: who {n} sees");
        let nodes = hall.hub.nodes();
        assert!(
            nodes.connected && nodes.unreadable == 0 && nodes.sent > 0,
            "{nodes:?}"
        );
    }

    // One dies without a word.
    let dead = rng.below(NODES as u64) as usize;
    halls[dead].node.disconnect();
    sim.crash(&halls[dead].host);
    let died = sim.now().mono;
    wait(20_000);
    let living: Vec<usize> = (0..NODES).filter(|n| *n != dead).collect();
    for n in &living {
        assert_eq!(halls[*n].present(), living, "seed {seed}: who {n} sees");
        let told = halls[*n].told.lock().expect("one thread").clone();
        let went = told
            .iter()
            .filter(|(at, told)| *at >= died && *told == Told::Went(dead));
        assert_eq!(
            went.count(),
            1,
            "seed {seed}: {n} is told once that {dead} has gone"
        );
        let gone = told
            .iter()
            .filter(|(at, told)| *at >= died && matches!(told, Told::Gap));
        assert_eq!(gone.count(), 0, "seed {seed}: nothing is missing");
    }
    for user in 0..NODES {
        for hall in &halls {
            let told = hall.told.lock().expect("one thread");
            let mut there = false;
            for (_, told) in told.iter() {
                match told {
                    Told::Came(who) if *who == user => {
                        assert!(
                            !std::mem::replace(&mut there, true),
                            "seed {seed}: came twice"
                        );
                    }
                    Told::Went(who) if *who == user => {
                        assert!(
                            std::mem::replace(&mut there, false),
                            "seed {seed}: went twice"
                        );
                    }
                    _ => {}
                }
            }
        }
    }
    (sim.digest(), missing)
}

#[test]
fn rooms_on_several_nodes_miss_nothing_in_silence() {
    let mut missing = 0;
    for seed in 0..60 {
        println!("seed {seed}");
        let (digest, some) = world(seed);
        missing += some;
        if seed % 20 == 0 {
            assert_eq!(world(seed).0, digest, "seed {seed} is replayed");
        }
    }
    assert!(missing > 500, "the faults did nothing: {missing}");
}

#[test]
fn a_node_that_is_cut_off_goes_on_by_itself_and_says_so() {
    let sim = Sim::new(5);
    let broker = Broker::default();
    broker.stop();
    let host = sim.host("alone");
    let (node, told) = (broker.node(), Arc::<Mutex<_>>::default());
    let recorder = Recorder {
        host: host.clone(),
        told: Arc::clone(&told),
    };
    let rules = Rules {
        reach: Reach::Cluster,
        ..Rules::default()
    };
    let app = App::new()
        .pubsub(node)
        .room_events(recorder)
        .seed(Seed::from_u64(1));
    let pipeline = app
        .pipeline(tasks(host.clone()))
        .expect("a well-formed app");
    let hub = pipeline.context().get::<Hub>().expect("it has one").clone();
    let tended = hub.clone();
    host.spawn_named("tend", async move { tended.tend().await });
    let mut listener = hub.listener();
    let room = hub.room("room").expect("a name").rules(rules);
    let begun = sim.now().mono;
    let joined = sim.run(room.join(&listener)).expect("there is room");
    assert_eq!(joined, Joined::Degraded);
    assert_eq!(sim.now().mono.since(begun), Duration::from_secs(2));
    room.publish("hello").expect("it fits");
    let heard = sim.run(listener.recv()).expect("it is a member");
    assert_eq!(heard.payload(), b"hello");
    sim.run_for(Duration::from_secs(1)).expect("time goes on");
    assert!(!hub.nodes().connected && hub.nodes().unsent > 0);
    assert_eq!(told.lock().expect("one thread").len(), 0);

    broker.start();
    sim.run_for(Duration::from_secs(8)).expect("time goes on");
    assert!(hub.nodes().connected && hub.nodes().sent > 0);
    let told = told.lock().expect("one thread").clone();
    assert!(matches!(told[..], [(_, Told::Gap)]), "{told:?}");
}
