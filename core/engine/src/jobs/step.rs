//! What may happen to a job: one table of state × event, and the function that applies a row to a
//! record. Stores run this (or the same in their own language); it reads no clock.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::record::{Failure, Reason, Record, State};
use super::spec::later;
use super::{Id, Owner, Start};
use crate::table::transitions;
use crate::time::Wall;

/// The kinds of [`Event`], as the table knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nothing is left to wait for.
    Ready,
    /// A worker takes it under a lease.
    Claim,
    /// Its worker extends the lease.
    Beat,
    /// The handler returned well.
    Succeed,
    /// The attempt failed; there will be another.
    Retry,
    /// The attempt failed; there will be none.
    Die,
    /// It stopped because it was asked to.
    Stop,
    /// The handler put it off.
    Snooze,
    /// Its worker gives it back unstarted.
    Release,
    /// Its worker ends and cannot prove that the handler did.
    Abandon,
    /// An abandoned lease ran out.
    Lapse,
    /// A lease ran out, and nobody had said why.
    Crash,
    /// So it did, once too often.
    Bury,
    /// It is too late to start it.
    Expire,
    /// Someone asks it to stop.
    Cancel,
    /// A newer job takes its unique key.
    Supersede,
    /// A job it waits for failed.
    WaitFailed,
    /// Someone changes its start.
    Reschedule,
    /// Someone runs it again.
    Revive,
}

impl Kind {
    /// How leases end, by their codes. Appended to, never reordered: stores keep them.
    const ENDS: [Self; 10] = [
        Self::Succeed,
        Self::Retry,
        Self::Die,
        Self::Stop,
        Self::Snooze,
        Self::Release,
        Self::Abandon,
        Self::Lapse,
        Self::Crash,
        Self::Bury,
    ];

    /// The number that stores keep for it as the end of a lease; `None` if it ends none.
    #[must_use]
    pub fn code(self) -> Option<u8> {
        let at = Self::ENDS.iter().position(|known| *known == self)?;
        u8::try_from(at).ok()
    }

    /// The end of a lease that has this [`code`](Self::code).
    #[must_use]
    pub fn of(code: u8) -> Option<Self> {
        Self::ENDS.get(usize::from(code)).copied()
    }
}

transitions! {
    /// Every transition of a job. What has no row is refused and changes nothing.
    pub const JOB_TABLE;
    /// Where `on` leads from `from`, or `None` if it is refused.
    pub fn next_state(State, Kind);

    Waiting, Ready => Pending, "everything it waited for has ended";
    Pending, Claim => Running, "token and attempt +1; a lease begins; a unique key held until start is freed";
    Running, Beat => Running, "the lease is extended, progress is kept; also revives a lapsed lease nobody reaped";
    Running, Succeed => Succeeded, "its follow-up jobs are inserted with it; the payload is dropped";
    Running, Retry => Pending, "failures +1, due after the backoff";
    Running, Die => Dead, "no attempt is left, or none can help";
    Running, Stop => Cancelled, "a cancel request overrides a retry";
    Running, Snooze => Pending, "snoozes +1, the attempt is refunded";
    Running, Release => Pending, "the attempt is refunded";
    Running, Abandon => Running, "the handler may still run: nobody starts it before the lease runs out";
    Running, Lapse => Pending, "the attempt is refunded: a stop is no crash";
    Running, Crash => Pending, "crashes +1, a strike if it was alone in its guilt; waits among the suspects";
    Running, Bury => Dead, "the last strike";
    Waiting | Pending, Expire => Dead, "never started too late";
    Waiting | Pending, Cancel => Cancelled, "at once";
    Running, Cancel => Running, "the worker is told at the next beat";
    Pending, Supersede => Cancelled, "replaced by a newer job of its unique key";
    Waiting, WaitFailed => Cancelled, "what it waited for failed";
    Pending, Reschedule => Pending, "due at another time";
    Dead | Cancelled, Revive => Pending, "as if enqueued now: counts, expiry and the time for retries start anew; the token does not";
}

/// The lease an event speaks for. A token alone repeats after a failover that lost a claim, hence the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The token the claim gave.
    pub token: u64,
    /// Who claimed.
    pub owner: Owner,
}

/// How a lease ends: what a worker, or the reaper in a dead worker's place, asks of the store.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The handler returned this.
    Succeeded(Bytes),
    /// It failed and is due again after the delay.
    Retry {
        /// From the store's now.
        after: Duration,
        /// What went wrong.
        failure: Failure,
    },
    /// It failed for good.
    Dead {
        /// Why there is no retry.
        reason: Reason,
        /// What went wrong.
        failure: Failure,
    },
    /// It was asked to stop and did.
    Cancelled,
    /// It put itself off.
    Snoozed(Duration),
    /// Given back, never started.
    Released {
        /// From the store's now.
        after: Duration,
        /// Because the worker does not know the kind: counts in [`Record::returns`].
        unknown: bool,
    },
    /// Its worker ends and cannot prove that the handler did.
    Abandoned,
    /// By the reaper: an abandoned lease ran out.
    Lapsed,
    /// By the reaper: a lease ran out.
    Crashed {
        /// From the store's now.
        after: Duration,
        /// Whether it was this job's own doing.
        strike: bool,
    },
}

/// What happens to a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// Nothing is left to wait for.
    Ready,
    /// A worker takes it.
    Claim {
        /// Who.
        owner: Owner,
        /// The number of its claim call.
        seq: u64,
        /// How long the lease lasts from now.
        lease: Duration,
    },
    /// Its worker says that it lives.
    Beat {
        /// The worker's lease.
        fence: Fence,
        /// How long it lasts from now.
        lease: Duration,
        /// The handler's new checkpoint.
        progress: Option<&'a Bytes>,
    },
    /// Its lease ends.
    Settle {
        /// Which lease.
        fence: Fence,
        /// How.
        outcome: &'a Outcome,
        /// The handler's last checkpoint.
        progress: Option<&'a Bytes>,
    },
    /// It is too late to start it.
    Expire,
    /// Someone asks it to stop.
    Cancel,
    /// This newer job takes its unique key.
    Supersede(Id),
    /// This job it waits for failed.
    WaitFailed(Id),
    /// Someone changes its start.
    Reschedule(Start),
    /// Someone runs it again.
    Revive(Start),
}

/// An event that changes nothing, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The lease it speaks for is not the current one: the job was reaped and claimed again.
    #[error("fenced: another claim holds or held the job since")]
    Fenced,
    /// The lease it speaks for has been settled, and this is how.
    #[error("already settled as {0:?}")]
    Settled(Kind),
    /// The table has no row for it.
    #[error("a {0:?} job takes no {1:?}")]
    State(State, Kind),
    /// It is not due, or its lease has not run out.
    #[error("too early")]
    Early,
}

#[doc = include_str!("step.md")]
///
/// Applies `event` to `job` at `now`, the store's clock. Returns the row that was applied: another
/// than asked where a cancel request overrides a retry, or a strike is the last.
///
/// # Errors
///
/// [`Refused`]; the record is then unchanged.
pub fn step(job: &mut Record, event: &Event<'_>, now: Wall) -> Result<Kind, Refused> {
    if let Event::Beat { fence, .. } | Event::Settle { fence, .. } = event {
        check(job, *fence)?;
    }
    if let Event::Settle {
        outcome: Outcome::Lapsed,
        ..
    } = event
        && !job.abandoned
    {
        return Err(Refused::State(job.state, Kind::Lapse));
    }
    let kind = kind(job, event);
    let to = next_state(job.state, kind).ok_or(Refused::State(job.state, kind))?;
    match event {
        Event::Claim { .. } if job.run_at > now => return Err(Refused::Early),
        // Whatever comes of a charge: the lease may have been extended since it was listed.
        Event::Settle {
            outcome: Outcome::Crashed { .. } | Outcome::Lapsed,
            ..
        } if !job.lapsed(now) => return Err(Refused::Early),
        _ => apply(job, event, kind, now),
    }
    job.state = to;
    if to.ended() {
        job.ended_at = Some(now);
    }
    Ok(kind)
}

/// Whether `fence` is the job's current lease.
fn check(job: &Record, fence: Fence) -> Result<(), Refused> {
    if job.token != fence.token || job.owner != Some(fence.owner) {
        return Err(Refused::Fenced);
    }
    match job.settled {
        Some(kind) if job.state != State::Running => Err(Refused::Settled(kind)),
        _ => Ok(()),
    }
}

fn kind(job: &Record, event: &Event<'_>) -> Kind {
    let outcome = match event {
        Event::Settle { outcome, .. } => *outcome,
        Event::Ready => return Kind::Ready,
        Event::Claim { .. } => return Kind::Claim,
        Event::Beat { .. } => return Kind::Beat,
        Event::Expire => return Kind::Expire,
        Event::Cancel => return Kind::Cancel,
        Event::Supersede(_) => return Kind::Supersede,
        Event::WaitFailed(_) => return Kind::WaitFailed,
        Event::Reschedule(_) => return Kind::Reschedule,
        Event::Revive(_) => return Kind::Revive,
    };
    match outcome {
        Outcome::Succeeded(_) => Kind::Succeed,
        Outcome::Dead { .. } => Kind::Die,
        Outcome::Cancelled => Kind::Stop,
        Outcome::Abandoned => Kind::Abandon,
        // The page the reaper read may be older than the word of the worker.
        Outcome::Crashed { .. } | Outcome::Lapsed if job.abandoned => match job.cancel {
            true => Kind::Stop,
            false => Kind::Lapse,
        },
        Outcome::Crashed { strike: true, .. } if job.struck() >= u32::from(job.spec.strikes) => {
            Kind::Bury
        }
        // A cancel request overrides whatever would put the job back.
        Outcome::Retry { .. }
        | Outcome::Snoozed(_)
        | Outcome::Released { .. }
        | Outcome::Lapsed
        | Outcome::Crashed { .. }
            if job.cancel =>
        {
            Kind::Stop
        }
        Outcome::Retry { .. } => Kind::Retry,
        Outcome::Snoozed(_) => Kind::Snooze,
        Outcome::Released { .. } => Kind::Release,
        Outcome::Lapsed | Outcome::Crashed { .. } => Kind::Crash,
    }
}

impl Record {
    /// Its strikes if it got one more.
    fn struck(&self) -> u32 {
        let before = if self.moved { 0 } else { self.strikes };
        before.saturating_add(1)
    }
}

fn apply(job: &mut Record, event: &Event<'_>, kind: Kind, now: Wall) {
    match event {
        Event::Ready => job.waits.clear(),
        Event::Claim { owner, seq, lease } => {
            job.attempt = job.attempt.saturating_add(1);
            job.token += 1;
            job.owner = Some(*owner);
            job.seq = *seq;
            job.lease = *lease;
            job.lease_until = later(now, *lease);
            job.settled = None;
            job.started_at = Some(now);
        }
        Event::Beat {
            lease, progress, ..
        } => {
            job.lease = *lease;
            job.lease_until = later(now, *lease);
            keep(job, *progress);
        }
        Event::Settle {
            outcome, progress, ..
        } => {
            keep(job, *progress);
            settle(job, outcome, kind, now);
        }
        Event::Expire => job.reason = Some(Reason::Expired),
        Event::Cancel if job.state == State::Running => job.cancel = true,
        Event::Cancel => job.reason = Some(Reason::Asked),
        Event::Supersede(by) => job.reason = Some(Reason::Superseded(*by)),
        Event::WaitFailed(id) => job.reason = Some(Reason::Wait(*id)),
        Event::Reschedule(start) => job.run_at = start.at(now),
        Event::Revive(start) => {
            // What counts from the enqueue would be over at once: the expiry, the time for retries.
            job.enqueued_at = now;
            job.run_at = start.at(now);
            job.reason = None;
            job.ended_at = None;
            job.cancel = false;
            job.abandoned = false;
            job.moved = false;
            job.attempt = 0;
            job.failures = 0;
            job.crashes = 0;
            job.strikes = 0;
            job.snoozes = 0;
            job.returns = 0;
            job.delay = Duration::ZERO;
            job.waits.clear();
        }
    }
}

/// A new checkpoint; the same bytes again are no progress.
fn keep(job: &mut Record, progress: Option<&Bytes>) {
    if let Some(progress) = progress
        && job.progress != *progress
    {
        job.progress = progress.clone();
        job.moved = true;
    }
}

fn settle(job: &mut Record, outcome: &Outcome, kind: Kind, now: Wall) {
    // An abandoned job is settled only when its lease runs out.
    if kind != Kind::Abandon {
        job.settled = Some(kind);
    }
    match outcome {
        Outcome::Succeeded(result) => {
            job.result = result.clone();
            job.payload = Bytes::new();
            job.returns = 0;
        }
        Outcome::Retry { after, failure } => {
            job.failures = job.failures.saturating_add(1);
            job.delay = *after;
            job.returns = 0;
            record(job, failure, now);
            job.run_at = later(now, *after);
        }
        Outcome::Dead { reason, failure } => {
            job.failures = job.failures.saturating_add(1);
            job.reason = Some(*reason);
            record(job, failure, now);
        }
        Outcome::Cancelled => job.reason = Some(Reason::Asked),
        Outcome::Snoozed(after) => {
            job.snoozes = job.snoozes.saturating_add(1);
            job.returns = 0;
            refund(job, now, *after);
        }
        Outcome::Released { after, unknown } => {
            if *unknown {
                job.returns = job.returns.saturating_add(1);
            }
            refund(job, now, *after);
        }
        Outcome::Abandoned => job.abandoned = true,
        Outcome::Lapsed | Outcome::Crashed { .. } if job.abandoned => {
            job.abandoned = false;
            refund(job, now, Duration::ZERO);
        }
        // Nobody said that it was abandoned: refused by `step`.
        Outcome::Lapsed => {}
        Outcome::Crashed { after, strike } => {
            if job.moved {
                job.crashes = 0;
                job.strikes = 0;
                job.moved = false;
            }
            job.crashes = job.crashes.saturating_add(1);
            job.strikes += u32::from(*strike);
            job.run_at = later(now, *after);
            if kind == Kind::Bury {
                job.reason = Some(Reason::Crash);
            }
        }
    }
    if kind == Kind::Stop {
        job.reason = Some(Reason::Asked);
    }
}

fn refund(job: &mut Record, now: Wall, after: Duration) {
    job.attempt = job.attempt.saturating_sub(1);
    job.run_at = later(now, after);
}

fn record(job: &mut Record, failure: &Failure, now: Wall) {
    if job.errors.len() >= Record::MAX_ERRORS {
        job.errors.remove(0);
    }
    job.errors.push(Failure {
        attempt: job.attempt,
        at: now,
        text: failure.text.clone(),
    });
}
