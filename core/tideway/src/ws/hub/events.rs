//! What happens in rooms, as an application hears of it.

use std::future::Future;

use tideway_engine::hub::{Cause, Event, Topic};

use super::{Hub, Room};
use crate::BoxFuture;

/// What an application does about what happens in its rooms; given to [`App::room_events`](crate::App::room_events).
///
/// Each method is called once per node and event, one after the other, with no lock held: it may publish, join and wait. While
/// it waits, later events are kept, and merged where there are too many ([`relist`](Self::relist)); nothing else waits for it.
/// Events of rooms that are empty by then are not told.
///
/// ```
/// use tideway::App;
/// use tideway::ws::{Room, RoomEvents};
///
/// struct Announcer;
///
/// impl RoomEvents for Announcer {
///     async fn came(&self, room: &Room, user: &str) {
///         // Every node hears of it, and tells its own members.
///         let _ = room.publish_here(format!("{user} is here"));
///     }
/// }
///
/// let app = App::new().room_events(Announcer);
/// ```
pub trait RoomEvents: Send + Sync + 'static {
    /// A user is present who was not, on this node or another.
    fn came(&self, room: &Room, user: &str) -> impl Future<Output = ()> + Send {
        let _ = (room, user);
        async {}
    }

    /// A user is not present any more, on any node.
    fn went(&self, room: &Room, user: &str) -> impl Future<Output = ()> + Send {
        let _ = (room, user);
        async {}
    }

    /// Who is present changed in more ways than were kept: read [`Room::present`] anew.
    fn relist(&self, room: &Room) -> impl Future<Output = ()> + Send {
        let _ = room;
        async {}
    }

    /// Messages of other nodes are missing, up to now: members who must have them all load anew.
    fn gap(&self, room: &Room, cause: Cause) -> impl Future<Output = ()> + Send {
        let _ = (room, cause);
        async {}
    }
}

/// [`RoomEvents`] without its type.
pub(crate) trait DynRoomEvents: Send + Sync {
    fn tell<'a>(&'a self, hub: &'a Hub, event: Event) -> BoxFuture<'a, ()>;
}

impl<E: RoomEvents> DynRoomEvents for E {
    fn tell<'a>(&'a self, hub: &'a Hub, event: Event) -> BoxFuture<'a, ()> {
        let room = |topic: Topic| Room::alive(hub, topic);
        match event {
            Event::Came { topic, user } => Box::pin(async move {
                self.came(&room(topic), &user).await;
            }),
            Event::Went { topic, user } => Box::pin(async move {
                self.went(&room(topic), &user).await;
            }),
            Event::Relist { topic } => Box::pin(async move { self.relist(&room(topic)).await }),
            Event::Gap { topic, cause } => {
                Box::pin(async move { self.gap(&room(topic), cause).await })
            }
            _ => Box::pin(async {}),
        }
    }
}
