//! Who and what frames are sent to, and who they come from: connections, topics, nodes.

use crate::jobs::Name;
use crate::rng::Rng;

/// One connection of this node. Whoever makes connections numbers them, and never uses a number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn(pub u64);

/// What connections join and frames are published to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Topic {
    /// A room: many users.
    Room(Name),
    /// A user: all connections of one person, on whichever node.
    User(Name),
}

impl Topic {
    /// The name, which a room and a user may share.
    #[must_use]
    pub const fn name(&self) -> &Name {
        match self {
            Topic::Room(name) | Topic::User(name) => name,
        }
    }
}

/// One life of one process: a node that starts again is another incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u128);

impl Incarnation {
    /// A fresh one.
    pub fn draw(rng: &mut Rng) -> Self {
        Self(u128::from(rng.u64()) << 64 | u128::from(rng.u64()))
    }
}

/// A place in the history that a broker keeps of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which history: another one starts when the broker loses the first.
    pub epoch: u64,
    /// How far in it.
    pub offset: u64,
}

impl Position {
    /// Whether `self` is at or before `other`. Places in different histories have no order.
    #[must_use]
    pub const fn within(self, other: Position) -> bool {
        self.epoch == other.epoch && self.offset <= other.offset
    }
}
