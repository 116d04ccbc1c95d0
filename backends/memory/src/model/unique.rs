//! The hold set: which job has which unique key of a queue. A key is taken at enqueue or revival alone.

use std::collections::{BTreeMap, BTreeSet};

use tideway_engine::Wall;
use tideway_engine::jobs::{Hold, Id, Kind, Name, Record, Unique, forgettable};

type Key = (Name, Name);

/// Held keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Holds {
    /// By queue and key.
    pub(super) held: BTreeMap<Key, Held>,
    /// Those held by time, by their end.
    pub(super) until: BTreeSet<(Wall, Key)>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) by: Id,
    /// When it is freed, if by time.
    pub(super) until: Option<Wall>,
}

/// Holds that ended by time are forgotten this many at a time, so that no call pays for many.
const FREED: usize = 8;

impl Holds {
    /// Who holds the key at `now`.
    pub(super) fn holder(&self, queue: &Name, key: &Name, now: Wall) -> Option<Id> {
        let held = self.held.get(&(queue.clone(), key.clone()))?;
        let over = held.until.is_some_and(|until| until <= now);
        (!over).then_some(held.by)
    }

    /// Gives the key to `job`, from `now`.
    pub(super) fn take(&mut self, job: &Record, unique: &Unique, now: Wall) {
        self.free_some(now);
        let key = (job.spec.queue.clone(), unique.key.clone());
        let until = unique.hold.until(now);
        let held = Held {
            by: job.id(),
            until,
        };
        if let Some(Held {
            until: Some(until), ..
        }) = self.held.insert(key.clone(), held)
        {
            self.until.remove(&(until, key.clone()));
        }
        self.until.extend(until.map(|until| (until, key)));
    }

    /// After a row was applied to `job`: frees what it held until then.
    pub(super) fn after(&mut self, job: &Record, kind: Kind) {
        let Some(unique) = &job.spec.unique else {
            return;
        };
        let over = Hold::ends(kind, job.state).is_some_and(|code| unique.hold.code() <= code);
        let key = (job.spec.queue.clone(), unique.key.clone());
        if over && self.held.get(&key).is_some_and(|held| held.by == job.id()) {
            self.held.remove(&key);
        }
    }

    /// Forgets some holds that ended by time.
    fn free_some(&mut self, now: Wall) {
        let past = forgettable(now);
        for _ in 0..FREED {
            if self.until.first().is_none_or(|(until, _)| *until > past) {
                return;
            }
            if let Some((_, key)) = self.until.pop_first() {
                self.held.remove(&key);
            }
        }
    }

    /// Forgets all holds that ended by time.
    pub(super) fn free_all(&mut self, now: Wall) {
        let past = forgettable(now);
        while self.until.first().is_some_and(|(until, _)| *until <= past) {
            self.free_some(now);
        }
    }
}
