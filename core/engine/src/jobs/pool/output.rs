//! What goes into a pool and what comes out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::call::{
    Beat, Beaten, ClaimReq, Claimed, CronCas, CronOut, Cursor, Expired, Page, Settle, Settled, Wake,
};
use super::super::{Id, Name, Record};
use super::end::End;

/// One handler of a pool, from [`Output::Start`] to its end. The job's token would not do: a store that lost its
/// last writes gives a token again, while the handler that had it first may still block its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// Whose handler it is.
    pub id: Id,
    pub(super) serial: u64,
}

/// What a pool is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The time alone.
    Tick,
    /// The answer to [`Output::Claim`].
    Claimed(Claimed),
    /// The answer to [`Output::Settle`].
    Settled(Vec<Settled>),
    /// The answer to [`Output::Beat`].
    Beaten(Vec<Beaten>),
    /// The answer to [`Output::Expired`].
    Expired(Page<Expired>),
    /// The answer to [`Output::CronCell`] or [`Output::CronCas`] of this key.
    Cron(Name, CronOut),
    /// The answer to [`Output::Prune`].
    Pruned(u64),
    /// The store did not answer this call, for this reason.
    Failed(Call, String),
    /// A handler ended.
    Ended {
        /// Which.
        run: Run,
        /// How.
        end: End,
    },
    /// A handler was dropped after [`Output::Abort`]: it is proved stopped.
    Dropped {
        /// Which.
        run: Run,
    },
    /// A handler's checkpoint.
    Checkpoint {
        /// Which.
        run: Run,
        /// What to keep.
        progress: Bytes,
    },
    /// A hint of the store.
    Wake(Wake),
    /// Begin to stop.
    Stop,
    /// Stop as if the hard deadline had passed.
    Force,
}

/// What a pool asks for.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "moved once from the queue to the driver; a box would be an allocation per job"
)]
pub enum Output {
    /// Call the store's `claim`.
    Claim(Arc<ClaimReq>),
    /// Call its `settle`.
    Settle(Arc<Vec<Settle>>),
    /// Call its `heartbeat`, for leases this long.
    Beat(Arc<Vec<Beat>>, Duration),
    /// Call its `expired`, for a page this long.
    Expired(Cursor, u32),
    /// Call its `cron_cell`.
    CronCell(Name),
    /// Call its `cron_cas`.
    CronCas(Arc<CronCas>),
    /// Call its `prune`, for this many.
    Prune(u32),
    /// Start the handler of this job; the word on it names this run.
    Start(Run, Record),
    /// Ask a handler to stop.
    Cancel(Id),
    /// Drop a handler, and say [`Input::Dropped`] when it is gone.
    Abort(Id),
    /// Worth a log line or a metric.
    Note(Note),
    /// It has stopped: nothing of it runs, and the store knows.
    Stopped(PoolReport),
}

/// A kind of store call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `claim`.
    Claim,
    /// `settle`.
    Settle,
    /// `heartbeat`.
    Beat,
    /// `expired`.
    Expired,
    /// `prune`.
    Prune,
    /// `cron_cell` or `cron_cas` of this key.
    Cron(Name),
}

/// What operators want to know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// A store call failed and is sent again.
    CallFailed {
        /// Which.
        call: Call,
        /// Why.
        error: String,
        /// After this.
        wait: Duration,
        /// How often in a row.
        failures: u32,
    },
    /// A lease was lost while the handler ran; it is being stopped, its result will not count.
    LeaseLost(Id),
    /// A handler cannot be stopped; its slot is lost until it ends.
    Leaked(Id),
    /// A lease of another worker ran out and was charged.
    Reaped {
        /// Whose.
        id: Id,
        /// Whether it counts as the job's own doing.
        strike: bool,
    },
    /// A job's kind is not registered here; it is given back for this long.
    Unknown(Id, Duration),
    /// A finish came too late: another claim holds or held the job.
    Fenced(Id),
    /// A cron entry does not fire, and why.
    Cron(Name, String),
}

/// What a stopped pool did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolReport {
    /// Handlers started.
    pub started: u64,
    /// Leases settled by their own doing.
    pub settled: u64,
    /// Jobs given back at the stop, proved stopped.
    pub released: u64,
    /// Jobs left to their leases at the stop: not proved stopped, or the store did not answer.
    pub abandoned: u64,
}
