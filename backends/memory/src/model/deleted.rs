//! The ids of deleted jobs, for as long as every id is known after its end: the enqueue of one whose reply was
//! lost may be repeated until then, and must not insert it again.

use std::collections::{BTreeMap, BTreeSet};

use tideway_engine::Wall;
use tideway_engine::jobs::{Id, Record, forgettable};

/// What is known of deleted jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Deleted {
    /// [`Record::digest`], and until when.
    pub(super) known: BTreeMap<Id, (u64, Wall)>,
    pub(super) until: BTreeSet<(Wall, Id)>,
}

/// Those whose time is over are forgotten this many at a time, so that no call pays for many.
const FORGOTTEN: usize = 8;

impl Deleted {
    /// The digest of the job that was deleted under `id`, if that is to be known still.
    pub(super) fn digest(&self, id: Id, now: Wall) -> Option<u64> {
        let (digest, until) = self.known.get(&id)?;
        (*until > now).then_some(*digest)
    }

    /// Keeps the id of `job`, which is being deleted, if it ended a short time ago.
    pub(super) fn keep(&mut self, job: &Record, now: Wall) {
        self.forget_some(now);
        let id = job.id();
        if let Some(until) = job.known_until().filter(|until| *until > now) {
            if let Some((_, before)) = self.known.insert(id, (job.digest, until)) {
                self.until.remove(&(before, id));
            }
            self.until.insert((until, id));
        }
    }

    fn forget_some(&mut self, now: Wall) {
        let past = forgettable(now);
        for _ in 0..FORGOTTEN {
            if self.until.first().is_none_or(|(until, _)| *until > past) {
                return;
            }
            if let Some((_, id)) = self.until.pop_first() {
                self.known.remove(&id);
            }
        }
    }

    /// Forgets all whose time is over.
    pub(super) fn forget_all(&mut self, now: Wall) {
        let past = forgettable(now);
        while self.until.first().is_some_and(|(until, _)| *until <= past) {
            self.forget_some(now);
        }
    }
}
