//! Who is in which room, what is handed out to whom, and who is present. It writes to no connection: it
//! lends frames to whoever holds the outboxes.

mod alarms;
mod cluster;
mod config;
mod numbers;
mod output;
mod places;
mod presence;
mod remote;
mod room;
mod subscription;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::BuildHasher;

pub use config::{Config, Order, Reach, Rules};
pub use output::{
    Announce, Answer, Batch, Body, Cause, Counts, Event, Item, Join, Joined, Live, Output, Post,
    Refused, Remote, Turn,
};

use super::{Conn, Frame, Incarnation, Position, Topic};
use crate::jobs::Name;
use crate::map::{Keyed, Map};
use crate::rng::{Rng, Seed};
use crate::table::Transition;
use crate::time::Mono;
use alarms::Alarms;
use numbers::Numbers;
use remote::Life;
use room::{Budget, Room};
use subscription::Sub;

pub(super) use room::Entry;

/// How many members one hold of the lock should serve at most.
pub const HOLD: usize = 1024;
/// Topics in one request to the broker.
const BATCH: usize = 512;
/// Events nobody took.
const EVENTS: usize = 1 << 16;

/// The rooms of one shard, with `M` to reach a member's outbox by and `F` for frames.
///
/// - **A** questions: [`counts`](Self::counts), [`direct`](Self::direct), [`is_member`](Self::is_member),
///   [`members`](Self::members), [`present`](Self::present), [`is_subscribed`](Self::is_subscribed),
///   [`rules`](Self::rules), [`has_output`](Self::has_output), [`has_event`](Self::has_event)
/// - **B** inputs, which never fail: [`handle_gone`](Self::handle_gone), [`handle_remote`](Self::handle_remote),
///   [`handle_connected`](Self::handle_connected), [`handle_subscribed`](Self::handle_subscribed),
///   [`handle_lost`](Self::handle_lost),
///   [`handle_node_seen`](Self::handle_node_seen), [`handle_node_down`](Self::handle_node_down),
///   [`handle_timeout`](Self::handle_timeout)
/// - **C** commands: [`register`](Self::register), [`join`](Self::join), [`leave`](Self::leave),
///   [`publish`](Self::publish), [`live`](Self::live)
/// - **D** outputs: [`fan`](Self::fan), [`poll`](Self::poll), [`poll_event`](Self::poll_event),
///   [`poll_timeout`](Self::poll_timeout)
///
/// After any call drain [`poll`](Self::poll) until `None`; events may wait, for whoever hears them is user code. Whoever is told [`Turn::Yours`] calls
/// [`fan`](Self::fan) until [`Turn::Done`], letting go of the lock in between; others meanwhile only append.
/// Frames of one topic reach all members in one order. Nothing here is reached by user code, so it can run
/// under a lock.
///
/// # Subscriptions
///
/// Each topic of [`Reach::Cluster`] has one. What has no row changes nothing.
///
#[doc = include_str!("rooms.md")]
#[derive(Debug)]
pub struct Rooms<M, F> {
    config: Config,
    rng: Rng,
    keyed: Keyed,
    clients: Map<Conn, Client<M>>,
    names: Map<Topic, u32>,
    rooms: Vec<Option<Room<M, F>>>,
    vacant: Vec<u32>,
    /// Those with something to hand out, each once.
    ready: VecDeque<u32>,
    /// How often some of them handed out.
    steps: u64,
    alarms: Alarms,
    numbers: Numbers,
    /// The version given last to a list of users.
    version: u64,
    budget: Budget,
    /// Topics to subscribe to; not before the pause is over.
    wanted: BTreeSet<u32>,
    unwanted: VecDeque<Topic>,
    paused: bool,
    /// The connection to the broker is lost.
    away: bool,
    losses: u32,
    announcements: VecDeque<Announce<F>>,
    announced_bytes: usize,
    /// At most two for each member.
    answers: VecDeque<Answer>,
    events: VecDeque<Event>,
    nodes: BTreeMap<Incarnation, Life>,
    counts: Counts,
}

/// One connection.
#[derive(Debug)]
struct Client<M> {
    to: M,
    /// Its topics, each with its slot there.
    rooms: Vec<(u32, u32)>,
}

impl<M: Clone, F: Frame> Rooms<M, F> {
    /// A shard without anyone.
    #[must_use]
    pub fn new(config: Config, seed: &Seed) -> Self {
        let mut rng = Rng::new(seed);
        let keyed = Keyed::from_seed(&rng.fork());
        Self {
            clients: Map::with_hasher(keyed.clone()),
            names: Map::with_hasher(keyed.clone()),
            rooms: Vec::new(),
            vacant: Vec::new(),
            ready: VecDeque::new(),
            steps: 0,
            alarms: Alarms::new(),
            numbers: Numbers::new(numbers::KEPT, keyed.clone()),
            version: 0,
            budget: Budget {
                used: 0,
                each: config.joining,
                all: config.joining_all,
            },
            wanted: BTreeSet::new(),
            unwanted: VecDeque::new(),
            paused: false,
            away: false,
            losses: 0,
            announcements: VecDeque::new(),
            announced_bytes: 0,
            answers: VecDeque::new(),
            events: VecDeque::new(),
            nodes: BTreeMap::new(),
            counts: Counts::default(),
            config,
            rng,
            keyed,
        }
    }

    /// The table of subscriptions, as shown above.
    #[must_use]
    pub const fn transitions() -> &'static [Transition] {
        subscription::TABLE
    }

    /// How much there is and was.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            connections: self.clients.len(),
            topics: self.names.len(),
            joining: self.budget.used,
            ..self.counts
        }
    }

    /// How to reach one connection of this shard.
    #[must_use]
    pub fn direct(&self, conn: Conn) -> Option<&M> {
        self.clients.get(&conn).map(|client| &client.to)
    }

    /// What a topic was opened with, while it lives.
    #[must_use]
    pub fn rules(&self, topic: &Topic) -> Option<Rules> {
        self.room(topic).map(|room| room.rules)
    }

    /// Whether a connection is a member.
    #[must_use]
    pub fn is_member(&self, conn: Conn, topic: &Topic) -> bool {
        self.slot(conn, topic).is_some()
    }

    /// How many members a topic has on this node.
    #[must_use]
    pub fn members(&self, topic: &Topic) -> usize {
        self.room(topic).map_or(0, Room::members)
    }

    /// The users present in a topic on any node, in order.
    pub fn present(&self, topic: &Topic) -> impl Iterator<Item = &Name> {
        self.room(topic)
            .into_iter()
            .flat_map(|room| room.presence.users())
    }

    /// Whether frames of other nodes come in.
    #[must_use]
    pub fn is_subscribed(&self, topic: &Topic) -> bool {
        let far = self.room(topic).and_then(|room| room.far.as_deref());
        far.is_some_and(|far| far.sub == Sub::On)
    }

    /// Whether [`poll`](Self::poll) has something.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !(self.answers.is_empty() && self.unwanted.is_empty() && self.announcements.is_empty())
            || !self.paused && !self.wanted.is_empty()
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    #[must_use]
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// A connection has ended: it leaves its topics, and no others are looked at. Returns how many they were.
    pub fn handle_gone(&mut self, now: Mono, conn: Conn) -> usize {
        let Some(client) = self.clients.remove(&conn) else {
            return 0;
        };
        for (ix, slot) in &client.rooms {
            self.remove(now, *ix, *slot);
        }
        client.rooms.len()
    }

    /// Makes a connection known, so that [`direct`](Self::direct) finds it. Joining does so too.
    ///
    /// # Errors
    ///
    /// [`Refused::Connections`].
    pub fn register(&mut self, conn: Conn, to: &M) -> Result<(), Refused> {
        if self.clients.contains_key(&conn) {
            return Ok(());
        }
        if self.clients.len() >= self.config.connections {
            return Err(Refused::Connections(self.config.connections));
        }
        let (to, rooms) = (to.clone(), Vec::new());
        self.clients.insert(conn, Client { to, rooms });
        Ok(())
    }

    /// Makes a connection a member. What is published after this call reaches it.
    ///
    /// # Errors
    ///
    /// Any [`Refused`] but those of frames.
    pub fn join(
        &mut self,
        now: Mono,
        conn: Conn,
        to: &M,
        topic: &Topic,
        rules: Rules,
        join: Join,
    ) -> Result<Joined, Refused> {
        if rules.order == Order::Broker {
            return Err(Refused::BrokerOrder);
        }
        if self.slot(conn, topic).is_some() {
            return Ok(Joined::Already);
        }
        let rooms = self
            .clients
            .get(&conn)
            .map_or(0, |client| client.rooms.len());
        if rooms >= self.config.rooms {
            return Err(Refused::Rooms(self.config.rooms));
        }
        if let Some(room) = self.room(topic) {
            if room.members() >= self.config.members {
                return Err(Refused::Members(self.config.members));
            }
            let new = join
                .user
                .as_ref()
                .filter(|user| !room.presence.is_here(user));
            if new.is_some() && room.presence.here() >= self.config.present {
                return Err(Refused::Present(self.config.present));
            }
        }
        if !self.clients.contains_key(&conn) && self.clients.len() >= self.config.connections {
            return Err(Refused::Connections(self.config.connections));
        }
        let ix = self.open(topic, rules)?;
        self.register(conn, to)?;
        self.enter(now, conn, to, ix, join)
    }

    /// Ends a membership. Whether there was one.
    pub fn leave(&mut self, now: Mono, conn: Conn, topic: &Topic) -> bool {
        let Some((ix, slot)) = self.slot(conn, topic) else {
            return false;
        };
        if let Some(client) = self.clients.get_mut(&conn) {
            client.rooms.retain(|(room, _)| *room != ix);
        }
        self.remove(now, ix, slot);
        true
    }

    /// Puts a frame behind all others of its topic, and announces it to other nodes if the topic reaches
    /// them. Nobody gets it before [`fan`](Self::fan).
    ///
    /// # Errors
    ///
    /// [`Refused::Busy`]: call [`fan`](Self::fan) once, then try again. [`Refused::TooLarge`],
    /// [`Refused::OtherRules`], [`Refused::BrokerOrder`], [`Refused::Topics`].
    pub fn publish(
        &mut self,
        now: Mono,
        topic: &Topic,
        rules: Rules,
        post: Post<F>,
    ) -> Result<Turn, Refused> {
        if rules.order == Order::Broker {
            return Err(Refused::BrokerOrder);
        }
        let bytes = Entry::allocated(&post.frame);
        if bytes > self.config.log {
            return Err(Refused::TooLarge(bytes));
        }
        if (rules.reach == Reach::Node || post.here) && !self.names.contains_key(topic) {
            self.counts.published += 1;
            return Ok(Turn::Done);
        }
        if self.members(topic) > 0 && self.counts.log + bytes > self.config.log {
            return Err(Refused::Busy);
        }
        let ix = self.open(topic, rules)?;
        self.counts.published += 1;
        if !post.here {
            self.announce_message(now, ix, &post);
        }
        Ok(self.append(ix, post, None))
    }

    /// A member that joined with [`Join::since`] has got the history up to `upto`, or there is none: it
    /// gets what was kept meanwhile, and all frames from now on.
    ///
    /// # Errors
    ///
    /// [`Refused::NotMember`]: it has left, or is live already.
    pub fn live(
        &mut self,
        conn: Conn,
        topic: &Topic,
        upto: Option<Position>,
        mut deliver: impl FnMut(&M, Batch<'_, F>),
    ) -> Result<Live, Refused> {
        let (ix, slot) = self.slot(conn, topic).ok_or(Refused::NotMember)?;
        let room = self.rooms[ix as usize].as_mut().ok_or(Refused::NotMember)?;
        let policy = room.rules.policy;
        let (member, joining) = room.live(slot).ok_or(Refused::NotMember)?;
        self.budget.used -= joining.bytes;
        // The history had these already.
        let old = |position: Option<Position>| {
            let both = position.zip(upto);
            both.is_some_and(|(it, upto)| it.within(upto))
        };
        let mut kept = joining.kept;
        kept.retain(|entry| !old(entry.position));
        let batch = Batch {
            entries: &kept,
            to: conn,
            policy,
            alike: None,
        };
        let frames = batch.iter().count();
        if frames > 0 {
            self.counts.delivered += frames as u64;
            deliver(&member.to, batch);
        }
        let whole = !joining.spilled && upto.is_some_and(|upto| upto.epoch == joining.since.epoch);
        Ok(if whole { Live::Whole } else { Live::Gap })
    }

    /// Hands frames out to at most `limit` members, see [`HOLD`]. Topics take turns, so that a large room
    /// does not keep a small one waiting.
    pub fn fan(&mut self, limit: usize, mut deliver: impl FnMut(&M, Batch<'_, F>)) -> Turn {
        let mut left = limit.max(1);
        while left > 0
            && let Some(ix) = self.ready.pop_front()
        {
            let Some(room) = &mut self.rooms[ix as usize] else {
                continue;
            };
            let before = room.bytes;
            self.steps += 1;
            let step = room.fan(left, self.steps, &mut self.budget, &mut deliver);
            self.counts.log -= before - room.bytes;
            self.counts.delivered += step.delivered;
            left -= step.used.min(left);
            room.ready = !room.quiet();
            if room.ready {
                self.ready.push_back(ix);
            }
            self.close_up(ix);
        }
        if self.ready.is_empty() {
            Turn::Done
        } else {
            Turn::Yours
        }
    }

    /// What is to be done besides handing frames out.
    pub fn poll(&mut self) -> Option<Output<F>> {
        if let Some(answer) = self.answers.pop_front() {
            let (conn, topic) = answer.of();
            if let Some((ix, slot)) = self.slot(conn, topic)
                && let Some(room) = &mut self.rooms[ix as usize]
                && let Some(member) = room.member(slot)
            {
                member.told = member.told.saturating_sub(1);
            }
            return Some(Output::Answer(answer));
        }
        if !self.unwanted.is_empty() {
            // First: a topic that is in both lists shall end subscribed.
            let some = self.unwanted.len().min(BATCH);
            return Some(Output::Unsubscribe(self.unwanted.drain(..some).collect()));
        }
        if !self.paused && !self.wanted.is_empty() {
            return Some(Output::Subscribe(self.subscribe()));
        }
        let announce = self.announcements.pop_front()?;
        self.announced_bytes -= announce.allocated();
        if self.announcements.is_empty() && self.announcements.capacity() > 64 {
            self.announcements = VecDeque::new();
        }
        Some(Output::Announce(announce))
    }

    /// What the application wants to know. It may be taken as slowly as the application likes: what piles up
    /// is capped, and merged.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Some(ix) = self.names.get(event.topic())
            && let Some(room) = &mut self.rooms[*ix as usize]
        {
            match event {
                Event::Gap { .. } => room.gap_told = false,
                Event::Relist { .. } => room.relist_told = false,
                Event::Came { .. } | Event::Went { .. } => {}
            }
        }
        if self.events.is_empty() && self.events.capacity() > 64 {
            self.events = VecDeque::new();
        }
        Some(event)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
        self.alarms.next()
    }

    fn room(&self, topic: &Topic) -> Option<&Room<M, F>> {
        self.rooms[*self.names.get(topic)? as usize].as_ref()
    }

    /// Where a connection is in a topic.
    fn slot(&self, conn: Conn, topic: &Topic) -> Option<(u32, u32)> {
        let (ix, client) = (self.names.get(topic)?, self.clients.get(&conn)?);
        client.rooms.iter().find(|(room, _)| room == ix).copied()
    }

    /// Puts a frame into the log. The turn is the caller's if nobody has it.
    fn append(&mut self, ix: u32, post: Post<F>, position: Option<Position>) -> Turn {
        let Some(room) = &mut self.rooms[ix as usize] else {
            return Turn::Done;
        };
        if room.members() == 0 {
            return Turn::Done;
        }
        let key = self.keyed.hash_one((&room.topic, post.key));
        self.counts.log += Entry::allocated(&post.frame);
        room.append(post.frame, key, post.except, position);
        let first = self.ready.is_empty();
        if !std::mem::replace(&mut room.ready, true) {
            self.ready.push_back(ix);
        }
        if first { Turn::Yours } else { Turn::Done }
    }

    fn tell_presence(&mut self, ix: u32, user: &Name, here: bool) {
        let Some(room) = &mut self.rooms[ix as usize] else {
            return;
        };
        if room.members() == 0 || room.relist_told {
            return;
        }
        let (topic, user) = (room.topic.clone(), user.clone());
        let event = if self.events.len() >= EVENTS {
            room.relist_told = true;
            Event::Relist { topic }
        } else if here {
            Event::Came { topic, user }
        } else {
            Event::Went { topic, user }
        };
        self.events.push_back(event);
    }

    fn tell_gap(&mut self, ix: u32, cause: Cause) {
        let Some(room) = &mut self.rooms[ix as usize] else {
            return;
        };
        self.counts.gaps += 1;
        if room.members() > 0 && !std::mem::replace(&mut room.gap_told, true) {
            let topic = room.topic.clone();
            self.events.push_back(Event::Gap { topic, cause });
        }
    }

    /// Asks for the history that a member wants, if it does.
    fn recover(&mut self, ix: u32, slot: u32) {
        let Some(room) = &mut self.rooms[ix as usize] else {
            return;
        };
        let topic = room.topic.clone();
        let Some(member) = room.member(slot) else {
            return;
        };
        if let Some(joining) = &member.joining {
            let (conn, since) = (member.conn, joining.since);
            member.told += 1;
            self.answers
                .push_back(Answer::Recover { conn, topic, since });
        }
    }
}
