//! What waits to be published: in the order of the calls, up to a cap, and only while there is a connection.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::task::Context;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tideway::pubsub::{Channel, PubSubError};
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// What waits at most; one message is always taken.
const MESSAGES: usize = 4096;
const BYTES: usize = 32 << 20;

/// Who waits for the end of a `publish`.
pub(super) type Publisher = Sender<Result<(), PubSubError>>;

/// One message.
pub(super) struct Publish {
    pub(super) channel: Channel,
    pub(super) payload: Bytes,
    pub(super) publisher: Publisher,
}

/// The queue, and the task that empties it.
#[derive(Default)]
pub(super) struct Outgoing {
    waiting: Mutex<Waiting>,
    sender: AtomicWaker,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Publish>,
    bytes: usize,
    connected: bool,
    /// Why there is no connection.
    why: Box<str>,
}

impl Outgoing {
    /// Puts a message behind all others.
    pub(super) fn push(
        &self,
        to: &Channel,
        payload: Bytes,
    ) -> Result<Receiver<Result<(), PubSubError>>, PubSubError> {
        let (publisher, sent) = channel();
        self.with(|waiting| {
            if !waiting.connected {
                return Err(PubSubError::Transient(waiting.why.clone()));
            }
            let (messages, bytes) = (waiting.queue.len(), waiting.bytes + payload.len());
            if messages >= MESSAGES || (messages > 0 && bytes > BYTES) {
                return Err(PubSubError::Full(messages));
            }
            waiting.bytes = bytes;
            waiting.queue.push_back(Publish {
                channel: to.clone(),
                payload,
                publisher,
            });
            Ok(())
        })?;
        self.sender.wake();
        Ok(sent)
    }

    /// The next message. `sender` is woken when there is another.
    pub(super) fn pop(&self, sender: &Context<'_>) -> Option<Publish> {
        let pop = |waiting: &mut Waiting| {
            let next = waiting.queue.pop_front()?;
            waiting.bytes -= next.payload.len();
            Some(next)
        };
        self.with(pop).or_else(|| {
            self.sender.register(sender.waker());
            // One may have come in between.
            self.with(pop)
        })
    }

    pub(super) fn connected(&self) {
        self.with(|waiting| waiting.connected = true);
    }

    /// Refuses what waits, and what comes, with this reason.
    pub(super) fn disconnected(&self, why: &PubSubError) {
        let why = match why {
            PubSubError::Transient(text) | PubSubError::Fatal(text) => text.clone(),
            other => other.to_string().into(),
        };
        let queue = self.with(|waiting| {
            (waiting.connected, waiting.bytes) = (false, 0);
            waiting.why = why.clone();
            std::mem::take(&mut waiting.queue)
        });
        for message in queue {
            // Nobody may wait any more.
            let _ = message
                .publisher
                .send(Err(PubSubError::Transient(why.clone())));
        }
    }

    /// The queue is whole after every step: a panic elsewhere leaves nothing half-done.
    fn with<T>(&self, act: impl FnOnce(&mut Waiting) -> T) -> T {
        act(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
