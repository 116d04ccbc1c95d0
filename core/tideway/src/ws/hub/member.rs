//! What a socket knows of the rooms it is in, so that its end visits only those shards.

use std::sync::Arc;

use tideway_engine::hub::{Conn, Join, Joined, Rules, Topic};

use super::super::meeting::Meeting;
use super::shard::each;
use super::{Hub, RoomError, round};

/// A socket's part in a hub. It is kept under the socket's lock.
#[derive(Default)]
pub(in crate::ws) enum Membership {
    /// It never joined anything.
    #[default]
    None,
    /// It did.
    In {
        hub: Hub,
        conn: Conn,
        /// The shards it ever joined in, one bit each.
        shards: u16,
    },
    /// It has ended, and joins nothing any more.
    Over,
}

impl Membership {
    /// The socket's number in `hub`.
    pub(super) fn conn(&self, hub: &Hub) -> Option<Conn> {
        match self {
            Self::In { hub: of, conn, .. } if of.is(hub) => Some(*conn),
            _ => None,
        }
    }

    /// The socket has ended: it leaves all rooms. Not under any lock.
    pub(in crate::ws) fn end(self) {
        if let Self::In { hub, conn, shards } = self {
            let now = hub.now();
            for at in each(u64::from(shards)) {
                hub.visit(at, |shard| {
                    shard.rooms.handle_gone(now, conn);
                    shard.give_up(conn, None);
                });
            }
        }
    }

    fn enter(&mut self, hub: &Hub, at: usize) -> Result<Conn, RoomError> {
        match self {
            Self::Over => Err(RoomError::Closed),
            Self::In { hub: of, .. } if !of.is(hub) => Err(RoomError::OtherHub),
            Self::In { conn, shards, .. } => {
                *shards |= 1 << at;
                Ok(*conn)
            }
            Self::None => {
                let conn = hub.number();
                *self = Self::In {
                    hub: hub.clone(),
                    conn,
                    shards: 1 << at,
                };
                Ok(conn)
            }
        }
    }
}

impl Hub {
    /// Makes a socket a member. A socket that ends meanwhile either is refused here, or leaves this shard after this
    /// call.
    pub(super) fn enter(
        &self,
        topic: &Topic,
        rules: Rules,
        join: Join,
        meeting: &Arc<Meeting>,
    ) -> Result<(Conn, Joined), RoomError> {
        let (now, at) = (self.now(), self.shard_of(topic));
        self.visit(at, |shard| {
            let conn = {
                let mut state = meeting.lock();
                if !state.outbox.is_open() {
                    return Err(RoomError::Closed);
                }
                state.membership.enter(self, at)?
            };
            let joined = shard.rooms.join(now, conn, meeting, topic, rules, join)?;
            if joined == Joined::Waiting {
                shard.wait(conn, topic);
            }
            Ok((conn, joined))
        })
    }

    /// Ends a membership; whether there was one.
    pub(super) fn leave(&self, topic: &Topic, meeting: &Meeting) -> bool {
        round::settle();
        let Some(conn) = meeting.lock().membership.conn(self) else {
            return false;
        };
        let now = self.now();
        self.visit(self.shard_of(topic), |shard| {
            shard.give_up(conn, Some(topic));
            shard.rooms.leave(now, conn, topic)
        })
    }
}
