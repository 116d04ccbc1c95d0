//! Rooms: what a hub is to handlers, jobs and whoever serves the app. It keeps the pure machines of
//! [`tideway_engine::hub`] in shards behind short locks; no user code and no waker runs under one.
//!
//! ```
//! use tideway::ws::{Hub, Socket, WebSocketUpgrade};
//! use tideway::{App, Problem, Response, get};
//!
//! async fn chat(upgrade: WebSocketUpgrade, hub: Hub) -> Response {
//!     upgrade.on_upgrade(|mut socket: Socket| async move {
//!         let Ok(lobby) = hub.room("lobby") else { return };
//!         if lobby.join(&socket).await.is_err() {
//!             return;
//!         }
//!         while let Some(message) = socket.recv().await {
//!             // To everyone else; it never waits.
//!             if lobby.publish_except(message, &socket).is_err() {
//!                 return;
//!             }
//!         }
//!     })
//! }
//!
//! let app = App::new().route("/chat", get(chat));
//! ```
//!
//! The locks are taken in one order, the shard's before the socket's. A publish appends to its room's log, and one caller
//! at a time hands the log out, so everyone sees one order and nobody waits for a slow client: what does not fit into a
//! socket's queue is dealt with by the room's [`Policy`](tideway_engine::hub::Policy).
//!
//! The rejected alternative is a task per room with channels: a full one stalls its room or loses messages without anybody
//! deciding which, and each message is a wake-up more.

mod error;
mod events;
mod listener;
mod member;
mod mind;
mod nodes;
mod room;
pub(super) mod round;
mod shard;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tideway_engine::Keyed;
use tideway_engine::hub::wire::Channels;
use tideway_engine::hub::{self, Conn, Counts, Incarnation, Rules, Topic};
use tideway_engine::jobs::{Name, NameError};
use tideway_engine::{Mono, Rng, Seed};

pub use error::RoomError;
pub(crate) use events::DynRoomEvents;
pub use events::RoomEvents;
pub use listener::Listener;
pub(super) use member::Membership;
pub use nodes::NodeCounts;
pub use room::Room;

use self::mind::Bells;
use self::nodes::Nodes;
use self::shard::Shards;
use crate::context::Needs;
use crate::extract::FromRequestParts;
use crate::pubsub::DynPubSub;
use crate::{Context, Parts, Problem, Tasks};

/// The rooms of an app. An extractor, and a [service](crate::jobs::JobCx::service) of jobs; clones are the same hub.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

/// What rooms declare and may hold; given to [`App::hub`](crate::App::hub).
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// What a room declares that is asked for without rules of its own.
    pub rules: Rules,
    /// What each of the hub's 16 shards may hold, and its times. Its incarnation is drawn anew by every process.
    pub shard: hub::Config,
    /// The names of the broker's channels, the same on all nodes of an application. Default those of `tideway`; another
    /// prefix where applications share a broker.
    pub channels: Channels,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            shard: hub::Config::new(Incarnation(0)),
            channels: Channels::default(),
        }
    }
}

struct Inner {
    shards: Shards,
    keyed: Keyed,
    rules: Rules,
    incarnation: Incarnation,
    /// The number of the next socket that joins anything.
    next: AtomicU64,
    tasks: Arc<dyn Tasks>,
    bells: Bells,
    events: Option<Box<dyn DynRoomEvents>>,
    nodes: Option<Nodes>,
}

impl Hub {
    pub(crate) fn new(
        config: HubConfig,
        events: Option<Box<dyn DynRoomEvents>>,
        broker: Option<DynPubSub>,
        seed: &Seed,
        tasks: Arc<dyn Tasks>,
    ) -> Self {
        let mut rng = Rng::new(seed);
        let incarnation = Incarnation::draw(&mut rng);
        let shard = hub::Config {
            incarnation,
            ..config.shard
        };
        let most = shard.announcements;
        Self(Arc::new(Inner {
            nodes: broker.map(|broker| Nodes::new(broker, config.channels, most)),
            keyed: Keyed::from_seed(&rng.fork()),
            shards: Shards::new(&shard, &mut rng),
            rules: config.rules,
            incarnation,
            next: AtomicU64::new(1),
            tasks,
            bells: Bells::default(),
            events,
        }))
    }

    /// The room called `name`, with the rules of [`HubConfig`]. It exists while it has members.
    ///
    /// # Errors
    ///
    /// [`NameError`]: 1 to 200 bytes without control characters.
    pub fn room(&self, name: &str) -> Result<Room, NameError> {
        Ok(Room::new(self, Topic::Room(Name::new(name)?)))
    }

    /// All sockets that joined as one person's: like a room, but no room has its name.
    ///
    /// # Errors
    ///
    /// [`NameError`]: 1 to 200 bytes without control characters.
    pub fn user(&self, name: &str) -> Result<Room, NameError> {
        Ok(Room::new(self, Topic::User(Name::new(name)?)))
    }

    /// A member to be, without a socket: it [joins](Room::join) rooms and hears what is published there.
    #[must_use]
    pub fn listener(&self) -> Listener {
        Listener::new()
    }

    /// How much there is and was, all rooms together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.shards.counts()
    }

    /// What was said to other nodes and heard of them; nothing without [`App::pubsub`](crate::App::pubsub).
    #[must_use]
    pub fn nodes(&self) -> NodeCounts {
        self.0.nodes.as_ref().map(Nodes::counts).unwrap_or_default()
    }

    /// This life of this node, as others know it.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation
    }

    fn shard_of(&self, topic: &Topic) -> usize {
        self.0.keyed.hash_one(topic) as usize % shard::COUNT
    }

    fn now(&self) -> Mono {
        self.0.tasks.now().mono
    }

    /// A number for a socket.
    fn number(&self) -> Conn {
        Conn(self.0.next.fetch_add(1, Ordering::Relaxed))
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl FromRequestParts for Hub {
    const IMMEDIATE: bool = true;
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, cx: &Context) -> Result<Self, Problem> {
        cx.get::<Hub>().cloned().ok_or_else(|| {
            Problem::new(http::StatusCode::INTERNAL_SERVER_ERROR).source(
                "the app that routed this request was built without a seed, so it has no hub",
            )
        })
    }

    fn needs(needs: &mut Needs) {
        needs.service::<Hub>();
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hub").field(&self.counts()).finish()
    }
}
