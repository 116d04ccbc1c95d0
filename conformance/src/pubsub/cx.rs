//! What a case works with: handles, names that are its own, and events that do not keep it waiting for ever.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tideway::pubsub::{Channel, DynPubSub, Event, Limits, PubSub, PubSubError};

use super::harness::Erased;
use super::timer::{sleep, within};
use crate::suite::claim::{LIMIT, fail, same};

/// How long something that must not happen is waited for.
const QUIET: Duration = Duration::from_millis(60);

/// One case's view of the broker.
pub struct Cx {
    harness: Arc<dyn Erased>,
    space: String,
}

/// A handle and its events.
pub struct Subscriber {
    /// The handle.
    pub broker: DynPubSub,
    /// Locked by nobody: it makes a subscriber one that threads may look at.
    events: Mutex<Pin<Box<dyn Stream<Item = Event> + Send>>>,
    /// Those that came before an answer that was waited for.
    early: VecDeque<Event>,
}

impl Cx {
    pub(super) fn new(harness: Arc<dyn Erased>) -> Self {
        static CASES: AtomicU64 = AtomicU64::new(0);
        let number = CASES.fetch_add(1, Ordering::Relaxed);
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = since.map_or(0, |since| since.as_nanos());
        let space = format!("case-{number}-{nanos:x}-{}", std::process::id());
        Self { harness, space }
    }

    /// A channel of this case.
    #[must_use]
    pub fn channel(&self, name: &str) -> Channel {
        match Channel::new(format!("{}:{name}", self.space)) {
            Ok(channel) => channel,
            Err(error) => fail("a name", error.to_string(), "the case is wrong"),
        }
    }

    /// Another handle, as it comes.
    pub async fn open(&self) -> DynPubSub {
        match within(LIMIT, self.harness.open()).await {
            Some(Ok(broker)) => broker,
            Some(Err(error)) => fail(
                "a handle opens",
                error.to_string(),
                "a service that is missing proves nothing: start it, or leave this suite out",
            ),
            None => fail(
                "a handle opens",
                format!("nothing in {LIMIT:?}"),
                "a program that cannot start is no use",
            ),
        }
    }

    /// Another handle, connected.
    pub async fn subscriber(&self) -> Subscriber {
        let broker = self.open().await;
        let mut subscriber = Subscriber {
            events: Mutex::new(broker.events()),
            broker,
            early: VecDeque::new(),
        };
        same(
            subscriber.next("an event").await,
            Event::Connected,
            "what is said before `Connected` is of no connection",
        );
        subscriber
    }

    /// Another handle, subscribed to `channels`.
    pub async fn subscribed(&self, channels: &[Channel]) -> Subscriber {
        let mut subscriber = self.subscriber().await;
        subscriber.subscribe(channels).await;
        subscriber
    }

    /// What a queue holds.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.harness.limits()
    }

    /// How many are subscribed to `channel`.
    pub async fn subscribers(&self, channel: &Channel) -> Option<usize> {
        self.harness.subscribers(channel).await
    }

    /// Waits until so many are subscribed to `channel`.
    pub async fn until_subscribers(&self, channel: &Channel, count: usize, why: &str) {
        for _ in 0..100 {
            if self.subscribers(channel).await == Some(count) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        let are = self.subscribers(channel).await;
        fail(format!("{count} subscribers"), format!("{are:?}"), why);
    }

    /// Cuts all handles off.
    pub async fn cut(&self) -> bool {
        self.harness.cut().await
    }

    /// Lets them connect again.
    pub async fn heal(&self) {
        self.harness.heal().await;
    }

    /// Some time, for what must not happen.
    pub async fn pause(&self) {
        sleep(QUIET).await;
    }
}

impl Subscriber {
    fn events(&mut self) -> &mut Pin<Box<dyn Stream<Item = Event> + Send>> {
        self.events
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The next event; fails if there is none.
    pub async fn next(&mut self, what: &str) -> Event {
        if let Some(event) = self.early.pop_front() {
            return event;
        }
        match within(LIMIT, self.events().next()).await {
            Some(Some(event)) => event,
            Some(None) => fail(what, "the events have ended", "nobody closed the handle"),
            None => fail(
                format!("{what}, within {LIMIT:?}"),
                "nothing came",
                "who waits for it waits for ever",
            ),
        }
    }

    /// The next event, if it comes soon.
    pub async fn soon(&mut self) -> Option<Event> {
        if let Some(event) = self.early.pop_front() {
            return Some(event);
        }
        within(QUIET, self.events().next()).await.flatten()
    }

    /// Asks for `channels` and waits for the answers.
    pub async fn subscribe(&mut self, channels: &[Channel]) {
        sure("subscribe", self.broker.subscribe(channels).await);
        self.until_subscribed(channels).await;
    }

    /// Waits until all of `channels` are answered; what comes meanwhile comes next.
    pub async fn until_subscribed(&mut self, channels: &[Channel]) {
        let mut owed: BTreeSet<&Channel> = channels.iter().collect();
        let mut early = std::mem::take(&mut self.early);
        while !owed.is_empty() {
            let what = format!("`Subscribed` of {} channels", owed.len());
            match self.next(&what).await {
                Event::Subscribed(channel) if owed.remove(&channel) => {}
                event => early.push_back(event),
            }
        }
        self.early = early;
    }

    /// Ends subscriptions. What came before, and this one kept, may be of them.
    pub async fn unsubscribe(&mut self, channels: &[Channel]) {
        sure("unsubscribe", self.broker.unsubscribe(channels).await);
        self.early.retain(|event| match event {
            Event::Message { channel, .. } | Event::Subscribed(channel) => {
                !channels.contains(channel)
            }
            _ => true,
        });
    }

    /// Publishes.
    pub async fn publish(&self, channel: &Channel, payload: impl Into<Bytes>) {
        let sent = self.broker.publish(channel, payload.into()).await;
        sure("publish", sent.map(|_| ()));
    }

    /// The next event, which is to be a message of `channel`.
    pub async fn hears(&mut self, channel: &Channel, why: &str) -> Bytes {
        match self.next("a message").await {
            Event::Message {
                channel: at,
                payload,
                ..
            } => {
                same(&at, channel, "it was published elsewhere");
                payload
            }
            event => fail(format!("a message of {channel}"), format!("{event:?}"), why),
        }
    }

    /// The next messages are of `channel` and have the numbers `from` to `to`, excluded.
    pub async fn hears_numbers(&mut self, channel: &Channel, from: u32, to: u32, why: &str) {
        for number in from..to {
            let payload = self.hears(channel, why).await;
            same(number_of(&payload), number, why);
        }
    }

    /// Nothing more comes.
    pub async fn hears_no_more(&mut self, why: &str) {
        if let Some(event) = self.soon().await {
            fail("no further event", format!("{event:?}"), why);
        }
    }
}

/// A number as a payload.
pub(super) fn numbered(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// The number that begins a payload.
pub(super) fn number_of(payload: &[u8]) -> u32 {
    match payload.first_chunk() {
        Some(bytes) => u32::from_be_bytes(*bytes),
        None => fail(
            "four bytes",
            format!("{payload:?}"),
            "a payload must arrive as it was sent",
        ),
    }
}

/// What a call gave that cannot fail here.
pub(super) fn sure<T: Debug>(call: &str, result: Result<T, PubSubError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => fail(
            format!("`{call}` succeeds"),
            error.to_string(),
            "the broker is there, and nothing asked of it is too much",
        ),
    }
}
