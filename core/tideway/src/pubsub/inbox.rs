//! For the authors of backends: what one handle is subscribed to, and the queue its events wait in. It keeps what
//! [`PubSub`](super::PubSub) promises of both, and knows nothing of how they come. Nothing here waits.

mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use tideway_engine::hub::Position;

use super::{Channel, Event};
use state::State;

/// What one queue of events holds at most; one message is always taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Messages. Default 4 096.
    pub messages: usize,
    /// Bytes of their payloads. Default 8 MiB.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 4096,
            bytes: 8 << 20,
        }
    }
}

impl Limits {
    /// With so many messages.
    #[must_use]
    pub const fn messages(mut self, messages: usize) -> Self {
        self.messages = messages;
        self
    }

    /// With so many bytes.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
}

/// What to ask the broker for next, to be sent in this order: first what is no longer wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// No longer wanted.
    pub unsubscribe: Vec<Channel>,
    /// Wanted. Each is owed [`Inbox::subscribed`], [`Inbox::refused`] or [`Inbox::disconnected`].
    pub subscribe: Vec<Channel>,
}

impl Orders {
    /// Whether there is nothing to ask for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unsubscribe.is_empty() && self.subscribe.is_empty()
    }
}

/// The subscriptions and the queue of one handle. A clone shares them.
///
/// The application's side calls [`ask`](Self::ask), [`forget`](Self::forget) and [`events`](Self::events). The broker's
/// side asks for [`orders`](Self::poll_orders), sends them, and says what the broker says. What is wanted and
/// what was asked for are kept apart for each channel, so nothing is asked twice and no answer is taken for
/// another one's, however often an application changes its mind.
///
/// ```
/// use tideway::pubsub::{Channel, Event, Inbox, Limits};
/// # use futures_util::{FutureExt, StreamExt};
///
/// let inbox = Inbox::new(Limits::default());
/// let mut events = inbox.events();
/// let lobby = Channel::new("lobby")?;
/// inbox.ask(&[lobby.clone()]); // `PubSub::subscribe`
///
/// inbox.connected();
/// for channel in inbox.orders(512).subscribe {
///     // … SUBSCRIBE channel … and when the broker has confirmed it:
///     inbox.subscribed(&channel);
/// }
/// inbox.message("lobby", "hello".into(), None);
/// # let mut next = || events.next().now_or_never().flatten();
/// assert_eq!(next(), Some(Event::Connected));
/// assert_eq!(next(), Some(Event::Subscribed(lobby)));
/// assert!(matches!(next(), Some(Event::Message { payload, .. }) if payload == "hello"));
/// # Ok::<(), tideway::pubsub::ChannelError>(())
/// ```
#[derive(Clone)]
pub struct Inbox(Arc<Mutex<Shared>>);

struct Shared {
    state: State,
    /// Which stream is the one that yields.
    stream: u64,
    reader: Option<Waker>,
    sender: Option<Waker>,
}

/// Wakes whom a call concerns, when it is dropped: so a broker that holds a lock of its own may keep it until
/// that is free.
#[derive(Debug, Default)]
pub struct Wake([Option<Waker>; 2]);

impl Drop for Wake {
    fn drop(&mut self) {
        let [reader, sender] = &mut self.0;
        for waker in [reader.take(), sender.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Inbox {
    /// Without subscriptions, not connected.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Shared {
            state: State::new(limits),
            stream: 0,
            reader: None,
            sender: None,
        })))
    }

    /// These are wanted: each is answered by an event.
    pub fn ask(&self, channels: &[Channel]) -> Wake {
        self.change(|state| channels.iter().for_each(|channel| state.ask(channel)))
    }

    /// These are not wanted any more, and nothing of them comes out of the events from now on.
    pub fn forget(&self, channels: &[Channel]) -> Wake {
        self.change(|state| state.forget(channels))
    }

    /// The events from now on; a stream given out before ends.
    #[must_use]
    pub fn events(&self) -> Events {
        let (stream, reader) = self.with(|shared| {
            shared.stream += 1;
            (shared.stream, shared.reader.take())
        });
        drop(Wake([reader, None]));
        let inbox = self.clone();
        Events { inbox, stream }
    }

    /// What to ask the broker for, at most `most` channels of each kind; `None` once it is closed. To be called while
    /// connected, and with `sender` as the one to wake when there is more.
    pub fn poll_orders(&self, sender: &mut Context<'_>, most: usize) -> Poll<Option<Orders>> {
        self.with(|shared| {
            if shared.state.is_closed() {
                return Poll::Ready(None);
            }
            let orders = shared.state.orders(most);
            if orders.is_empty() {
                shared.sender = Some(sender.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Some(orders))
        })
    }

    /// As [`poll_orders`](Self::poll_orders), for a broker that is asked and answers at once.
    #[must_use]
    pub fn orders(&self, most: usize) -> Orders {
        self.with(|shared| shared.state.orders(most))
    }

    /// The broker is reached.
    pub fn connected(&self) -> Wake {
        self.change(State::connected)
    }

    /// The broker is not reached any more: nothing that was asked for holds, and all that is wanted will be in the next
    /// orders.
    pub fn disconnected(&self) -> Wake {
        self.change(State::disconnected)
    }

    /// The broker says that messages of `channel` come in from now on. If it was not asked for, nothing happens.
    pub fn subscribed(&self, channel: &str) -> Wake {
        self.change(|state| state.subscribed(channel))
    }

    /// The broker does not let us have `channel`: it is lost, and not asked for again until the application does.
    pub fn refused(&self, channel: &str) -> Wake {
        self.change(|state| state.refused(channel))
    }

    /// A message came in. If it finds no room, its channel is lost until the application has read that it is.
    pub fn message(&self, channel: &str, payload: Bytes, position: Option<Position>) -> Wake {
        self.change(|state| state.message(channel, payload, position))
    }

    /// The handle is gone, or no further try would help: what is queued is the last.
    pub fn close(&self) -> Wake {
        self.change(State::close)
    }

    /// Messages that wait, and the bytes of their payloads.
    #[must_use]
    pub fn queued(&self) -> (usize, usize) {
        self.with(|shared| shared.state.queued())
    }

    /// Whether [`close`](Self::close) was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.with(|shared| shared.state.is_closed())
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> Wake {
        self.with(|shared| {
            change(&mut shared.state);
            let over = shared.state.is_closed();
            let read = shared.state.has_events() || over;
            let send = shared.state.has_orders() || over;
            let take = |waker: &mut Option<Waker>, wake| if wake { waker.take() } else { None };
            Wake([
                take(&mut shared.reader, read),
                take(&mut shared.sender, send),
            ])
        })
    }

    /// The state is whole after every step: a panic elsewhere leaves nothing half-done.
    fn with<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (messages, bytes) = self.queued();
        write!(f, "Inbox({messages} messages, {bytes} bytes)")
    }
}

/// The events of an [`Inbox`].
#[derive(Debug)]
pub struct Events {
    inbox: Inbox,
    stream: u64,
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.inbox.with(|shared| {
            if shared.stream != self.stream {
                return Poll::Ready(None);
            }
            match shared.state.next() {
                Some(event) => Poll::Ready(Some(event)),
                None if shared.state.is_closed() => Poll::Ready(None),
                None => {
                    shared.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    }
}
