//! The values that go into a shard of rooms and come out of it.

use super::super::{Conn, Incarnation, Policy, Position, Topic};
use super::Entry;
use crate::jobs::Name;

/// How a connection joins a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Join {
    /// The user to be shown as present; none to listen unseen.
    pub user: Option<Name>,
    /// The last position the client has. Then it joins in two steps: frames are kept for it until
    /// [`Rooms::live`](super::Rooms::live), so that history can be sent before them.
    pub since: Option<Position>,
}

/// What a join did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The connection is a member, on all nodes if the topic reaches so far.
    Whole,
    /// It is a member here; [`Event::Joined`] follows when the cluster knows, or at the deadline.
    Waiting,
    /// It was a member already; nothing changed.
    Already,
    /// The cluster did not answer in time: it is a member here, and frames from elsewhere are missing.
    /// A gap is told when they come again.
    Degraded,
}

/// A frame to publish.
#[derive(Clone, Debug)]
pub struct Post<F> {
    /// What to send.
    pub frame: F,
    /// The one member not to send it to, mostly the sender.
    pub except: Option<Conn>,
    /// Frames of one topic and key replace each other under [`Policy::Conflate`].
    pub key: u64,
    /// Only to members on this node.
    pub here: bool,
}

impl<F> Post<F> {
    /// To everyone the topic reaches, with key 0.
    pub const fn new(frame: F) -> Self {
        Self {
            frame,
            except: None,
            key: 0,
            here: false,
        }
    }
}

/// Whose turn it is to hand frames out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    /// Yours: call [`Rooms::fan`](super::Rooms::fan) until it returns [`Turn::Done`].
    Yours,
    /// There is nothing to hand out, or whoever has the turn does it.
    Done,
}

/// Whether a member that has caught up missed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// Nothing.
    Whole,
    /// Frames are missing between the history and now: tell the client.
    Gap,
}

/// What a node says to the others on the channel of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce<F> {
    /// Who says it.
    pub from: Incarnation,
    /// Where.
    pub topic: Topic,
    /// The number of its last message there, this one included. Numbers start at 1 and grow by 1; they
    /// start again only with a new incarnation.
    pub seq: u64,
    /// What.
    pub body: Body<F>,
}

/// The kinds of announcements.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body<F> {
    /// A frame for all members.
    Message {
        /// What to send.
        frame: F,
        /// See [`Post::key`].
        key: u64,
    },
    /// "This is where I am": repeated every 5 s, so that whoever missed something notices.
    Digest {
        /// The version of the list of users; 0 while there never was one.
        version: u64,
        /// Nobody is in it: the last word of a topic that is about to be forgotten needs no question.
        empty: bool,
    },
    /// The whole list of users present at the sender.
    State {
        /// The version of this list.
        version: u64,
        /// In order.
        users: Vec<Name>,
    },
    /// What changed in the list.
    Diff {
        /// The version it applies to.
        base: u64,
        /// The version after it.
        version: u64,
        /// Who came.
        came: Vec<Name>,
        /// Who went.
        went: Vec<Name>,
    },
    /// "Tell me your whole list."
    Ask {
        /// Whose; everyone's if none.
        of: Option<Incarnation>,
    },
}

/// An announcement as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote<F> {
    /// What the other node said.
    pub announce: Announce<F>,
    /// Where the broker keeps it, if it does.
    pub position: Option<Position>,
}

/// What the rooms ask their owner to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output<F> {
    /// Subscribes to the channels of these topics, at most 512. Each is answered by `handle_subscribed` or
    /// `handle_lost`.
    Subscribe(Vec<Topic>),
    /// Unsubscribes from these, at most 512.
    Unsubscribe(Vec<Topic>),
    /// Publishes on the channel of the topic. Those of one topic go out in this order; what cannot go out is
    /// dropped.
    Announce(Announce<F>),
    /// Whoever joined waits for this.
    Answer(Answer),
}

/// What follows a join that [`Rooms::join`](super::Rooms::join) did not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The end of [`Joined::Waiting`]: [`Joined::Whole`] or [`Joined::Degraded`].
    Joined {
        /// Who waited.
        conn: Conn,
        /// Where.
        topic: Topic,
        /// With what result.
        joined: Joined,
    },
    /// Send this member what the topic's history has after `since`, then call
    /// [`Rooms::live`](super::Rooms::live), also if there is no history.
    Recover {
        /// Whom.
        conn: Conn,
        /// Where.
        topic: Topic,
        /// The last position the client has.
        since: Position,
    },
}

/// What happened, for the application. It is told while a topic has members here; when the last one leaves,
/// what was not taken yet is dropped, and the next one lists who is present.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A user is present who was not, on this node or another.
    Came {
        /// Where.
        topic: Topic,
        /// Who.
        user: Name,
    },
    /// A user is not present any more, on any node.
    Went {
        /// Where.
        topic: Topic,
        /// Who.
        user: Name,
    },
    /// Presence changed in more ways than were kept: list it anew.
    Relist {
        /// Where.
        topic: Topic,
    },
    /// Frames from other nodes are missing, up to now: members who must have them all load anew.
    Gap {
        /// Where.
        topic: Topic,
        /// Why.
        cause: Cause,
    },
}

impl Event {
    /// Where it happened.
    #[must_use]
    pub const fn topic(&self) -> &Topic {
        match self {
            Event::Came { topic, .. }
            | Event::Went { topic, .. }
            | Event::Relist { topic }
            | Event::Gap { topic, .. } => topic,
        }
    }
}

impl Answer {
    /// Whose join it answers, and where.
    #[must_use]
    pub const fn of(&self) -> (Conn, &Topic) {
        match self {
            Answer::Joined { conn, topic, .. } | Answer::Recover { conn, topic, .. } => {
                (*conn, topic)
            }
        }
    }
}

/// Why frames from other nodes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A node's numbers jumped.
    Missed,
    /// The subscription was lost, and is there again.
    Reconnected,
    /// A frame came in while too many were still to be handed out.
    Overload,
    /// Too many nodes: the numbers of the longest silent are not checked any more.
    Unchecked,
}

/// The frames for one member, in order: what [`Rooms::fan`](super::Rooms::fan) lends.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a, F> {
    pub(super) entries: &'a [Entry<F>],
    pub(super) to: Conn,
    pub(super) policy: Policy,
    pub(super) alike: Option<u64>,
}

/// One frame of a batch: offer it to the member's outbox with its policy and key.
#[derive(Debug)]
pub struct Item<'a, F> {
    /// What to send.
    pub frame: &'a F,
    /// The room's.
    pub policy: Policy,
    /// Unique for the topic and [`Post::key`].
    pub key: u64,
    /// Its number in the order of this topic on this node.
    pub seq: u64,
    /// Where the broker keeps it, if it came from there.
    pub position: Option<Position>,
}

impl<'a, F> Batch<'a, F> {
    /// Whose frames they are.
    #[must_use]
    pub const fn to(&self) -> Conn {
        self.to
    }

    /// The room's.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// A number that all have in common who get the same frames at once: what is made of these for one member serves the
    /// others. `None` for frames that replace each other, and for whoever gets only some.
    #[must_use]
    pub const fn alike(&self) -> Option<u64> {
        self.alike
    }

    /// The frames.
    pub fn iter(&self) -> impl Iterator<Item = Item<'a, F>> + Clone + use<'a, F> {
        let (to, policy) = (self.to, self.policy);
        self.entries
            .iter()
            .filter(move |entry| entry.except != Some(to))
            .map(move |entry| Item {
                frame: &entry.frame,
                policy,
                key: entry.key,
                seq: entry.seq,
                position: entry.position,
            })
    }
}

/// Why a command was refused. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The topic declares [`Order::Broker`](super::Order::Broker).
    #[error("rooms ordered by the broker are not built yet: declare `Order::Local`")]
    BrokerOrder,
    /// The topic lives with other rules.
    #[error("this topic was opened with other rules: declare each room's rules in one place")]
    OtherRules,
    /// The shard has this many connections.
    #[error("{0} connections are in this shard already: raise `Config::connections` or add shards")]
    Connections(usize),
    /// The shard has this many topics.
    #[error("{0} topics are in this shard already: raise `Config::topics` or add shards")]
    Topics(usize),
    /// The topic has this many members.
    #[error("this topic has {0} members already: raise `Config::members` or add nodes")]
    Members(usize),
    /// The connection is in this many topics.
    #[error(
        "this connection is in {0} topics of this shard already: leave one, or raise `Config::rooms`"
    )]
    Rooms(usize),
    /// This many users are present.
    #[error("{0} users are present in this topic already: join unseen, or raise `Config::present`")]
    Present(usize),
    /// The connection is no member.
    #[error("this connection is not a member of the topic: join first")]
    NotMember,
    /// Too much is still to be handed out.
    #[error("too many frames are still to be handed out: call `fan` once, then publish again")]
    Busy,
    /// It can never be published.
    #[error("a frame of {0} bytes can never be published: raise `Config::log` or send less")]
    TooLarge(usize),
}

/// How much there is and was. All but the totals return to zero when everyone is gone and the linger is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections known now.
    pub connections: usize,
    /// Memberships now.
    pub members: usize,
    /// Topics now.
    pub topics: usize,
    /// Users present now, each once per topic.
    pub present: usize,
    /// Bytes still to be handed out now.
    pub log: usize,
    /// Bytes kept now for members that are joining.
    pub joining: usize,
    /// Frames published here, in total.
    pub published: u64,
    /// Frames that came from other nodes, in total.
    pub remote: u64,
    /// Frames handed out to members, in total.
    pub delivered: u64,
    /// Announcements made, in total.
    pub announced: u64,
    /// Announcements dropped because nobody took them, in total.
    pub unannounced: u64,
    /// Gaps noticed, in total.
    pub gaps: u64,
}

/// Of several shards together.
impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            connections: sum.connections + one.connections,
            members: sum.members + one.members,
            topics: sum.topics + one.topics,
            present: sum.present + one.present,
            log: sum.log + one.log,
            joining: sum.joining + one.joining,
            published: sum.published + one.published,
            remote: sum.remote + one.remote,
            delivered: sum.delivered + one.delivered,
            announced: sum.announced + one.announced,
            unannounced: sum.unannounced + one.unannounced,
            gaps: sum.gaps + one.gaps,
        })
    }
}
