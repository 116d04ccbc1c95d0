//! The port a job store implements. Nothing here knows a database, a clock or a runtime.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{
    AuditReport, Beat, Beaten, Caps, ClaimReq, Claimed, Control, ControlOut, CronCas, CronOut,
    Cursor, Enqueued, Expired, Filter, Page, Settle, Settled, Stats, Wake,
};
use tideway_engine::jobs::{Id, Name, NewJob, Owner, Record};

use crate::BoxFuture;

/// A store of jobs: it keeps records and enforces five rules atomically; everything else is policy of
/// the core, the same over every store.
///
/// 1. **Fence**: a settle or beat applies only to the current lease, named by (id, token, owner).
/// 2. **Claim**: only due jobs of queues that are not paused, within `limit` and `max_bytes`; a repeat of
///    the owner's newest `seq` returns the same jobs and claims nothing more, an older one nothing.
/// 3. **Unique hold**: taken at enqueue and again at a revival, from which a hold by time then counts; freed at the first
///    claim, at the end or by time; at most one job in the hold set per queue and key.
/// 4. A **cancel** request overrides a retry.
/// 5. **Limits** of queues and groups hold within the claim.
///
/// [`step`](tideway_engine::jobs::step) is these rules for one record, in Rust; a store may call it between
/// reading and writing a record, or say the same in its own language. Every call takes a batch and is idempotent: the
/// caller repeats it after [`StoreError::Transient`] or [`StoreError::Ambiguous`]. A claim happens at one moment between
/// request and reply, and so does each item of any other call, with all that follows from it; the items of a batch may
/// do so one after the other. One bad item never changes what becomes of its neighbours. The store's own
/// clock decides what is due. Calls with a default body belong to what `caps` declares; leave them out if it does
/// not. `tideway_conformance::job_store_suite!` checks all of it.
///
/// Two exceptions are for a store that documents them and declares them to the suite, by a method of its `Harness`:
///
/// - `looks_before_it_takes`: a claim may have looked at its lanes before the moment at which it takes.
/// - `sends_follow_ups_by_prune`: what an item brings to *another* queue (jobs that come with a settle or a cron slot,
///   the end of waiting) may follow after it; with the next `prune`, if the caller died in between.
pub trait JobStore: Send + Sync + 'static {
    /// What it can do and what it promises.
    fn caps(&self) -> Caps;

    /// Inserts `jobs`, in order; one outcome each. An id is known from [`Enqueued::Inserted`] until a minute after
    /// the job's end at least, deleted or not; one that met [`Enqueued::UniqueHit`] is not.
    fn enqueue(
        &self,
        jobs: &[NewJob],
    ) -> impl Future<Output = Result<Vec<Enqueued>, StoreError>> + Send;

    /// Leases due jobs to the owner. A lane may be asked more than once in a call.
    fn claim(&self, req: &ClaimReq) -> impl Future<Output = Result<Claimed, StoreError>> + Send;

    /// Ends leases; one outcome each. Jobs that wait for those that ended become pending or cancelled.
    fn settle(
        &self,
        settles: &[Settle],
    ) -> impl Future<Output = Result<Vec<Settled>, StoreError>> + Send;

    /// Extends leases to `lease` from now; one outcome each. Also revives a lapsed lease nobody reaped.
    fn heartbeat(
        &self,
        beats: &[Beat],
        lease: Duration,
    ) -> impl Future<Output = Result<Vec<Beaten>, StoreError>> + Send;

    /// Leases that have run out, by id.
    fn expired(
        &self,
        after: &Cursor,
        limit: u32,
    ) -> impl Future<Output = Result<Page<Expired>, StoreError>> + Send;

    /// Moves a cron cell and inserts the jobs, if the cell is as the caller last saw it.
    fn cron_cas(&self, cas: &CronCas) -> impl Future<Output = Result<CronOut, StoreError>> + Send {
        let _ = cas;
        async { Err(StoreError::Unsupported("cron")) }
    }

    /// The cell of a cron entry.
    fn cron_cell(&self, key: &Name) -> impl Future<Output = Result<CronOut, StoreError>> + Send {
        let _ = key;
        async { Err(StoreError::Unsupported("cron")) }
    }

    /// Does what a person or program asks.
    fn control(
        &self,
        control: &Control,
    ) -> impl Future<Output = Result<ControlOut, StoreError>> + Send;

    /// One page of the jobs that match, by id: at most `limit` of them (0 counts as 1). A store may look at so many
    /// records only, so a page may be short, or empty, and not the last: its `next` says.
    fn list(
        &self,
        filter: &Filter,
        after: &Cursor,
        limit: u32,
    ) -> impl Future<Output = Result<Page<Record>, StoreError>> + Send {
        let _ = (filter, after, limit);
        async { Err(StoreError::Unsupported("list")) }
    }

    /// Ends waiting and pending jobs that have expired, then forgets ended ones whose retention is over; at most
    /// `limit` together, and how many there were. What else time has ended (holds, ids of deleted jobs, rates) may go
    /// as well, uncounted, and what callers that died left to be done is done.
    fn prune(&self, limit: u32) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The numbers of every queue.
    fn stats(&self) -> impl Future<Output = Result<Stats, StoreError>> + Send;

    /// The records of `ids`, in order; `None` for one there is not.
    fn jobs(
        &self,
        ids: &[Id],
    ) -> impl Future<Output = Result<Vec<Option<Record>>, StoreError>> + Send;

    /// Checks its own structure: every index agrees with the records. For tests and operators; may be
    /// slow.
    fn audit(&self) -> impl Future<Output = Result<AuditReport, StoreError>> + Send;

    /// Hints that something may be worth a look; may end, drop, repeat and reorder them. They follow every way
    /// into a lane ([`Wake::Queue`] lists them), whether or not it was empty: a worker that saw it empty may be about
    /// to sleep. Those for `owner` include cancel requests of its running jobs.
    fn wakeups(&self, owner: Owner) -> Pin<Box<dyn Stream<Item = Wake> + Send>> {
        let _ = owner;
        Box::pin(futures_util::stream::empty())
    }
}

/// Why a store did not answer. What a call did to each job is no error but an outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing was changed; the same call may work in a moment: a lock, a full pool, a restart.
    #[error("the job store is not available at the moment: {0}")]
    Transient(Box<str>),
    /// The reply was lost: it may or may not have been done. The same call again tells.
    #[error("the job store did not answer, the call may have been done: {0}")]
    Ambiguous(Box<str>),
    /// No repeat will help: a full disk, a wrong password, a newer schema.
    #[error("the job store refuses: {0}")]
    Fatal(Box<str>),
    /// The store declares that it cannot do this.
    #[error("this job store does not support {0}: see its `caps`")]
    Unsupported(&'static str),
}

/// The clock a store reads where it has none of its own. A database uses its server's.
pub type StoreClock = Arc<dyn Fn() -> Wall + Send + Sync>;

/// A [`JobStore`] behind a pointer: what an application holds, so that its type names no backend.
#[derive(Clone)]
pub struct DynJobStore(Arc<dyn Erased>);

impl DynJobStore {
    /// Erases the type of `store`.
    #[must_use]
    pub fn new(store: impl JobStore) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for DynJobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynJobStore({:?})", self.0.caps())
    }
}

/// Writes the object-safe twin of the port, its implementation for every store, and the way back.
macro_rules! erase {
    ($($name:ident($($arg:ident: $(ref($by:ty))? $(val($ty:ty))?),*) -> $out:ty;)+) => {
        trait Erased: Send + Sync {
            fn caps(&self) -> Caps;
            fn wakeups(&self, owner: Owner) -> Pin<Box<dyn Stream<Item = Wake> + Send>>;
            $(fn $name<'a>(&'a self, $($arg: $(&'a $by)? $($ty)?),*) -> BoxFuture<'a, Result<$out, StoreError>>;)+
        }

        impl<S: JobStore> Erased for S {
            fn caps(&self) -> Caps {
                JobStore::caps(self)
            }

            fn wakeups(&self, owner: Owner) -> Pin<Box<dyn Stream<Item = Wake> + Send>> {
                JobStore::wakeups(self, owner)
            }

            $(fn $name<'a>(&'a self, $($arg: $(&'a $by)? $($ty)?),*) -> BoxFuture<'a, Result<$out, StoreError>> {
                Box::pin(JobStore::$name(self, $($arg),*))
            })+
        }

        impl JobStore for DynJobStore {
            fn caps(&self) -> Caps {
                self.0.caps()
            }

            fn wakeups(&self, owner: Owner) -> Pin<Box<dyn Stream<Item = Wake> + Send>> {
                self.0.wakeups(owner)
            }

            $(async fn $name(&self, $($arg: $(& $by)? $($ty)?),*) -> Result<$out, StoreError> {
                self.0.$name($($arg),*).await
            })+
        }
    };
}

erase! {
    enqueue(jobs: ref([NewJob])) -> Vec<Enqueued>;
    claim(req: ref(ClaimReq)) -> Claimed;
    settle(settles: ref([Settle])) -> Vec<Settled>;
    heartbeat(beats: ref([Beat]), lease: val(Duration)) -> Vec<Beaten>;
    expired(after: ref(Cursor), limit: val(u32)) -> Page<Expired>;
    cron_cas(cas: ref(CronCas)) -> CronOut;
    cron_cell(key: ref(Name)) -> CronOut;
    control(control: ref(Control)) -> ControlOut;
    list(filter: ref(Filter), after: ref(Cursor), limit: val(u32)) -> Page<Record>;
    prune(limit: val(u32)) -> u64;
    stats() -> Stats;
    jobs(ids: ref([Id])) -> Vec<Option<Record>>;
    audit() -> AuditReport;
}
