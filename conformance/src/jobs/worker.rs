//! An incarnation of a worker, as a case plays it: it counts its claims and keeps its fences.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{Beat, Beaten, ClaimReq, Claimed, Lane, Settle, Settled};
use tideway_engine::jobs::{Event, Failure, Fence, Outcome, Owner, Reason, Record, step};

use super::Cx;
use super::cx::LONG;
use super::fixture::{name, owner};
use crate::suite::claim::fail;

/// A worker of [`Cx::worker`].
pub struct Worker<'a> {
    cx: &'a Cx,
    /// Its incarnation.
    pub owner: Owner,
    seq: AtomicU64,
}

impl<'a> Worker<'a> {
    pub(super) fn new(cx: &'a Cx) -> Self {
        Self {
            cx,
            owner: owner(),
            seq: AtomicU64::new(0),
        }
    }

    /// Its next claim: at most `limit` jobs of `lanes`, under a long lease.
    #[must_use]
    pub fn req(&self, lanes: &[(&str, u8)], limit: u32) -> ClaimReq {
        let lanes = lanes.iter().map(|(queue, band)| {
            let lane = Lane {
                queue: name(queue),
                band: *band,
            };
            (lane, u32::MAX)
        });
        ClaimReq {
            owner: self.owner,
            seq: self.seq.fetch_add(1, Ordering::SeqCst) + 1,
            lanes: lanes.collect(),
            limit,
            max_bytes: usize::MAX,
            lease: LONG,
        }
    }

    /// Claims as [`req`](Worker::req) says.
    pub async fn ask(&self, lanes: &[(&str, u8)], limit: u32) -> Claimed {
        self.cx.claim(&self.req(lanes, limit)).await
    }

    /// Claims from the first band of `queue`.
    pub async fn claim(&self, queue: &str, limit: u32) -> Vec<Record> {
        self.ask(&[(queue, 0)], limit).await.jobs
    }

    /// Claims from the first band of `queue`, under this lease.
    pub async fn lease(&self, queue: &str, limit: u32, lease: Duration) -> Vec<Record> {
        let mut req = self.req(&[(queue, 0)], limit);
        req.lease = lease;
        self.cx.claim(&req).await.jobs
    }

    /// Claims the one job that `queue` has due, suspect or not.
    pub async fn take(&self, queue: &str) -> Record {
        self.take_for(queue, LONG).await
    }

    /// Claims the one job that `queue` has due, suspect or not, under this lease.
    pub async fn take_for(&self, queue: &str, lease: Duration) -> Record {
        let mut req = self.req(&[(queue, 0), (queue, tideway_engine::jobs::SUSPECT)], 2);
        req.lease = lease;
        let mut jobs = self.cx.claim(&req).await.jobs;
        match (jobs.pop(), jobs.len()) {
            (Some(job), 0) => job,
            (got, more) => fail(
                format!("one job of {queue:?} is claimed"),
                format!("{more} and {got:?}"),
                "exactly one is due there",
            ),
        }
    }

    /// Settles `job`, claimed before.
    pub async fn settle(&self, job: &Record, outcome: Outcome) -> Settled {
        self.cx.settle(&[end(job, outcome)]).await[0]
    }

    /// Beats for `job`, claimed before.
    pub async fn beat(&self, job: &Record, lease: Duration) -> Beaten {
        let beat = Beat {
            id: job.id(),
            fence: fence(job),
            progress: None,
        };
        self.cx.heartbeat(&[beat], lease).await[0]
    }

    /// Beats for `job` with a checkpoint.
    pub async fn checkpoint(&self, job: &Record, progress: &'static str) -> Beaten {
        let beat = Beat {
            id: job.id(),
            fence: fence(job),
            progress: Some(Bytes::from_static(progress.as_bytes())),
        };
        self.cx.heartbeat(&[beat], LONG).await[0]
    }
}

/// The lease under which `job` was claimed.
#[must_use]
pub(super) fn fence(job: &Record) -> Fence {
    Fence {
        token: job.token,
        owner: job.owner.unwrap_or(Owner(0)),
    }
}

/// Ends the lease under which `job` was claimed.
#[must_use]
pub(super) fn end(job: &Record, outcome: Outcome) -> Settle {
    Settle::new(job.id(), fence(job), outcome)
}

/// It returned nothing.
#[must_use]
pub(super) fn succeed() -> Outcome {
    Outcome::Succeeded(Bytes::new())
}

/// It failed and is due again after `after`.
#[must_use]
pub(super) fn retry(after: Duration) -> Outcome {
    Outcome::Retry {
        after,
        failure: Failure::new("it failed"),
    }
}

/// It failed for good.
#[must_use]
pub(super) fn die() -> Outcome {
    Outcome::Dead {
        reason: Reason::Fatal,
        failure: Failure::new("it cannot work"),
    }
}

/// It is given back and due at once.
#[must_use]
pub(super) fn release() -> Outcome {
    Outcome::Released {
        after: Duration::ZERO,
        unknown: false,
    }
}

/// Its lease ran out; it is due at once.
#[must_use]
pub(super) fn crash(strike: bool) -> Outcome {
    Outcome::Crashed {
        after: Duration::ZERO,
        strike,
    }
}

/// One outcome of each kind that a worker settles with.
#[must_use]
pub(super) fn outcomes() -> Vec<Outcome> {
    vec![
        Outcome::Succeeded(Bytes::from_static(b"result")),
        retry(Duration::from_secs(30)),
        die(),
        Outcome::Cancelled,
        Outcome::Snoozed(Duration::from_secs(60)),
        Outcome::Released {
            after: Duration::from_secs(1),
            unknown: true,
        },
        Outcome::Abandoned,
    ]
}

/// What [`step`] makes of `job` when `settle` is applied at `now`.
#[must_use]
pub(super) fn stepped(job: &Record, settle: &Settle, now: Wall) -> Record {
    let mut after = job.clone();
    let event = Event::Settle {
        fence: settle.fence,
        outcome: &settle.outcome,
        progress: settle.progress.as_ref(),
    };
    match step(&mut after, &event, now) {
        Ok(_) => after,
        Err(refused) => fail(
            "a case settles what may be settled",
            refused.to_string(),
            "this is a flaw of the suite",
        ),
    }
}

/// `job` without its times, for stores whose clock a test cannot stop.
#[must_use]
pub(super) fn timeless(mut job: Record) -> Record {
    let never = Wall(0);
    job.run_at = never;
    job.lease_until = never;
    job.enqueued_at = never;
    job.started_at = job.started_at.map(|_| never);
    job.ended_at = job.ended_at.map(|_| never);
    for error in &mut job.errors {
        error.at = never;
    }
    job
}
