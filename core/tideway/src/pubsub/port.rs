//! The port, its values, and its form without a type.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use tideway_engine::hub::Position;

use super::{Channel, PubSubError};
use crate::BoxFuture;

/// One subscriber of a broker, who publishes too: what a process joins others by.
///
/// **At most once.** A message may be lost: while the broker is not reached, when a process dies, when a consumer is too
/// slow. None arrives twice, and none is kept for later. What a subscriber misses since it was cut off or too slow is told
/// to it, as [`Event::Lost`]; what does not get to the broker is an error of [`publish`](PubSub::publish). What a broker loses
/// among its own servers, nobody tells: rooms number what they say.
///
/// **Order.** The messages of one handle on one channel arrive in the order in which their `publish` was first
/// polled; several may be in flight. Nothing is said of those of different channels or handles.
///
/// **Subscribed.** Every channel of every [`subscribe`](PubSub::subscribe) is answered by an event,
/// [`Event::Subscribed`] or [`Event::Lost`], also if it was subscribed to before. What is published after `Subscribed` was
/// told comes in, the handle's own messages too, until the channel is `Lost` or unsubscribed from; nothing comes in
/// before. Once [`unsubscribe`](PubSub::unsubscribe) has returned, nothing of the channel comes out of the events any
/// more, not even what waited there.
///
/// **Lost** means that messages may be missing and that none come in. What is wanted is asked for again by the backend
/// itself, and `Subscribed` follows when messages come in again. Asking at once as well does no harm.
///
/// **A slow consumer** has a queue with a cap ([`Limits`](super::Limits)). What does not fit is dropped and its channel `Lost`;
/// the queue never grows beyond its cap, and nobody else is slowed down.
///
/// A clone of a handle is the same subscriber. When the last one goes, its subscriptions do. Calls are cancel-safe:
/// what was polled once is done. `tideway_conformance::pubsub_suite!` checks all of this.
pub trait PubSub: Send + Sync + 'static {
    /// What it can do.
    fn caps(&self) -> Caps;

    /// Sends `payload` to all who are subscribed to `channel`; where the broker keeps it, if it does. Without a connection it
    /// fails at once. Who repeats a message that failed may send it twice.
    fn publish(
        &self,
        channel: &Channel,
        payload: Bytes,
    ) -> impl Future<Output = Result<Option<Position>, PubSubError>> + Send;

    /// Asks for the messages of `channels`, of which a hub names at most 512 in a call. Returns when it has taken note; the answers are
    /// events.
    fn subscribe(
        &self,
        channels: &[Channel],
    ) -> impl Future<Output = Result<(), PubSubError>> + Send;

    /// Ends subscriptions. Those there are none of do no harm.
    fn unsubscribe(
        &self,
        channels: &[Channel],
    ) -> impl Future<Output = Result<(), PubSubError>> + Send;

    /// What comes in. There is one queue for all channels of the handle: a second call's stream goes on where the first
    /// one's ended, and the first ends. It ends too when the last clone of the handle is gone, or when no further try
    /// would help.
    fn events(&self) -> Pin<Box<dyn Stream<Item = Event> + Send>>;

    /// What the broker keeps of `channel` after `since`, oldest first: at most `limit` messages.
    fn history(
        &self,
        channel: &Channel,
        since: Option<Position>,
        limit: usize,
    ) -> impl Future<Output = Result<History, PubSubError>> + Send {
        let _ = (channel, since, limit);
        async { Err(PubSubError::Unsupported("history")) }
    }
}

/// What a broker can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caps {
    /// The largest message, in bytes.
    pub max_payload: usize,
    /// It keeps messages: [`PubSub::history`].
    pub history: bool,
}

impl Caps {
    /// Of a broker that takes messages of so many bytes and keeps none.
    #[must_use]
    pub const fn new(max_payload: usize) -> Self {
        Self {
            max_payload,
            history: false,
        }
    }

    /// With [`PubSub::history`].
    #[must_use]
    pub const fn with_history(mut self) -> Self {
        self.history = true;
        self
    }
}

/// What comes in, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The broker is reached, for the first time or again.
    Connected,
    /// Messages of this channel come in from now on.
    Subscribed(Channel),
    /// Messages of this channel, of all if none, may be missing from now on, until they are [`Event::Subscribed`]
    /// again.
    Lost(Option<Channel>),
    /// Somebody published.
    Message {
        /// Where.
        channel: Channel,
        /// What.
        payload: Bytes,
        /// Where the broker keeps it, if it does.
        position: Option<Position>,
    },
}

/// A part of what a broker keeps of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Oldest first.
    pub messages: Vec<(Position, Bytes)>,
    /// Nothing is missing between the position asked for and the first of them.
    pub whole: bool,
}

/// A [`PubSub`] behind a pointer: what an application holds, so that its type names no backend.
#[derive(Clone)]
pub struct DynPubSub(Arc<dyn Erased>);

impl DynPubSub {
    /// Erases the type of `broker`.
    #[must_use]
    pub fn new(broker: impl PubSub) -> Self {
        Self(Arc::new(broker))
    }
}

impl fmt::Debug for DynPubSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynPubSub({:?})", self.0.caps())
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, PubSubError>>;

/// The object-safe twin of the port.
trait Erased: Send + Sync {
    fn caps(&self) -> Caps;
    fn publish<'a>(&'a self, channel: &'a Channel, payload: Bytes) -> Answer<'a, Option<Position>>;
    fn subscribe<'a>(&'a self, channels: &'a [Channel]) -> Answer<'a, ()>;
    fn unsubscribe<'a>(&'a self, channels: &'a [Channel]) -> Answer<'a, ()>;
    fn events(&self) -> Pin<Box<dyn Stream<Item = Event> + Send>>;
    fn history<'a>(
        &'a self,
        channel: &'a Channel,
        since: Option<Position>,
        limit: usize,
    ) -> Answer<'a, History>;
}

impl<P: PubSub> Erased for P {
    fn caps(&self) -> Caps {
        PubSub::caps(self)
    }

    fn publish<'a>(&'a self, channel: &'a Channel, payload: Bytes) -> Answer<'a, Option<Position>> {
        Box::pin(PubSub::publish(self, channel, payload))
    }

    fn subscribe<'a>(&'a self, channels: &'a [Channel]) -> Answer<'a, ()> {
        Box::pin(PubSub::subscribe(self, channels))
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [Channel]) -> Answer<'a, ()> {
        Box::pin(PubSub::unsubscribe(self, channels))
    }

    fn events(&self) -> Pin<Box<dyn Stream<Item = Event> + Send>> {
        PubSub::events(self)
    }

    fn history<'a>(
        &'a self,
        channel: &'a Channel,
        since: Option<Position>,
        limit: usize,
    ) -> Answer<'a, History> {
        Box::pin(PubSub::history(self, channel, since, limit))
    }
}

impl PubSub for DynPubSub {
    fn caps(&self) -> Caps {
        self.0.caps()
    }

    async fn publish(
        &self,
        channel: &Channel,
        payload: Bytes,
    ) -> Result<Option<Position>, PubSubError> {
        self.0.publish(channel, payload).await
    }

    async fn subscribe(&self, channels: &[Channel]) -> Result<(), PubSubError> {
        self.0.subscribe(channels).await
    }

    async fn unsubscribe(&self, channels: &[Channel]) -> Result<(), PubSubError> {
        self.0.unsubscribe(channels).await
    }

    fn events(&self) -> Pin<Box<dyn Stream<Item = Event> + Send>> {
        self.0.events()
    }

    async fn history(
        &self,
        channel: &Channel,
        since: Option<Position>,
        limit: usize,
    ) -> Result<History, PubSubError> {
        self.0.history(channel, since, limit).await
    }
}
