//! The broker of messages between processes. One connection for each handle, on which all is sent and heard.

mod link;
mod options;
mod outgoing;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_channel::Sender;
use bytes::Bytes;
use futures_core::Stream;
use tideway::jobs::StoreError;
use tideway::pubsub::{Caps, Channel, Event, Inbox, Position, PubSub, PubSubError};
use tideway_driver::Net;

use crate::connection::Connecting;
use crate::url;
use link::Line;
use outgoing::Outgoing;

pub use options::PubSubOptions;

/// Messages between processes by Redis' `PUBLISH` and `SUBSCRIBE`: one server of version 6 or newer, or a cluster, of which
/// every node hands everything on to all others.
///
/// ```no_run
/// # async fn example<R: tideway_driver::Runtime>(runtime: R) -> Result<(), tideway::pubsub::PubSubError> {
/// use tideway_driver::Net;
/// use tideway_redis::{PubSubOptions, RedisPubSub};
///
/// let net = Net::of(runtime);
/// let broker = RedisPubSub::open(net, "redis://localhost:6379", PubSubOptions::default()).await?;
/// # Ok(()) }
/// ```
///
/// Channels are Redis' own, of all its databases: give each application a prefix. A connection that breaks is made again
/// after 50 ms, then after up to a second, at the next server of the URL if it has more, and everything is subscribed to again. One
/// on which nothing is heard for 4 s is asked, and given up after 4 more. What is published while there is none
/// is refused.
///
/// Redis itself may lose messages without a word: where a subscriber takes less than comes for long
/// (`client-output-buffer-limit pubsub`, which closes the connection, so it is told), and between nodes of a cluster
/// (which is not).
#[derive(Clone)]
pub struct RedisPubSub(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    caps: Caps,
    /// Closed with the last clone: so the task ends.
    _open: Sender<()>,
}

/// What handle and connection share.
pub(crate) struct Shared {
    inbox: Inbox,
    outgoing: Outgoing,
}

impl RedisPubSub {
    /// Connects to the servers of `url`: `redis://[[user]:password@]host[:port]`, or
    /// `redis-cluster://[[user]:password@]host[:port][,host[:port]…]`.
    ///
    /// # Errors
    ///
    /// [`PubSubError::Fatal`] if the URL is none, or the server refuses the password. [`PubSubError::Transient`] if
    /// no server is reached.
    pub async fn open(net: Net, url: &str, options: PubSubOptions) -> Result<Self, PubSubError> {
        let servers = url::parse(url).map_err(told)?;
        let connecting = |address: &url::Address| Connecting {
            net: net.clone(),
            address: address.clone(),
            login: servers.login.clone(),
            timeout: options.timeout,
        };
        let mut line = Line::new(servers.addresses.iter().map(connecting).collect());
        let first = line.connect().await?;
        let shared = Arc::new(Shared {
            inbox: Inbox::new(options.limits),
            outgoing: Outgoing::default(),
        });
        let (open, closed) = async_channel::bounded(1);
        // Before the first call returns: what is published then goes out.
        shared.connected();
        net.spawn(link::run(net.clone(), shared.clone(), line, first, closed));
        Ok(Self(Arc::new(Handle {
            shared,
            caps: Caps::new(options.max_payload),
            _open: open,
        })))
    }
}

impl Shared {
    fn connected(&self) {
        self.outgoing.connected();
        self.inbox.connected();
    }

    fn disconnected(&self, why: &PubSubError) {
        self.outgoing.disconnected(why);
        self.inbox.disconnected();
    }
}

impl fmt::Debug for RedisPubSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisPubSub({:?})", self.0.shared.inbox)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.inbox.close();
    }
}

impl PubSub for RedisPubSub {
    fn caps(&self) -> Caps {
        self.0.caps
    }

    async fn publish(
        &self,
        channel: &Channel,
        payload: Bytes,
    ) -> Result<Option<Position>, PubSubError> {
        let (size, most) = (payload.len(), self.0.caps.max_payload);
        if size > most {
            return Err(PubSubError::TooLarge { size, most });
        }
        let sent = self.0.shared.outgoing.push(channel, payload)?;
        match sent.await {
            Ok(answer) => answer.map(|()| None),
            Err(_) => Err(PubSubError::Transient("the connection has ended".into())),
        }
    }

    async fn subscribe(&self, channels: &[Channel]) -> Result<(), PubSubError> {
        self.0.shared.inbox.ask(channels);
        Ok(())
    }

    async fn unsubscribe(&self, channels: &[Channel]) -> Result<(), PubSubError> {
        self.0.shared.inbox.forget(channels);
        Ok(())
    }

    fn events(&self) -> Pin<Box<dyn Stream<Item = Event> + Send>> {
        Box::pin(self.0.shared.inbox.events())
    }
}

/// Errors of connections, as those of this port.
fn told(error: StoreError) -> PubSubError {
    match error {
        StoreError::Transient(text) | StoreError::Ambiguous(text) => PubSubError::Transient(text),
        StoreError::Fatal(text) => PubSubError::Fatal(text),
        error => PubSubError::Fatal(error.to_string().into()),
    }
}
