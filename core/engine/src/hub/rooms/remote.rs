//! What a topic that other nodes share knows of them: its own numbers, and of each other incarnation the
//! last number heard and the users there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::super::{Conn, Frame, Incarnation};
use super::subscription::Sub;
use super::{Announce, Body};
use crate::jobs::Name;
use crate::time::Mono;

/// Users of a node nobody hears of are present for this long.
pub(super) const SILENCE: Duration = Duration::from_secs(15);
/// A node that lives, but says nothing about this topic, keeps its users for this long: its goodbye was lost.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// The part of a topic that other nodes share.
#[derive(Debug)]
pub(super) struct Far {
    pub(super) sub: Sub,
    /// Frames of other nodes were missed: a gap is told when the subscription is there again.
    pub(super) missed: bool,
    /// The number of our last message.
    pub(super) seq: u64,
    /// How many more digests are due though nobody is present here.
    pub(super) digests: u8,
    /// Someone asked for our list.
    pub(super) asked: bool,
    /// When it was last published to.
    pub(super) touched: Mono,
    /// Members who wait for the subscription, each with the deadline, in order.
    pub(super) waiting: VecDeque<(Mono, Conn)>,
    pub(super) peers: BTreeMap<Incarnation, Peer>,
}

impl Far {
    pub(super) fn new(seq: u64) -> Self {
        Self {
            sub: Sub::Off,
            missed: false,
            seq,
            digests: 0,
            asked: false,
            touched: Mono::START,
            waiting: VecDeque::new(),
            peers: BTreeMap::new(),
        }
    }
}

/// What is known of one other incarnation in one topic.
#[derive(Debug)]
pub(super) struct Peer {
    /// Its last number; none until it is heard of. It outlives a lost subscription: what was missed shows twice
    /// rather than never.
    pub(super) seq: Option<u64>,
    /// When it last spoke in this topic.
    pub(super) heard: Mono,
    /// The version of `users`, if it is complete.
    version: Option<u64>,
    users: BTreeSet<Name>,
    /// Its list is newer than ours.
    pub(super) wanted: bool,
    /// It fell silent; only its number is remembered.
    pub(super) silent: bool,
}

/// What was heard of a node last, outside of any topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Seen(Mono),
    Down(Mono),
}

impl Life {
    pub(super) const fn at(self) -> Mono {
        match self {
            Life::Seen(at) | Life::Down(at) => at,
        }
    }
}

/// How a number fits what was heard before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Next,
    /// Messages before it are missing.
    Gap,
    /// It was heard before, or comes after we said that it is missing.
    Repeat,
}

/// Users that came and went at one node.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) came: Vec<Name>,
    pub(super) went: Vec<Name>,
}

impl Peer {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            seq: None,
            heard: now,
            version: None,
            users: BTreeSet::new(),
            wanted: false,
            silent: false,
        }
    }

    /// Takes note of the number of a message, or of the number so far in anything else.
    pub(super) fn count(&mut self, seq: u64, message: bool) -> Heard {
        let Some(last) = self.seq else {
            self.seq = Some(seq);
            return Heard::Next;
        };
        let next = last.saturating_add(u64::from(message));
        if seq < next {
            return Heard::Repeat;
        }
        self.seq = Some(seq);
        if seq > next { Heard::Gap } else { Heard::Next }
    }

    /// When it counts as silent, if it was `seen` elsewhere.
    pub(super) fn silent_at(&self, seen: Option<Mono>) -> Mono {
        let last = seen.map_or(self.heard, |seen| seen.max(self.heard));
        last.plus(SILENCE).min(self.heard.plus(LONGEST_SILENCE))
    }

    /// It is silent: its users count as gone.
    pub(super) fn fall_silent(&mut self) -> Moved {
        self.silent = true;
        self.version = None;
        self.wanted = false;
        self.replace(BTreeSet::new())
    }

    /// It says that its list is at `version`.
    pub(super) fn digest(&mut self, version: u64, empty: bool) -> Moved {
        if empty {
            self.settle(version);
            return self.replace(BTreeSet::new());
        }
        if self.version == Some(version) {
            self.wanted = false;
        } else if self.version.is_none_or(|ours| ours < version) {
            self.wanted = true;
        }
        Moved::default()
    }

    /// Its whole list.
    pub(super) fn state(&mut self, version: u64, users: BTreeSet<Name>) -> Moved {
        if self.version.is_some_and(|ours| ours > version) {
            return Moved::default();
        }
        self.settle(version);
        self.replace(users)
    }

    /// What changed from `base` to `version`; at most `cap` users are kept.
    pub(super) fn diff(&mut self, base: u64, version: u64, moved: Moved, cap: usize) -> Moved {
        if self.version != Some(base) {
            self.wanted |= self.version.is_none_or(|ours| ours < version);
            return Moved::default();
        }
        self.settle(version);
        let (mut came, mut went) = (moved.came, moved.went);
        went.retain(|user| self.users.remove(user));
        came.retain(|user| self.users.len() < cap && self.users.insert(user.clone()));
        Moved { came, went }
    }

    fn settle(&mut self, version: u64) {
        self.version = Some(version);
        self.wanted = false;
    }

    fn replace(&mut self, users: BTreeSet<Name>) -> Moved {
        let moved = Moved {
            came: users.difference(&self.users).cloned().collect(),
            went: self.users.difference(&users).cloned().collect(),
        };
        self.users = users;
        moved
    }
}

impl<F: Frame> Announce<F> {
    /// The memory it holds, in bytes as allocated.
    #[must_use]
    pub fn allocated(&self) -> usize {
        let list = |users: &[Name]| -> usize {
            let each = size_of::<Name>() + 2 * size_of::<usize>();
            users.iter().map(|user| each + user.len()).sum()
        };
        let body = match &self.body {
            Body::Message { frame, .. } => frame.allocated(),
            Body::State { users, .. } => list(users),
            Body::Diff { came, went, .. } => list(came) + list(went),
            Body::Digest { .. } | Body::Ask { .. } => 0,
        };
        2 * size_of::<Self>() + body
    }
}
