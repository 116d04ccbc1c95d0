//! The way to other nodes: what the shards want said goes to the broker, and what it says goes to the shards. Nothing here
//! waits for a broker while it holds a lock, and none is repeated: what cannot go out is lost, which others notice by its
//! number.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream::FuturesUnordered;
use futures_util::task::AtomicWaker;
use tideway_engine::hub::wire::{self, Channels};
use tideway_engine::hub::{Announce, Output, Remote, Topic, Turn};
use tideway_engine::ws::Encoded;

use super::Hub;
use super::shard::{COUNT, others_turn};
use crate::BoxFuture;
use crate::pubsub::{Channel, DynPubSub, Event, PubSub, PubSubError};

/// Messages on their way to the broker, and the bytes of them; one is always sent.
const WINDOW: usize = 256;
const WINDOW_BYTES: usize = 8 << 20;
/// Events that are taken before others have their turn.
const TURN: usize = 64;

/// What a hub and its broker have to do with each other, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeCounts {
    /// The broker is reached now.
    pub connected: bool,
    /// Announcements that the broker took, in total.
    pub sent: u64,
    /// Announcements that were lost before they reached it, in total.
    pub unsent: u64,
    /// Announcements of other nodes, and our own that came back, in total.
    pub heard: u64,
    /// What came on our channels and was no announcement, in total: another release, or another program.
    pub unreadable: u64,
}

/// The broker, and what is to be said to it.
pub(super) struct Nodes {
    broker: DynPubSub,
    channels: Channels,
    /// Bytes of announcements that may wait.
    most: usize,
    waiting: Mutex<Waiting>,
    sender: AtomicWaker,
    connected: AtomicBool,
    sent: AtomicU64,
    unsent: AtomicU64,
    heard: AtomicU64,
    unreadable: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    /// In the order in which the shards gave them out, which is right for each topic.
    queue: VecDeque<Say>,
    bytes: usize,
}

enum Say {
    Subscribe(Vec<Topic>),
    Unsubscribe(Vec<Topic>),
    Announce(Announce<Encoded>),
}

impl Nodes {
    pub(super) fn new(broker: DynPubSub, channels: Channels, most: usize) -> Self {
        Self {
            broker,
            channels,
            most,
            waiting: Mutex::default(),
            sender: AtomicWaker::new(),
            connected: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
        }
    }

    pub(super) fn counts(&self) -> NodeCounts {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        NodeCounts {
            connected: self.connected.load(Ordering::Relaxed),
            sent: get(&self.sent),
            unsent: get(&self.unsent),
            heard: get(&self.heard),
            unreadable: get(&self.unreadable),
        }
    }

    /// Takes what a shard wants said. To be called under the shard's lock, so that the order stays.
    pub(super) fn take(&self, output: Output<Encoded>) {
        let say = match output {
            Output::Subscribe(topics) => Say::Subscribe(topics),
            Output::Unsubscribe(topics) => Say::Unsubscribe(topics),
            Output::Announce(announce) => Say::Announce(announce),
            _ => return,
        };
        let mut waiting = self.lock();
        let size = say.bytes();
        let bytes = waiting.bytes + size;
        // Only announcements may be lost: a question that is not asked is never answered.
        if size > 0 && bytes > self.most && waiting.bytes > 0 {
            drop(waiting);
            count(&self.unsent);
            return;
        }
        waiting.bytes = bytes;
        waiting.queue.push_back(say);
        drop(waiting);
        self.sender.wake();
    }

    async fn next(&self) -> Say {
        poll_fn(|cx| {
            self.sender.register(cx.waker());
            let mut waiting = self.lock();
            let Some(say) = waiting.queue.pop_front() else {
                return Poll::Pending;
            };
            waiting.bytes -= say.bytes();
            Poll::Ready(say)
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn channel(&self, topic: &Topic) -> Option<Channel> {
        const { assert!(Channels::MAX <= Channel::MAX) }
        Channel::new(self.channels.name(topic)).ok()
    }

    fn all(&self, topics: &[Topic]) -> Vec<Channel> {
        topics
            .iter()
            .filter_map(|topic| self.channel(topic))
            .collect()
    }

    /// A call that takes its place among the others when it is first polled.
    fn publish(&self, announce: &Announce<Encoded>) -> Option<Publish> {
        let channel = self.channel(&announce.topic)?;
        let payload = wire::encode(announce).ok()?;
        let (bytes, broker) = (payload.len(), self.broker.clone());
        let call = Box::pin(async move { broker.publish(&channel, payload).await.map(drop) });
        Some(Publish { call, bytes })
    }

    fn ended(&self, result: &Result<(), PubSubError>) {
        count(if result.is_ok() {
            &self.sent
        } else {
            &self.unsent
        });
    }
}

impl Say {
    /// What counts: names of topics are few.
    fn bytes(&self) -> usize {
        match self {
            Say::Announce(announce) => announce.allocated(),
            Say::Subscribe(_) | Say::Unsubscribe(_) => 0,
        }
    }
}

struct Publish {
    call: BoxFuture<'static, Result<(), PubSubError>>,
    bytes: usize,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Hub {
    /// Speaks with the broker, if there is one, until it is dropped.
    pub(super) async fn link(&self) {
        if let Some(nodes) = &self.0.nodes {
            join(self.say(nodes), self.hear(nodes)).await;
        }
    }

    /// Sends what the shards want said, many messages at a time.
    async fn say(&self, nodes: &Nodes) {
        let mut flying = FuturesUnordered::new();
        let mut bytes = 0;
        loop {
            let full = flying.len() >= WINDOW || bytes > WINDOW_BYTES;
            let mut next = pin!(nodes.next());
            // What is on its way goes on while nothing is to be said, and is waited for when it is too much.
            let said = poll_fn(|cx| {
                while let Poll::Ready(Some((size, result))) = flying.poll_next_unpin(cx) {
                    nodes.ended(&result);
                    bytes -= size;
                    if full {
                        return Poll::Ready(None);
                    }
                }
                if full {
                    return Poll::Pending;
                }
                next.as_mut().poll(cx).map(Some)
            });
            match said.await {
                None => {}
                Some(Say::Announce(announce)) => {
                    let Some(mut publish) = nodes.publish(&announce) else {
                        count(&nodes.unsent);
                        continue;
                    };
                    match poll_fn(|cx| Poll::Ready(publish.call.as_mut().poll(cx))).await {
                        Poll::Ready(result) => nodes.ended(&result),
                        Poll::Pending => {
                            bytes += publish.bytes;
                            flying.push(async move { (publish.bytes, publish.call.await) });
                        }
                    }
                }
                Some(Say::Subscribe(topics)) => {
                    let asked = nodes.broker.subscribe(&nodes.all(&topics)).await;
                    if asked.is_err() {
                        topics.iter().for_each(|topic| self.lost(topic));
                    }
                }
                Some(Say::Unsubscribe(topics)) => {
                    // What comes all the same is nobody's, and passed over.
                    let _ = nodes.broker.unsubscribe(&nodes.all(&topics)).await;
                }
            }
        }
    }

    /// Takes what the broker says to the shards.
    async fn hear(&self, nodes: &Nodes) {
        let mut events = nodes.broker.events();
        let mut turn = 0;
        while let Some(event) = events.next().await {
            self.heard(nodes, event);
            turn += 1;
            if turn % TURN == 0 {
                others_turn().await;
            }
        }
        // It was given up: rooms go on by themselves.
        self.all_lost(nodes);
    }

    fn heard(&self, nodes: &Nodes, event: Event) {
        let now = self.now();
        match event {
            Event::Connected => {
                nodes.connected.store(true, Ordering::Relaxed);
                for at in 0..COUNT {
                    self.visit(at, |shard| shard.rooms.handle_connected(now));
                }
            }
            Event::Subscribed(channel) => {
                if let Some(topic) = nodes.channels.topic(&channel) {
                    self.visit(self.shard_of(&topic), |shard| {
                        shard.rooms.handle_subscribed(now, &topic);
                    });
                }
            }
            Event::Lost(Some(channel)) => {
                if let Some(topic) = nodes.channels.topic(&channel) {
                    self.lost(&topic);
                }
            }
            Event::Lost(None) => self.all_lost(nodes),
            Event::Message {
                channel,
                payload,
                position,
            } => {
                let topic = nodes.channels.topic(&channel);
                let announce = topic.map(|topic| wire::decode(topic, &payload));
                let Some(Ok(announce)) = announce else {
                    count(&nodes.unreadable);
                    return;
                };
                count(&nodes.heard);
                self.announced(Remote { announce, position });
            }
        }
    }

    /// Hands out what another node said.
    fn announced(&self, remote: Remote<Encoded>) {
        let now = self.now();
        let at = self.shard_of(&remote.announce.topic);
        let turn = self.visit(at, |shard| match shard.rooms.handle_remote(now, remote) {
            Turn::Yours => shard.fan(),
            Turn::Done => Turn::Done,
        });
        if turn == Turn::Yours {
            self.hand_out(at);
        }
    }

    fn lost(&self, topic: &Topic) {
        let now = self.now();
        self.visit(self.shard_of(topic), |shard| {
            shard.rooms.handle_lost(now, Some(topic));
        });
    }

    fn all_lost(&self, nodes: &Nodes) {
        nodes.connected.store(false, Ordering::Relaxed);
        let now = self.now();
        for at in 0..COUNT {
            self.visit(at, |shard| shard.rooms.handle_lost(now, None));
        }
    }
}
