//! The deadlines of all topics of a shard: at most one of a kind for each topic, the next one by a table of
//! names.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Mono;
use crate::timers::Timers;

/// What a topic waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// To say where it is.
    Digest,
    /// To say who came and went.
    Changes,
    /// For other nodes to fall silent.
    Silence,
    /// For the subscription, on behalf of members who join.
    Join,
    /// To be forgotten.
    Linger,
    /// To ask other nodes for their lists again.
    Ask,
    /// To subscribe again, all topics together.
    Resume,
}

const KINDS: [Due; 7] = [
    Due::Digest,
    Due::Changes,
    Due::Silence,
    Due::Join,
    Due::Linger,
    Due::Ask,
    Due::Resume,
];

static NAMES: [&str; 7] = [
    "digest",
    "presence changes",
    "silent nodes",
    "join",
    "linger",
    "ask again",
    "subscribe again",
];

#[derive(Debug)]
pub(super) struct Alarms {
    timers: Timers<7>,
    order: [BTreeSet<(Mono, u32)>; 7],
    at: BTreeMap<(u32, Due), Mono>,
}

impl Alarms {
    pub(super) fn new() -> Self {
        Self {
            timers: Timers::new(&NAMES),
            order: Default::default(),
            at: BTreeMap::new(),
        }
    }

    /// Sets a deadline, or moves it.
    pub(super) fn set(&mut self, due: Due, topic: u32, at: Mono) {
        if let Some(old) = self.at.insert((topic, due), at) {
            self.order[due as usize].remove(&(old, topic));
        }
        self.order[due as usize].insert((at, topic));
        self.refresh(due);
    }

    /// Sets a deadline unless one runs.
    pub(super) fn set_once(&mut self, due: Due, topic: u32, at: Mono) {
        if !self.is_set(due, topic) {
            self.set(due, topic, at);
        }
    }

    pub(super) fn is_set(&self, due: Due, topic: u32) -> bool {
        self.at.contains_key(&(topic, due))
    }

    pub(super) fn clear(&mut self, due: Due, topic: u32) {
        if let Some(old) = self.at.remove(&(topic, due)) {
            self.order[due as usize].remove(&(old, topic));
            self.refresh(due);
        }
    }

    pub(super) fn clear_topic(&mut self, topic: u32) {
        for due in KINDS {
            self.clear(due, topic);
        }
    }

    /// A deadline that is due at `now`, which it stops.
    pub(super) fn expired(&mut self, now: Mono) -> Option<(Due, u32)> {
        let due = KINDS[self.timers.expired(now)?];
        let (_, topic) = self.order[due as usize].pop_first()?;
        self.at.remove(&(topic, due));
        self.refresh(due);
        Some((due, topic))
    }

    pub(super) fn next(&self) -> Option<(Mono, &'static str)> {
        self.timers.next_named()
    }

    fn refresh(&mut self, due: Due) {
        match self.order[due as usize].first() {
            Some((at, _)) => self.timers.set(due as usize, *at),
            None => self.timers.clear(due as usize),
        }
    }
}
