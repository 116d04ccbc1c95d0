//! Short ways to say what tests of every store say: jobs by number, requests, ends.
#![allow(
    dead_code,
    reason = "each test program that shares this file uses a part of it"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tideway_engine::jobs::call::{ClaimReq, Lane, Settle};
use tideway_engine::jobs::{Fence, Id, Name, NewJob, Outcome, Owner, Record, Spec, Start};

pub(crate) const LEASE: Duration = Duration::from_secs(30);

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn id(n: u128) -> Id {
    Id::from_u128(n)
}

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn lane(band: u8) -> Lane {
    let queue = name("mail");
    Lane { queue, band }
}

/// Job `n` of the queue `mail`, changed by `edit`.
pub(crate) fn job(n: u128, edit: impl FnOnce(&mut Spec)) -> NewJob {
    let mut spec = Spec::new(id(n), name("mail"), name("send"));
    edit(&mut spec);
    NewJob {
        spec: Arc::new(spec),
        payload: Bytes::from(format!("payload {n}")),
        start: Start::Now,
    }
}

pub(crate) fn plain(n: u128) -> NewJob {
    job(n, |_| {})
}

pub(crate) fn request(owner: u128, seq: u64, limit: u32) -> ClaimReq {
    ClaimReq {
        owner: Owner(owner),
        seq,
        lanes: vec![(lane(0), limit)],
        limit,
        max_bytes: 1 << 20,
        lease: LEASE,
    }
}

pub(crate) fn fence(job: &Record) -> Fence {
    Fence {
        token: job.token,
        owner: job.owner.unwrap_or(Owner(0)),
    }
}

pub(crate) fn settle_of(job: &Record, outcome: Outcome) -> Settle {
    Settle::new(job.id(), fence(job), outcome)
}

pub(crate) fn done() -> Outcome {
    Outcome::Succeeded(Bytes::from_static(b"done"))
}

pub(crate) fn success(job: &Record) -> Settle {
    settle_of(job, done())
}
