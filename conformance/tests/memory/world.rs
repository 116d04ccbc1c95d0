//! A model, a time, and short ways to ask. Checks the structure after every scenario.

use std::time::Duration;

use tideway_engine::Wall;
use tideway_engine::jobs::call::{
    Beat, Beaten, ClaimReq, Claimed, Control, ControlOut, Enqueued, Expired, Limit, Scope, Select,
    Settled,
};
use tideway_engine::jobs::{Failure, NewJob, Outcome, Owner, Record, State, Unique};
use tideway_memory::Model;

pub(crate) use crate::short::*;

pub(crate) const A: Owner = Owner(0xa);
pub(crate) const B: Owner = Owner(0xb);

pub(crate) fn grouped(n: u128, group: &str) -> NewJob {
    job(n, |spec| spec.group = Some(name(group)))
}

pub(crate) fn unique(n: u128, unique: Unique) -> NewJob {
    job(n, |spec| spec.unique = Some(unique))
}

pub(crate) fn waiting(n: u128, waits: &[u128]) -> NewJob {
    job(n, |spec| {
        spec.waits = waits.iter().map(|n| id(*n)).collect();
    })
}

pub(crate) fn retry(after: u64) -> Outcome {
    Outcome::Retry {
        after: ms(after),
        failure: Failure::new("no luck"),
    }
}

pub(crate) fn dead() -> Outcome {
    Outcome::Dead {
        reason: tideway_engine::jobs::Reason::Fatal,
        failure: Failure::new("no hope"),
    }
}

pub(crate) fn crashed() -> Outcome {
    Outcome::Crashed {
        after: Duration::ZERO,
        strike: false,
    }
}

pub(crate) fn ids(jobs: &[Record]) -> Vec<u128> {
    jobs.iter().map(|job| job.id().as_u128()).collect()
}

pub(crate) struct World {
    pub(crate) model: Model,
    /// Milliseconds.
    pub(crate) now: i64,
    seq: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            model: Model::new(),
            now: 1_000_000,
            seq: 0,
        }
    }

    pub(crate) fn wall(&self) -> Wall {
        Wall(self.now)
    }

    pub(crate) fn enqueue(&mut self, jobs: &[NewJob]) -> Vec<Enqueued> {
        self.model.enqueue(jobs, Wall(self.now))
    }

    pub(crate) fn request(&mut self, owner: Owner, limit: u32) -> ClaimReq {
        self.seq += 1;
        ClaimReq {
            owner,
            seq: self.seq,
            lanes: vec![(lane(0), limit)],
            limit,
            max_bytes: 1 << 20,
            lease: LEASE,
        }
    }

    pub(crate) fn ask(&mut self, req: &ClaimReq) -> Claimed {
        self.model.claim(req, Wall(self.now))
    }

    /// At most `limit` jobs of band 0 for `owner`.
    pub(crate) fn claim(&mut self, owner: Owner, limit: u32) -> Vec<Record> {
        let req = self.request(owner, limit);
        self.ask(&req).jobs
    }

    pub(crate) fn settle(&mut self, job: &Record, outcome: Outcome) -> Settled {
        let one = settle_of(job, outcome);
        self.model.settle(&[one], Wall(self.now))[0]
    }

    pub(crate) fn beat(&mut self, job: &Record) -> Beaten {
        let beat = Beat {
            id: job.id(),
            fence: fence(job),
            progress: None,
        };
        self.model.heartbeat(&[beat], LEASE, Wall(self.now))[0]
    }

    pub(crate) fn control(&mut self, control: Control) -> ControlOut {
        self.model.control(&control, Wall(self.now))
    }

    pub(crate) fn cancel(&mut self, n: u128) -> ControlOut {
        self.control(Control::Cancel(Select::Ids(vec![id(n)])))
    }

    pub(crate) fn limit(&mut self, scope: Scope, running: Option<u32>, rate: Option<(u32, u64)>) {
        let rate = rate.map(|(n, window)| (n, ms(window)));
        self.control(Control::Limit(scope, Limit { running, rate }));
    }

    pub(crate) fn expired(&self) -> Vec<Expired> {
        let all = self.model.expired(&Default::default(), 100, Wall(self.now));
        all.items
    }

    pub(crate) fn prune(&mut self) -> u64 {
        self.model.prune(100, Wall(self.now))
    }

    pub(crate) fn state(&self, n: u128) -> Option<State> {
        self.model.job(id(n)).map(|job| job.state)
    }

    pub(crate) fn job(&self, n: u128) -> &Record {
        self.model.job(id(n)).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let none: Vec<String> = Vec::new();
            assert_eq!(self.model.audit().flaws, none, "the structure is flawed");
        }
    }
}
