//! A broker in the memory of one process. Nothing waits: what is published is in the queues of the subscribers when
//! the call returns. It fails at a word of the test, and never otherwise.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_core::Stream;
use tideway::pubsub::inbox::Wake;
use tideway::pubsub::{Caps, Channel, Event, Inbox, Limits, Position, PubSub, PubSubError};

/// The largest message, in bytes.
const MAX_PAYLOAD: usize = 64 << 20;
/// Messages held at most; more are refused.
const HELD: usize = 1 << 16;

/// A broker for the nodes of one process. A clone is the same.
///
/// ```
/// # use futures_util::{FutureExt, StreamExt};
/// use tideway::pubsub::{Channel, Event, PubSub};
/// use tideway_memory::Broker;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = Broker::default();
/// let (here, there) = (broker.node(), broker.node());
/// let lobby = Channel::new("lobby")?;
///
/// there.subscribe(&[lobby.clone()]).await?;
/// here.publish(&lobby, "hello".into()).await?;
///
/// let mut events = there.events();
/// assert_eq!(events.next().await, Some(Event::Connected));
/// assert_eq!(events.next().await, Some(Event::Subscribed(lobby)));
/// assert!(matches!(events.next().await, Some(Event::Message { payload, .. }) if payload == "hello"));
/// # Ok(()) }
/// # example().now_or_never().unwrap().unwrap();
/// ```
///
/// # Faults
///
/// [`hold`](Self::hold) delays messages until [`release`](Self::release), [`lose`](Self::lose) loses them without a word,
/// as a broker of several servers may. [`Node::disconnect`] cuts one node off until [`Node::reconnect`],
/// [`stop`](Self::stop) all of them until [`start`](Self::start).
#[derive(Clone, Default)]
pub struct Broker(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    nodes: BTreeMap<u64, Joined>,
    next: u64,
    channels: BTreeMap<Channel, BTreeSet<u64>>,
    /// Those that are late, if messages are.
    held: Option<VecDeque<(Channel, Bytes)>>,
    lose: usize,
    stopped: bool,
}

struct Joined {
    inbox: Inbox,
    /// Cut off by its own.
    off: bool,
}

/// A node: one subscriber of a [`Broker`]. A clone is the same; the last one to go takes its subscriptions with it.
#[derive(Clone)]
pub struct Node(Arc<Handle>);

struct Handle {
    broker: Broker,
    id: u64,
    inbox: Inbox,
}

impl Broker {
    /// Another node, connected, whose queue has the default [`Limits`].
    #[must_use]
    pub fn node(&self) -> Node {
        self.node_with(Limits::default())
    }

    /// Another node, connected.
    #[must_use]
    pub fn node_with(&self, limits: Limits) -> Node {
        let inbox = Inbox::new(limits);
        let id = self.with(|state, _| {
            state.next += 1;
            if !state.stopped {
                inbox.connected();
            }
            let inbox = inbox.clone();
            state.nodes.insert(state.next, Joined { inbox, off: false });
            state.next
        });
        let broker = self.clone();
        Node(Arc::new(Handle { broker, id, inbox }))
    }

    /// Delays everything that is published from now on.
    pub fn hold(&self) {
        self.with(|state, _| {
            state.held.get_or_insert_default();
        });
    }

    /// Delivers what was delayed, in order, and delays no more.
    pub fn release(&self) {
        self.with(|state, wakes| {
            for (channel, payload) in state.held.take().into_iter().flatten() {
                state.deliver(&channel, &payload, wakes);
            }
        });
    }

    /// Loses the next `count` messages: they reach nobody, and nobody is told.
    pub fn lose(&self, count: usize) {
        self.with(|state, _| state.lose += count);
    }

    /// Cuts all nodes off, and those to come, as the end of a server does.
    pub fn stop(&self) {
        self.with(|state, wakes| {
            if !std::mem::replace(&mut state.stopped, true) {
                state.channels.clear();
                let here = state.nodes.values().filter(|node| !node.off);
                wakes.extend(here.map(|node| node.inbox.disconnected()));
            }
        });
    }

    /// Connects all nodes again that are not cut off by their own.
    pub fn start(&self) {
        self.with(|state, wakes| {
            if std::mem::replace(&mut state.stopped, false) {
                let ids: Vec<u64> = state.nodes.keys().copied().collect();
                ids.into_iter().for_each(|id| state.join(id, wakes));
            }
        });
    }

    /// How many nodes are subscribed to `channel`.
    #[must_use]
    pub fn subscribers(&self, channel: &str) -> usize {
        self.with(|state, _| state.channels.get(channel).map_or(0, BTreeSet::len))
    }

    /// Wakes nobody before the lock is free. State is whole after every step: a panic elsewhere leaves nothing
    /// half-done.
    fn with<T>(&self, act: impl FnOnce(&mut State, &mut Vec<Wake>) -> T) -> T {
        let mut wakes = Vec::new();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let out = act(&mut state, &mut wakes);
        drop(state);
        drop(wakes);
        out
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, channels) = self.with(|state, _| (state.nodes.len(), state.channels.len()));
        write!(f, "Broker({nodes} nodes, {channels} channels)")
    }
}

impl State {
    fn publish(
        &mut self,
        from: u64,
        channel: &Channel,
        payload: Bytes,
        wakes: &mut Vec<Wake>,
    ) -> Result<(), PubSubError> {
        if !self.is_on(from) {
            return Err(PubSubError::Transient(
                "this node is cut off from the broker".into(),
            ));
        }
        if self.lose > 0 {
            self.lose -= 1;
            return Ok(());
        }
        match &mut self.held {
            Some(held) if held.len() >= HELD => return Err(PubSubError::Full(HELD)),
            Some(held) => held.push_back((channel.clone(), payload)),
            None => self.deliver(channel, &payload, wakes),
        }
        Ok(())
    }

    fn deliver(&self, channel: &Channel, payload: &Bytes, wakes: &mut Vec<Wake>) {
        let subscribers = self.channels.get(channel).into_iter().flatten();
        for node in subscribers.filter_map(|id| self.nodes.get(id)) {
            wakes.push(node.inbox.message(channel, payload.clone(), None));
        }
    }

    fn is_on(&self, id: u64) -> bool {
        !self.stopped && self.nodes.get(&id).is_some_and(|node| !node.off)
    }

    /// A node is connected, if it may be.
    fn join(&mut self, id: u64, wakes: &mut Vec<Wake>) {
        if let Some(node) = self.nodes.get(&id).filter(|_| self.is_on(id)) {
            wakes.push(node.inbox.connected());
            self.obey(id, wakes);
        }
    }

    /// Does what a node asks for.
    fn obey(&mut self, id: u64, wakes: &mut Vec<Wake>) {
        let Some(node) = self.nodes.get(&id).filter(|_| self.is_on(id)) else {
            return;
        };
        let orders = node.inbox.orders(usize::MAX);
        for channel in orders.unsubscribe {
            leave(&mut self.channels, &channel, id);
        }
        for channel in orders.subscribe {
            wakes.push(node.inbox.subscribed(&channel));
            self.channels.entry(channel).or_default().insert(id);
        }
    }

    /// Ends the subscriptions of a node.
    fn cut(&mut self, id: u64) {
        self.channels.retain(|_, nodes| {
            nodes.remove(&id);
            !nodes.is_empty()
        });
    }
}

fn leave(channels: &mut BTreeMap<Channel, BTreeSet<u64>>, channel: &Channel, id: u64) {
    if let Some(nodes) = channels.get_mut(channel) {
        nodes.remove(&id);
        if nodes.is_empty() {
            channels.remove(channel);
        }
    }
}

impl Node {
    /// Cuts it off: it is told, publishes nothing and hears nothing until [`reconnect`](Self::reconnect).
    pub fn disconnect(&self) {
        let id = self.0.id;
        self.0.broker.with(|state, wakes| {
            let on = state.is_on(id);
            if let Some(node) = state.nodes.get_mut(&id) {
                node.off = true;
                if on {
                    wakes.push(node.inbox.disconnected());
                    state.cut(id);
                }
            }
        });
    }

    /// Connects it again; all it wants is subscribed to.
    pub fn reconnect(&self) {
        let id = self.0.id;
        self.0.broker.with(|state, wakes| {
            if let Some(node) = state.nodes.get_mut(&id)
                && std::mem::replace(&mut node.off, false)
            {
                state.join(id, wakes);
            }
        });
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({}, {:?})", self.0.id, self.0.inbox)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let id = self.id;
        self.broker.with(|state, wakes| {
            state.nodes.remove(&id);
            state.cut(id);
            wakes.push(self.inbox.close());
        });
    }
}

impl PubSub for Node {
    fn caps(&self) -> Caps {
        Caps::new(MAX_PAYLOAD)
    }

    async fn publish(
        &self,
        channel: &Channel,
        payload: Bytes,
    ) -> Result<Option<Position>, PubSubError> {
        let size = payload.len();
        if size > MAX_PAYLOAD {
            let most = MAX_PAYLOAD;
            return Err(PubSubError::TooLarge { size, most });
        }
        let handle = &*self.0;
        let published = |state: &mut State, wakes: &mut Vec<Wake>| {
            state.publish(handle.id, channel, payload, wakes)
        };
        handle.broker.with(published).map(|()| None)
    }

    async fn subscribe(&self, channels: &[Channel]) -> Result<(), PubSubError> {
        let handle = &*self.0;
        handle.broker.with(|state, wakes| {
            wakes.push(handle.inbox.ask(channels));
            state.obey(handle.id, wakes);
        });
        Ok(())
    }

    async fn unsubscribe(&self, channels: &[Channel]) -> Result<(), PubSubError> {
        let handle = &*self.0;
        handle.broker.with(|state, wakes| {
            wakes.push(handle.inbox.forget(channels));
            state.obey(handle.id, wakes);
        });
        Ok(())
    }

    fn events(&self) -> Pin<Box<dyn Stream<Item = Event> + Send>> {
        Box::pin(self.0.inbox.events())
    }
}
