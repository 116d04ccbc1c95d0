//! One lane: what a claim sees of a band of a queue. It holds every job without a group, and of each group
//! only the head, so that a blocked group is one entry, whatever waits behind it.

use std::collections::BTreeSet;

use tideway_engine::Wall;
use tideway_engine::jobs::{Id, Name};

/// Where a job stands in its lane.
pub(super) type Place = (Wall, Id);

/// The heads of a band of a queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lane {
    /// May be claimed when due: jobs without a group, heads of open groups.
    pub(super) ready: BTreeSet<Place>,
    /// Heads of groups that may not start one now.
    pub(super) blocked: BTreeSet<Place>,
    /// Those of them that time alone lets start, and when.
    pub(super) timed: BTreeSet<(Wall, Name)>,
}

/// How the head of a group stands in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Among the ready.
    Ready(Place),
    /// Among the blocked; with a time, among the timed too.
    Blocked(Place, Option<Wall>),
}

impl Lane {
    pub(super) fn put(&mut self, group: &Name, head: Head) {
        match head {
            Head::Ready(place) => {
                self.ready.insert(place);
            }
            Head::Blocked(place, until) => {
                self.blocked.insert(place);
                self.timed.extend(until.map(|time| (time, group.clone())));
            }
        }
    }

    pub(super) fn take(&mut self, group: &Name, head: Head) {
        match head {
            Head::Ready(place) => {
                self.ready.remove(&place);
            }
            Head::Blocked(place, until) => {
                self.blocked.remove(&place);
                if let Some(time) = until {
                    self.timed.remove(&(time, group.clone()));
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.blocked.is_empty()
    }

    /// The earliest `run_at`, claimable or not.
    pub(super) fn oldest(&self) -> Option<Wall> {
        earlier(first(&self.ready), first(&self.blocked))
    }

    /// When time alone makes something claimable, as far as groups are concerned.
    pub(super) fn next_due(&self) -> Option<Wall> {
        let timed = self.timed.first().map(|(time, _)| *time);
        earlier(first(&self.ready), timed)
    }
}

fn first(places: &BTreeSet<Place>) -> Option<Wall> {
    places.first().map(|(run_at, _)| *run_at)
}

pub(super) fn earlier(a: Option<Wall>, b: Option<Wall>) -> Option<Wall> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
