//! The newest claim of each owner, so that a repeat after a lost reply returns the same jobs. Forgets an owner
//! a day after its last claim: a process that has not asked for a day has given up the reply.

use std::collections::{BTreeMap, BTreeSet};

use tideway_engine::Wall;
use tideway_engine::jobs::call::ClaimReq;
use tideway_engine::jobs::{Id, Owner, later};

/// Newest claims.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Owners {
    pub(super) newest: BTreeMap<Owner, Newest>,
    /// By the last claim.
    pub(super) last: BTreeSet<(Wall, Owner)>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Newest {
    pub(super) seq: u64,
    /// What it claimed, in order.
    pub(super) jobs: Vec<Id>,
    pub(super) at: Wall,
}

/// How a claim stands to the newest of its owner.
pub(super) enum Seq {
    New,
    Same(Vec<Id>),
    Old,
}

impl Owners {
    /// Notes a claim.
    pub(super) fn begin(&mut self, owner: Owner, seq: u64, now: Wall) -> Seq {
        self.forget(now);
        let newest = self.newest.entry(owner).or_insert(Newest {
            seq: 0,
            jobs: Vec::new(),
            at: now,
        });
        self.last.remove(&(newest.at, owner));
        self.last.insert((now, owner));
        newest.at = now;
        if seq < newest.seq {
            Seq::Old
        } else if seq == newest.seq {
            Seq::Same(newest.jobs.clone())
        } else {
            newest.seq = seq;
            Seq::New
        }
    }

    /// What the newest claim of `owner` claimed.
    pub(super) fn claimed(&mut self, owner: Owner, jobs: Vec<Id>) {
        if let Some(newest) = self.newest.get_mut(&owner) {
            newest.jobs = jobs;
        }
    }

    fn forget(&mut self, now: Wall) {
        while let Some((at, owner)) = self.last.first().copied()
            && later(at, ClaimReq::REMEMBERED) <= now
        {
            self.last.pop_first();
            self.newest.remove(&owner);
        }
    }
}
