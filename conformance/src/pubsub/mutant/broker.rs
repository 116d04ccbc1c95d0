//! The broker that mutants are made of: a map under a lock. Each fault is one branch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::Stream;
use tideway::pubsub::{Caps, Channel, Event, History, Limits, Position, PubSub, PubSubError};

use super::Mutant;

const MAX_PAYLOAD: usize = 2 << 20;

/// A broker that is wrong in one way, or in none. A clone is the same.
#[derive(Clone)]
pub struct MutantBroker(Arc<Mutex<World>>);

/// A handle on a [`MutantBroker`].
pub struct MutantPubSub {
    broker: MutantBroker,
    id: u64,
}

struct World {
    mutant: Option<Mutant>,
    limits: Limits,
    nodes: BTreeMap<u64, Node>,
    next: u64,
    up: bool,
    published: u64,
    calls: u64,
    /// The last message of each channel.
    last: BTreeMap<Channel, Bytes>,
    /// One that is let pass by the next.
    held: Option<(u64, Channel, Bytes)>,
    from: Option<u64>,
}

#[derive(Default)]
struct Node {
    wanted: BTreeSet<Channel>,
    /// What the broker sends it.
    hears: BTreeSet<Channel>,
    ever: BTreeSet<Channel>,
    left: BTreeSet<Channel>,
    /// To be subscribed to, and to be left, when next anything is published.
    soon: Vec<Channel>,
    late: Vec<Channel>,
    queue: VecDeque<Event>,
    full: BTreeSet<Channel>,
    stream: u64,
    closed: bool,
    waker: Option<Waker>,
}

impl MutantBroker {
    /// With this fault, or none, whose handles have queues of this size.
    #[must_use]
    pub fn new(mutant: Option<Mutant>, limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(World {
            mutant,
            limits,
            nodes: BTreeMap::new(),
            next: 0,
            up: true,
            published: 0,
            calls: 0,
            last: BTreeMap::new(),
            held: None,
            from: None,
        })))
    }

    /// Another handle.
    #[must_use]
    pub fn handle(&self) -> MutantPubSub {
        let mut world = self.lock();
        world.next += 1;
        let id = world.next;
        let mut node = Node::default();
        if !world.is(Mutant::ConnectedUntold) {
            node.queue.push_back(Event::Connected);
        }
        world.nodes.insert(id, node);
        let broker = self.clone();
        MutantPubSub { broker, id }
    }

    /// How many handles it sends the messages of `channel` to.
    #[must_use]
    pub fn subscribers(&self, channel: &Channel) -> usize {
        let world = self.lock();
        let hear = world.nodes.values();
        hear.filter(|node| node.hears.contains(channel)).count()
    }

    /// Cuts all handles off.
    pub fn stop(&self) {
        let mut world = self.lock();
        world.up = false;
        let told = !world.is(Mutant::CutUntold);
        for node in world.nodes.values_mut() {
            node.hears.clear();
            node.full.clear();
            if told {
                node.push(Event::Lost(None));
            }
        }
    }

    /// Connects all again.
    pub fn start(&self) {
        let mut world = self.lock();
        world.up = true;
        let (mutant, last) = (world.mutant, world.last.clone());
        for node in world.nodes.values_mut() {
            node.push(Event::Connected);
            let again = match mutant {
                Some(Mutant::Forgotten) => BTreeSet::new(),
                Some(Mutant::Resurrected) => node.ever.clone(),
                _ => node.wanted.clone(),
            };
            for channel in again {
                node.hears.insert(channel.clone());
                node.push(Event::Subscribed(channel.clone()));
                if mutant == Some(Mutant::Replayed)
                    && let Some(payload) = last.get(&channel)
                {
                    node.push(message(&channel, payload));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn message(channel: &Channel, payload: &Bytes) -> Event {
    Event::Message {
        channel: channel.clone(),
        payload: payload.clone(),
        position: None,
    }
}

impl Node {
    fn push(&mut self, event: Event) {
        self.queue.push_back(event);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn waiting(&self) -> (usize, usize) {
        let sizes = self.queue.iter().filter_map(|event| match event {
            Event::Message { payload, .. } => Some(payload.len()),
            _ => None,
        });
        sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
    }

    fn subscribed(&mut self, channel: &Channel) {
        self.hears.insert(channel.clone());
        self.push(Event::Subscribed(channel.clone()));
    }

    fn leave(&mut self, channel: &Channel) {
        self.wanted.remove(channel);
        self.hears.remove(channel);
        self.full.remove(channel);
        self.left.insert(channel.clone());
    }
}

impl World {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Sends a message on, or what this broker makes of it.
    fn publish(&mut self, from: u64, channel: &Channel, mut payload: Bytes) {
        let number = self.published % 17;
        self.published += 1;
        match self.mutant {
            Some(Mutant::Dropped) if number == 16 => return,
            Some(Mutant::EmptyLost) if payload.is_empty() => return,
            Some(Mutant::Cut) => payload.truncate(65_536),
            Some(Mutant::TextOnly) => {
                payload = String::from_utf8_lossy(&payload).into_owned().into();
            }
            _ => {}
        }
        self.last.insert(channel.clone(), payload.clone());
        let new = self.from.replace(from).is_some_and(|last| last != from);
        let hold = (self.is(Mutant::Swapped) && number == 7) || (self.is(Mutant::Mixed) && new);
        if hold && self.held.is_none() {
            self.held = Some((from, channel.clone(), payload));
            return;
        }
        self.deliver(from, channel, &payload);
        if self.is(Mutant::Doubled) && number == 5 {
            self.deliver(from, channel, &payload);
        }
        if let Some((from, channel, payload)) = self.held.take() {
            self.deliver(from, &channel, &payload);
        }
    }

    fn deliver(&mut self, from: u64, channel: &Channel, payload: &Bytes) {
        let (mutant, limits) = (self.mutant, self.limits);
        for (id, node) in &mut self.nodes {
            for late in std::mem::take(&mut node.late) {
                node.leave(&late);
            }
            if mutant == Some(Mutant::NoEcho) && *id == from {
                continue;
            }
            let hears = node.hears.iter().filter(|name| same(mutant, name, channel));
            for name in hears.cloned().collect::<Vec<_>>() {
                let hidden = mutant == Some(Mutant::Hidden) && !node.wanted.contains(&name);
                if hidden || node.full.contains(&name) {
                    continue;
                }
                let (count, bytes) = node.waiting();
                let counted = mutant != Some(Mutant::BytesUncounted);
                let much = count >= limits.messages
                    || (count > 0 && counted && bytes + payload.len() > limits.bytes);
                if !much || mutant == Some(Mutant::Unbounded) {
                    node.push(message(&name, payload));
                } else if mutant != Some(Mutant::SlowUntold) {
                    node.full.insert(name.clone());
                    node.push(Event::Lost(Some(name)));
                }
            }
            for soon in std::mem::take(&mut node.soon) {
                node.hears.insert(soon);
            }
        }
    }

    fn subscribe(&mut self, id: u64, channels: &[Channel]) {
        let (mutant, up) = (self.mutant, self.up);
        let some = if mutant == Some(Mutant::BatchCut) {
            256
        } else {
            channels.len()
        };
        let last = &self.last;
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        for channel in channels.iter().take(some) {
            let known = !node.ever.insert(channel.clone());
            if mutant == Some(Mutant::LeftForGood) && node.left.contains(channel) {
                continue;
            }
            if !up {
                if mutant != Some(Mutant::QuestionLost) {
                    node.wanted.insert(channel.clone());
                }
                continue;
            }
            let held = !node.wanted.insert(channel.clone());
            match mutant {
                Some(Mutant::AnsweredOnce) if known && held => {}
                Some(Mutant::ToldEarly) if !node.hears.contains(channel) => {
                    node.soon.push(channel.clone());
                    node.push(Event::Subscribed(channel.clone()));
                }
                _ => node.subscribed(channel),
            }
            if mutant == Some(Mutant::Retained)
                && let Some(payload) = last.get(channel)
            {
                node.push(message(channel, payload));
            }
        }
    }

    fn unsubscribe(&mut self, id: u64, channels: &[Channel]) {
        let mutant = self.mutant;
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        if mutant == Some(Mutant::NeverLeft) {
            return;
        }
        for channel in channels {
            match mutant {
                Some(Mutant::LateLeave) => node.late.push(channel.clone()),
                Some(Mutant::Hidden) => {
                    node.wanted.remove(channel);
                }
                _ => node.leave(channel),
            }
        }
        if mutant != Some(Mutant::QueueKept) {
            node.queue.retain(|event| match event {
                Event::Message { channel, .. }
                | Event::Subscribed(channel)
                | Event::Lost(Some(channel)) => !channels.contains(channel),
                _ => true,
            });
        }
    }
}

/// Whether a message on `channel` is for who asked for `name`.
fn same(mutant: Option<Mutant>, name: &Channel, channel: &Channel) -> bool {
    let short = |name: &Channel| name.bytes().take(256).collect::<Vec<_>>();
    match mutant {
        Some(Mutant::CaseIgnored) => name.to_lowercase() == channel.to_lowercase(),
        Some(Mutant::Trimmed) => name.trim() == channel.trim(),
        Some(Mutant::NameCut) => short(name) == short(channel),
        Some(Mutant::Patterns) if name.ends_with('*') => {
            channel.starts_with(name.trim_end_matches('*'))
        }
        _ => name == channel,
    }
}

impl Drop for MutantPubSub {
    fn drop(&mut self) {
        let mut world = self.broker.lock();
        let (leaked, endless) = (world.is(Mutant::Leaked), world.is(Mutant::Endless));
        if let Some(node) = world.nodes.get_mut(&self.id) {
            node.closed = !endless;
            if !leaked {
                node.hears.clear();
                node.wanted.clear();
            }
            if let Some(waker) = node.waker.take() {
                waker.wake();
            }
        }
    }
}

impl PubSub for MutantPubSub {
    fn caps(&self) -> Caps {
        Caps::new(MAX_PAYLOAD)
    }

    async fn publish(
        &self,
        channel: &Channel,
        payload: Bytes,
    ) -> Result<Option<Position>, PubSubError> {
        let size = payload.len();
        let (up, mutant, number) = {
            let mut world = self.broker.lock();
            world.calls += 1;
            (world.up, world.mutant, world.calls)
        };
        if size > MAX_PAYLOAD && mutant != Some(Mutant::CapIgnored) {
            let most = MAX_PAYLOAD;
            return Err(PubSubError::TooLarge { size, most });
        }
        if !up {
            return match mutant {
                Some(Mutant::SentIntoTheVoid) => Ok(None),
                _ => Err(PubSubError::Transient("it was cut off".into())),
            };
        }
        if mutant == Some(Mutant::Overtaken) && number.is_multiple_of(2) {
            super::super::timer::sleep(std::time::Duration::from_millis(1)).await;
        }
        self.broker.lock().publish(self.id, channel, payload);
        Ok(None)
    }

    async fn subscribe(&self, channels: &[Channel]) -> Result<(), PubSubError> {
        self.broker.lock().subscribe(self.id, channels);
        Ok(())
    }

    async fn unsubscribe(&self, channels: &[Channel]) -> Result<(), PubSubError> {
        self.broker.lock().unsubscribe(self.id, channels);
        Ok(())
    }

    fn events(&self) -> Pin<Box<dyn Stream<Item = Event> + Send>> {
        let mut world = self.broker.lock();
        let stream = world.nodes.get_mut(&self.id).map_or(0, |node| {
            node.stream += 1;
            if let Some(waker) = node.waker.take() {
                waker.wake();
            }
            node.stream
        });
        Box::pin(Events {
            broker: self.broker.clone(),
            id: self.id,
            stream,
        })
    }

    async fn history(
        &self,
        _: &Channel,
        _: Option<Position>,
        _: usize,
    ) -> Result<History, PubSubError> {
        if self.broker.lock().is(Mutant::HistoryEmpty) {
            return Ok(History::default());
        }
        Err(PubSubError::Unsupported("history"))
    }
}

struct Events {
    broker: MutantBroker,
    id: u64,
    stream: u64,
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut world = self.broker.lock();
        let for_good = world.is(Mutant::SlowForGood);
        let Some(node) = world.nodes.get_mut(&self.id) else {
            return Poll::Ready(None);
        };
        if node.stream != self.stream {
            return Poll::Ready(None);
        }
        let Some(event) = node.queue.pop_front() else {
            if node.closed {
                return Poll::Ready(None);
            }
            node.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        if let Event::Lost(Some(channel)) = &event
            && !for_good
            && node.full.remove(channel)
        {
            node.push(Event::Subscribed(channel.clone()));
        }
        Poll::Ready(Some(event))
    }
}
