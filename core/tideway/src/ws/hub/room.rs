//! A room as handlers and jobs see it: a name, its rules, and what can be done there.

use std::fmt;
use std::future::poll_fn;

use serde::Serialize;
use tideway_engine::hub::{Join, Joined, Post, Rules, Topic};
use tideway_engine::jobs::Name;
use tideway_engine::ws::Encoded;

use super::super::Sender;
use super::{Hub, RoomError};

/// A room, or all sockets of one user. Cheap to clone; it holds nothing open.
#[derive(Clone)]
pub struct Room {
    hub: Hub,
    topic: Topic,
    rules: Rules,
}

impl Room {
    pub(super) fn new(hub: &Hub, topic: Topic) -> Self {
        let rules = hub.0.rules;
        Self {
            hub: hub.clone(),
            topic,
            rules,
        }
    }

    /// With the rules it lives with.
    pub(super) fn alive(hub: &Hub, topic: Topic) -> Self {
        let rules = hub.0.shards.lock(hub.shard_of(&topic)).rooms.rules(&topic);
        let room = Self::new(hub, topic);
        match rules {
            Some(rules) => room.rules(rules),
            None => room,
        }
    }

    /// The same with rules of its own. Everyone who joins a room or publishes to it must say the same while it lives.
    #[must_use]
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        self.topic.name()
    }

    /// The hub it belongs to.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Makes a [`Socket`](super::super::Socket) or [`Sender`] a member, unseen. What is published here afterwards reaches
    /// it; a room of [`Reach::Cluster`](tideway_engine::hub::Reach) is joined once other nodes' messages reach it too, or
    /// [`Degraded`](Joined::Degraded) if that takes longer than 2 s. Dropped while it waits for that, the socket is
    /// a member all the same.
    ///
    /// It leaves by [`leave`](Self::leave), and when it ends.
    ///
    /// # Errors
    ///
    /// [`RoomError`].
    pub async fn join<S: AsRef<Sender> + ?Sized>(&self, socket: &S) -> Result<Joined, RoomError> {
        self.enter(socket.as_ref(), Join::default()).await
    }

    /// [`join`](Self::join)s, and is shown as present as `user` while any socket of that user is a member.
    ///
    /// # Errors
    ///
    /// [`RoomError`].
    pub async fn join_as<S: AsRef<Sender> + ?Sized>(
        &self,
        socket: &S,
        user: &str,
    ) -> Result<Joined, RoomError> {
        let join = Join {
            user: Some(Name::new(user)?),
            since: None,
        };
        self.enter(socket.as_ref(), join).await
    }

    async fn enter(&self, socket: &Sender, join: Join) -> Result<Joined, RoomError> {
        let (hub, topic) = (&self.hub, &self.topic);
        hub.reaches(self.rules)?;
        let (conn, joined) = hub.enter(topic, self.rules, join, socket.meeting())?;
        if joined != Joined::Waiting {
            return Ok(joined);
        }
        let at = hub.shard_of(topic);
        let answer = poll_fn(|cx| hub.visit(at, |shard| shard.poll_joined(conn, topic, cx)));
        answer.await.ok_or(RoomError::Left)
    }

    /// Ends a membership; whether there was one.
    pub fn leave<S: AsRef<Sender> + ?Sized>(&self, socket: &S) -> bool {
        self.hub.leave(&self.topic, socket.as_ref().meeting())
    }

    /// Sends a message to all members, on all nodes the room reaches. It never waits: what finds no room in a slow member's
    /// queue is dealt with by the room's policy.
    ///
    /// From a socket's handler that has received the next message already it may go out together with what that one leads
    /// to: at the latest when the handler waits for anything, sends, leaves, or has published 16 KiB.
    ///
    /// # Errors
    ///
    /// [`RoomError`]; nobody gets it then.
    pub fn publish(&self, message: impl Into<Encoded>) -> Result<(), RoomError> {
        self.post(Post::new(message.into()))
    }

    /// [`publish`](Self::publish)es to all but one, mostly the sender.
    ///
    /// # Errors
    ///
    /// [`RoomError`]; nobody gets it then.
    pub fn publish_except<S: AsRef<Sender> + ?Sized>(
        &self,
        message: impl Into<Encoded>,
        except: &S,
    ) -> Result<(), RoomError> {
        let mut post = Post::new(message.into());
        post.except = except.as_ref().meeting().lock().membership.conn(&self.hub);
        self.post(post)
    }

    /// [`publish`](Self::publish)es a value of which only the latest counts: under
    /// [`Policy::Conflate`](tideway_engine::hub::Policy) it replaces what still waits with the same `key`.
    ///
    /// # Errors
    ///
    /// [`RoomError`]; nobody gets it then.
    pub fn publish_latest(&self, key: u64, message: impl Into<Encoded>) -> Result<(), RoomError> {
        let mut post = Post::new(message.into());
        post.key = key;
        self.post(post)
    }

    /// [`publish`](Self::publish)es to members on this node only: for what every node says itself.
    ///
    /// # Errors
    ///
    /// [`RoomError`]; nobody gets it then.
    pub fn publish_here(&self, message: impl Into<Encoded>) -> Result<(), RoomError> {
        let mut post = Post::new(message.into());
        post.here = true;
        self.post(post)
    }

    /// [`publish`](Self::publish)es a value as JSON text.
    ///
    /// # Errors
    ///
    /// [`RoomError`]; nobody gets it then.
    pub fn publish_json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), RoomError> {
        let text = serde_json::to_string(value).map_err(|_| RoomError::Json)?;
        self.publish(text)
    }

    /// Publishes with everything said.
    ///
    /// # Errors
    ///
    /// [`RoomError`]; nobody gets it then.
    pub fn post(&self, mut post: Post<Encoded>) -> Result<(), RoomError> {
        // Compressed once for all who agreed to the same window.
        post.frame = post.frame.shared();
        self.hub.publish(&self.topic, self.rules, &post)
    }

    /// How many members it has on this node.
    #[must_use]
    pub fn members(&self) -> usize {
        let at = self.hub.shard_of(&self.topic);
        self.hub.0.shards.lock(at).rooms.members(&self.topic)
    }

    /// Who is present, on any node, in order; nobody unless it has members on this one.
    #[must_use]
    pub fn present(&self) -> Vec<Name> {
        let at = self.hub.shard_of(&self.topic);
        let shard = self.hub.0.shards.lock(at);
        shard.rooms.present(&self.topic).cloned().collect()
    }

    /// Whether a socket is a member.
    #[must_use]
    pub fn has<S: AsRef<Sender> + ?Sized>(&self, socket: &S) -> bool {
        let conn = socket.as_ref().meeting().lock().membership.conn(&self.hub);
        let at = self.hub.shard_of(&self.topic);
        conn.is_some_and(|conn| {
            self.hub
                .0
                .shards
                .lock(at)
                .rooms
                .is_member(conn, &self.topic)
        })
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("topic", &self.topic)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
