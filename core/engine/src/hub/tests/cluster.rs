//! Two nodes over a lossy broker that goes away, with processes that die: presence meets, and no message is
//! missing in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::outboxes::Numbered;
use super::*;
use crate::jobs::Name;
use crate::rng::{Rng, Seed};
use crate::time::Mono;

#[derive(Clone, Debug)]
enum Action {
    Join {
        node: usize,
        conn: u64,
        room: u8,
        user: u8,
    },
    Leave {
        node: usize,
        conn: u64,
        room: u8,
    },
    Gone {
        node: usize,
        conn: u64,
    },
    Publish {
        node: usize,
        room: u8,
    },
    /// Killed; another process starts in its place.
    Crash {
        node: usize,
        noticed: bool,
    },
    /// Its connection to the broker is lost.
    Cut {
        node: usize,
    },
    Mend {
        node: usize,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let (node, conn, room) = (|| 0..2_usize, || 0..3_u64, || 0..2_u8);
    prop_oneof![
        20 => (node(), conn(), room(), 0..4_u8)
            .prop_map(|(node, conn, room, user)| Action::Join { node, conn, room, user }),
        8 => (node(), conn(), room()).prop_map(|(node, conn, room)| Action::Leave { node, conn, room }),
        3 => (node(), conn()).prop_map(|(node, conn)| Action::Gone { node, conn }),
        25 => (node(), room()).prop_map(|(node, room)| Action::Publish { node, room }),
        2 => (node(), any::<bool>()).prop_map(|(node, noticed)| Action::Crash { node, noticed }),
        3 => node().prop_map(|node| Action::Cut { node }),
        4 => node().prop_map(|node| Action::Mend { node }),
    ]
}

fn room(n: u8) -> Topic {
    Topic::Room(Name::new(&format!("room {n}")).unwrap())
}

fn user(n: u8) -> Name {
    Name::new(&format!("user {n}")).unwrap()
}

const RULES: Rules = Rules {
    order: Order::Local,
    reach: Reach::Cluster,
    policy: Policy::Close,
};

enum Parcel {
    Said(Remote<Numbered>),
    Subscribed(Topic),
    Lost(Topic),
}

struct Node {
    rooms: Rooms<u64, Numbered>,
    incarnation: Incarnation,
    connected: bool,
    subscribed: BTreeSet<Topic>,
    members: BTreeMap<(Topic, u64), Member>,
    /// Who is present as the events tell.
    seen: BTreeSet<(Topic, Name)>,
    /// Other incarnations whose numbers it knows.
    heard: BTreeSet<(Topic, Incarnation)>,
    gaps: Vec<(Topic, Mono)>,
    /// What each member got of each incarnation last.
    last: BTreeMap<(Topic, u64, Incarnation), u64>,
    /// What members are owed: number, by whom, since when.
    owed: BTreeMap<(Topic, u64, u64), (Incarnation, Mono)>,
    /// Losses in a row on the way to it, for each topic and kind.
    row: BTreeMap<(Topic, u8), u32>,
    arrived: Mono,
}

struct Member {
    user: Name,
    whole: bool,
}

struct World {
    rng: Rng,
    now: Mono,
    nodes: Vec<Node>,
    /// In flight, by arrival.
    link: BTreeMap<(Mono, u64), (usize, Parcel)>,
    serial: u64,
    number: u64,
    senders: BTreeMap<u64, Incarnation>,
    /// Losses in a row at most.
    row: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(&Seed::from_u64(seed));
        let nodes = (0..2).map(|_| Node::new(&mut rng)).collect();
        Self {
            rng,
            now: Mono::START,
            nodes,
            link: BTreeMap::new(),
            serial: 0,
            number: 0,
            senders: BTreeMap::new(),
            row: 2,
        }
    }

    fn send(&mut self, to: usize, parcel: Parcel) {
        self.serial += 1;
        let delay = Duration::from_micros(500 + self.rng.below(50_000));
        let at = self.now.plus(delay).max(self.nodes[to].arrived);
        self.nodes[to].arrived = at;
        self.link.insert((at, self.serial), (to, parcel));
    }

    /// Carries out what a node asks for.
    fn settle(&mut self, at: usize) {
        while let Some(output) = self.nodes[at].rooms.poll() {
            match output {
                Output::Subscribe(topics) => {
                    for topic in topics {
                        if self.nodes[at].connected {
                            self.nodes[at].subscribed.insert(topic.clone());
                            self.send(at, Parcel::Subscribed(topic));
                        } else {
                            self.send(at, Parcel::Lost(topic));
                        }
                    }
                }
                Output::Unsubscribe(topics) => {
                    for topic in topics {
                        self.nodes[at].subscribed.remove(&topic);
                    }
                }
                Output::Announce(announce) => self.carry(at, announce),
                Output::Answer(answer) => self.nodes[at].answer(answer),
            }
        }
        while let Some(event) = self.nodes[at].rooms.poll_event() {
            self.nodes[at].event(event, self.now);
        }
    }

    fn carry(&mut self, from: usize, announce: Announce<Numbered>) {
        if !self.nodes[from].connected {
            return;
        }
        // Each kind has its own luck: else questions that arrive would make up for digests that never do.
        let kind = match announce.body {
            Body::Message { .. } => 0,
            Body::Digest { .. } => 1,
            Body::Ask { .. } => 2,
            _ => 3,
        };
        for to in 0..2 {
            let node = &mut self.nodes[to];
            if !node.connected || !node.subscribed.contains(&announce.topic) {
                continue;
            }
            if to != from {
                let row = node.row.entry((announce.topic.clone(), kind)).or_default();
                if *row < self.row && self.rng.chance(400_000) {
                    *row += 1;
                    continue;
                }
                *row = 0;
            }
            // Echoes come back to the sender, and some are heard twice.
            for _ in 0..1 + u32::from(self.rng.chance(100_000)) {
                let announce = announce.clone();
                self.send(
                    to,
                    Parcel::Said(Remote {
                        announce,
                        position: None,
                    }),
                );
            }
        }
    }

    fn arrive(&mut self, to: usize, parcel: Parcel) {
        let node = &mut self.nodes[to];
        match parcel {
            Parcel::Said(remote) => {
                let (topic, from) = (&remote.announce.topic, remote.announce.from);
                let members = node.rooms.members(topic) > 0;
                if members
                    && from != node.incarnation
                    && !matches!(remote.announce.body, Body::Ask { .. })
                {
                    node.heard.insert((topic.clone(), from));
                }
                let _ = node.rooms.handle_remote(self.now, remote);
            }
            Parcel::Subscribed(topic) => node.rooms.handle_subscribed(self.now, &topic),
            Parcel::Lost(topic) => node.rooms.handle_lost(self.now, Some(&topic)),
        }
        self.hand_out(to);
        self.settle(to);
    }

    fn hand_out(&mut self, at: usize) {
        let (node, senders) = (&mut self.nodes[at], &self.senders);
        while node.rooms.fan(2, |to, batch| {
            for item in batch.iter() {
                let number = item.frame.number;
                let topic = room((number % 2) as u8);
                assert!(
                    node.members.contains_key(&(topic.clone(), *to)),
                    "{to} is no member of {topic:?}"
                );
                node.owed.remove(&(topic.clone(), *to, number));
                let last = node.last.insert((topic, *to, senders[&number]), number);
                assert!(
                    last.is_none_or(|last| last < number),
                    "{number} after {last:?}"
                );
            }
        }) == Turn::Yours
        {}
    }

    fn act(&mut self, action: &Action) {
        let now = self.now;
        match *action {
            Action::Join {
                node: at,
                conn,
                room: n,
                user: who,
            } => {
                let (node, topic) = (&mut self.nodes[at], room(n));
                let join = Join {
                    user: Some(user(who)),
                    since: None,
                };
                let first = node.rooms.members(&topic) == 0;
                let joined = node
                    .rooms
                    .join(now, Conn(conn), &conn, &topic, RULES, join)
                    .unwrap();
                if joined != Joined::Already {
                    let whole = joined == Joined::Whole;
                    node.members.insert(
                        (topic.clone(), conn),
                        Member {
                            user: user(who),
                            whole,
                        },
                    );
                }
                if first {
                    let present = node.rooms.present(&topic).cloned();
                    node.seen.extend(present.map(|user| (topic.clone(), user)));
                }
            }
            Action::Leave {
                node: at,
                conn,
                room: n,
            } => {
                self.nodes[at].rooms.leave(now, Conn(conn), &room(n));
                self.nodes[at].left(conn, Some(room(n)));
            }
            Action::Gone { node: at, conn } => {
                self.nodes[at].rooms.handle_gone(now, Conn(conn));
                self.nodes[at].left(conn, None);
            }
            Action::Publish { node: at, room: n } => self.publish(at, n),
            Action::Crash { node: at, noticed } => {
                let dead = std::mem::replace(&mut self.nodes[at], Node::new(&mut self.rng));
                self.link.retain(|_, (to, _)| *to != at);
                let other = &mut self.nodes[1 - at];
                // Its last words may be lost with it.
                other.owed.retain(|_, (from, _)| *from != dead.incarnation);
                if noticed {
                    other.rooms.handle_node_down(now, dead.incarnation);
                    other.heard.retain(|(_, from)| *from != dead.incarnation);
                }
            }
            Action::Cut { node: at } => {
                let node = &mut self.nodes[at];
                node.connected = false;
                node.subscribed.clear();
                self.link.retain(|_, (to, _)| *to != at);
                node.rooms.handle_lost(now, None);
            }
            Action::Mend { node: at } => {
                self.nodes[at].connected = true;
                self.nodes[at].rooms.handle_connected(now);
            }
        }
        for at in 0..2 {
            self.hand_out(at);
            self.settle(at);
        }
    }

    fn publish(&mut self, at: usize, n: u8) {
        let topic = room(n);
        // The number tells the room.
        self.number += 2;
        let number = self.number + u64::from(n);
        let from = self.nodes[at].incarnation;
        self.senders.insert(number, from);
        let post = Post::new(Numbered { number, bytes: 10 });
        let now = self.now;
        let _ = self.nodes[at]
            .rooms
            .publish(now, &topic, RULES, post)
            .unwrap();
        for (to, node) in self.nodes.iter_mut().enumerate() {
            for ((_, conn), _) in node
                .members
                .iter()
                .filter(|((at, _), member)| *at == topic && member.whole)
            {
                if to == at || node.heard.contains(&(topic.clone(), from)) {
                    node.owed
                        .insert((topic.clone(), *conn, number), (from, now));
                }
            }
        }
    }

    /// Lets time pass, doing everything exactly when it is due.
    fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        loop {
            let due = self
                .nodes
                .iter()
                .filter_map(|node| node.rooms.poll_timeout());
            let due = due.map(|(at, _)| at).min();
            let next = self.link.keys().next().map(|(at, _)| *at);
            let Some(at) = due.into_iter().chain(next).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            for at in 0..2 {
                let early = self.nodes[at]
                    .rooms
                    .poll_timeout()
                    .is_none_or(|(due, _)| due > self.now);
                self.nodes[at].rooms.handle_timeout(self.now);
                if early {
                    assert_eq!(
                        self.nodes[at].rooms.poll(),
                        None,
                        "it waited for something unreported"
                    );
                }
                let next = self.nodes[at].rooms.poll_timeout();
                assert!(
                    next.is_none_or(|(due, _)| due > self.now),
                    "{next:?} is due again at once"
                );
                self.settle(at);
            }
            while let Some(parcel) = self
                .link
                .first_entry()
                .filter(|entry| entry.key().0 <= self.now)
            {
                let (to, parcel) = parcel.remove();
                self.arrive(to, parcel);
            }
        }
        self.now = end;
    }

    fn check(&self) {
        for node in &self.nodes {
            for topic in [room(0), room(1)] {
                if node.rooms.members(&topic) == 0 {
                    continue;
                }
                let members = self.nodes.iter().flat_map(|node| &node.members);
                let there = members.filter(|((at, _), _)| *at == topic);
                let truth: BTreeSet<_> = there.map(|(_, member)| member.user.clone()).collect();
                let present: BTreeSet<_> = node.rooms.present(&topic).cloned().collect();
                assert_eq!(present, truth, "present in {topic:?}");
                let seen = node.seen.iter().filter(|(at, _)| *at == topic);
                assert_eq!(
                    seen.map(|(_, user)| user.clone()).collect::<BTreeSet<_>>(),
                    truth,
                    "as told"
                );
            }
            for ((topic, conn, number), (_, at)) in &node.owed {
                let told = node
                    .gaps
                    .iter()
                    .any(|(gap, when)| gap == topic && when >= at);
                assert!(told, "{number} never reached {conn}, and nobody was told");
            }
        }
    }
}

impl Node {
    fn new(rng: &mut Rng) -> Self {
        let incarnation = Incarnation::draw(rng);
        let config = Config {
            linger: Duration::from_secs(6),
            ..Config::new(incarnation)
        };
        Self {
            rooms: Rooms::new(config, &rng.fork()),
            incarnation,
            connected: true,
            subscribed: BTreeSet::new(),
            members: BTreeMap::new(),
            seen: BTreeSet::new(),
            heard: BTreeSet::new(),
            gaps: Vec::new(),
            last: BTreeMap::new(),
            owed: BTreeMap::new(),
            row: BTreeMap::new(),
            arrived: Mono::START,
        }
    }

    fn left(&mut self, conn: u64, from: Option<Topic>) {
        let stays = |topic: &Topic, who: u64| {
            who != conn || from.as_ref().is_some_and(|from| from != topic)
        };
        self.members.retain(|(topic, who), _| stays(topic, *who));
        self.owed.retain(|(topic, who, _), _| stays(topic, *who));
        self.last.retain(|(topic, who, _), _| stays(topic, *who));
        let rooms = &self.rooms;
        self.seen.retain(|(topic, _)| rooms.members(topic) > 0);
        self.heard.retain(|(topic, _)| rooms.members(topic) > 0);
    }

    fn event(&mut self, event: Event, now: Mono) {
        match event {
            Event::Came { topic, user } => {
                self.seen.insert((topic, user));
            }
            Event::Went { topic, user } => {
                assert!(self.seen.remove(&(topic, user)), "went without having come");
            }
            Event::Gap { topic, cause } => {
                if cause == Cause::Reconnected {
                    let members = self.members.iter_mut().filter(|((at, _), _)| *at == topic);
                    members.for_each(|(_, member)| member.whole = true);
                }
                self.gaps.push((topic, now));
            }
            Event::Relist { .. } => panic!("{event:?}"),
        }
    }

    fn answer(&mut self, answer: Answer) {
        let Answer::Joined { joined, .. } = answer else {
            panic!("{answer:?}");
        };
        let (conn, topic) = answer.of();
        let member = self.members.get_mut(&(topic.clone(), conn.0));
        member.expect("it is a member").whole |= joined == Joined::Whole;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn presence_meets_within_20_s_and_no_message_is_missing_in_silence(
        seed: u64,
        script in prop::collection::vec((0..4_000_u64, action()), 1..60),
    ) {
        let mut world = World::new(seed);
        for (wait, action) in &script {
            world.pass(Duration::from_millis(*wait));
            world.act(action);
        }
        for node in 0..2 {
            if !world.nodes[node].connected {
                world.act(&Action::Mend { node });
            }
        }
        // From now on never two of a kind are lost in a row.
        world.row = 1;
        world.pass(Duration::from_secs(20));
        world.check();

        // Everyone goes: nothing is left after the linger.
        for node in 0..2 {
            for conn in 0..3 {
                world.act(&Action::Gone { node, conn });
            }
        }
        world.pass(Duration::from_secs(60));
        for node in &world.nodes {
            let counts = node.rooms.counts();
            let left = (counts.connections, counts.members, counts.topics, counts.present);
            prop_assert_eq!(left, (0, 0, 0, 0));
            prop_assert_eq!((counts.log, counts.joining), (0, 0));
            prop_assert_eq!(node.rooms.poll_timeout(), None, "nothing runs for nobody");
            prop_assert!(node.subscribed.is_empty(), "{:?}", node.subscribed);
        }
    }
}
