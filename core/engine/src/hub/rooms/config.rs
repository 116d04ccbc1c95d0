//! What a shard of rooms may hold, and what a room declares.

use std::time::Duration;

use super::super::{Incarnation, Policy};

/// What one shard may hold, and its times.
#[derive(Clone, Debug)]
pub struct Config {
    /// This life of this node; the same for all its shards.
    pub incarnation: Incarnation,
    /// Connections. Default 1 048 576.
    pub connections: usize,
    /// Topics with members, with users on other nodes, or published to lately. Default 65 536.
    pub topics: usize,
    /// Members of one topic on this node. Default 1 048 576.
    pub members: usize,
    /// Topics of this shard that one connection may be in. Default 256.
    pub rooms: usize,
    /// Users present in one topic on one node; of another node's users no more are shown. Default 4 096.
    pub present: usize,
    /// Bytes of frames published and not yet handed out, all topics together. Default 4 MiB. At least
    /// the largest message.
    pub log: usize,
    /// Bytes of frames kept for one member that is still joining. Default 64 KiB; it is told of a gap when there
    /// were more.
    pub joining: usize,
    /// The same, all members together. Default 4 MiB.
    pub joining_all: usize,
    /// Bytes of announcements nobody took. Default 4 MiB. What does not fit is lost to the other nodes,
    /// which see a gap.
    pub announcements: usize,
    /// How long a member waits for the cluster before its join counts as degraded. Default 2 s.
    pub join: Duration,
    /// How long a topic without members stays subscribed; 15 s at least if something was said in it. Default
    /// 30 s; longer where rooms are left and entered again all the time.
    pub linger: Duration,
}

impl Config {
    /// The defaults, for a node's `incarnation`.
    #[must_use]
    pub const fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            connections: 1 << 20,
            topics: 1 << 16,
            members: 1 << 20,
            rooms: 256,
            present: 4096,
            log: 4 << 20,
            joining: 64 << 10,
            joining_all: 4 << 20,
            announcements: 4 << 20,
            join: Duration::from_secs(2),
            linger: Duration::from_secs(30),
        }
    }
}

/// What a topic declares. Everyone who joins it or publishes to it must say the same while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Rules {
    /// Who orders its frames.
    pub order: Order,
    /// Whether other nodes share it.
    pub reach: Reach,
    /// What happens to members that read slowly.
    pub policy: Policy,
}

/// Who orders the frames of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Order {
    /// Each node for itself: a frame is delivered here, then announced to the others. Each node sees one
    /// order, two nodes may see different ones.
    #[default]
    Local,
    /// The broker: a frame is announced, and delivered when it comes back. Not built yet, and refused.
    Broker,
}

/// How far a topic reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Reach {
    /// This node alone.
    #[default]
    Node,
    /// All nodes that share the broker.
    Cluster,
}
