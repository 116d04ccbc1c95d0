//! The store: a [`Model`] shared by the workers of one process. Its futures never wait; a call holds a mutex
//! for as long as the model takes.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_core::Stream;
use tideway::jobs::{JobStore, StoreClock, StoreError};
use tideway_engine::Wall;
use tideway_engine::jobs::call::{
    AuditReport, Beat, Beaten, Caps, ClaimReq, Claimed, Control, ControlOut, CronCas, CronOut,
    Cursor, Durability, Enqueued, Expired, Filter, Page, Settle, Settled, Stats, Wake,
};
use tideway_engine::jobs::{Id, Name, NewJob, Owner, Record};

use crate::model::Model;
use tideway::jobs::hints::Wakes;

/// Jobs in the memory of this process. A clone shares them.
///
/// [`Memory::default`] reads the system's clock. All calls succeed, except that an enqueue into a full
/// store ([`Memory::max_jobs`]) is refused as [`StoreError::Transient`].
///
/// ```
/// # use std::future::Future;
/// # use std::task::{Context, Poll, Waker};
/// use std::sync::Arc;
/// use tideway::jobs::JobStore;
/// use tideway_engine::Wall;
/// use tideway_memory::Memory;
///
/// let store = Memory::new(Arc::new(|| Wall(1_000)));
/// # let stats = std::pin::pin!(store.stats()).poll(&mut Context::from_waker(Waker::noop()));
/// # let Poll::Ready(Ok(stats)) = stats else { unreachable!() };
/// // let stats = store.stats().await?;
/// assert_eq!(stats.now, Wall(1_000));
/// ```
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

struct Shared {
    model: Mutex<Model>,
    clock: StoreClock,
    max_jobs: usize,
    wakes: Wakes,
}

impl Memory {
    /// The most records a store keeps unless told otherwise: some gigabytes with small payloads.
    pub const MAX_JOBS: usize = 4_000_000;
    /// The largest payload it declares, in bytes.
    pub const MAX_PAYLOAD: usize = 1 << 20;
    /// The largest batch it declares: more would hold other callers up for over a millisecond.
    pub const MAX_BATCH: u32 = 1000;

    /// An empty store that reads `clock`.
    #[must_use]
    pub fn new(clock: StoreClock) -> Self {
        Self::max_jobs(clock, Self::MAX_JOBS)
    }

    /// As [`new`](Self::new), refusing to enqueue when there would be more than `max_jobs` records, ended
    /// ones that are not yet pruned included. Follow-up and cron jobs are never refused.
    #[must_use]
    pub fn max_jobs(clock: StoreClock, max_jobs: usize) -> Self {
        Self(Arc::new(Shared {
            model: Mutex::default(),
            clock,
            max_jobs,
            wakes: Wakes::default(),
        }))
    }

    /// A copy of all it holds, to look at or to compare.
    ///
    /// # Errors
    ///
    /// As every call of a store in which one panicked: [`StoreError::Fatal`].
    pub fn snapshot(&self) -> Result<Model, StoreError> {
        self.call(|model, _| model.clone())
    }

    /// Runs one call at the store's time, then sends its hints.
    fn call<T>(&self, call: impl FnOnce(&mut Model, Wall) -> T) -> Result<T, StoreError> {
        self.try_call(|model, now| Ok(call(model, now)))
    }

    fn try_call<T>(
        &self,
        call: impl FnOnce(&mut Model, Wall) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let shared = &*self.0;
        let mut model = shared.model.lock().map_err(|_| {
            StoreError::Fatal(
                "a call panicked half-way: report it, and restart to begin with an empty store"
                    .into(),
            )
        })?;
        // Read under the lock, so that calls see times in the order in which they happen.
        let out = call(&mut model, (shared.clock)());
        let hints = model.take_hints();
        drop(model);
        shared.wakes.send(&hints);
        out
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Arc::new(system_clock))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory(..)")
    }
}

fn system_clock() -> Wall {
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    Wall(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    })
}

impl JobStore for Memory {
    fn caps(&self) -> Caps {
        Caps {
            durability: Durability::Memory,
            unique: true,
            cron: true,
            limits: true,
            waits: true,
            list: true,
            wakeups: true,
            max_batch: Self::MAX_BATCH,
            max_payload: Self::MAX_PAYLOAD,
        }
    }

    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        let max = self.0.max_jobs;
        self.try_call(|model, now| {
            if model.len().saturating_add(jobs.len()) > max {
                return Err(StoreError::Transient(
                    format!(
                        "it has {} of at most {max} jobs: prune, or give it more",
                        model.len()
                    )
                    .into(),
                ));
            }
            Ok(model.enqueue(jobs, now))
        })
    }

    async fn claim(&self, req: &ClaimReq) -> Result<Claimed, StoreError> {
        self.call(|model, now| model.claim(req, now))
    }

    async fn settle(&self, settles: &[Settle]) -> Result<Vec<Settled>, StoreError> {
        self.call(|model, now| model.settle(settles, now))
    }

    async fn heartbeat(&self, beats: &[Beat], lease: Duration) -> Result<Vec<Beaten>, StoreError> {
        self.call(|model, now| model.heartbeat(beats, lease, now))
    }

    async fn expired(&self, after: &Cursor, limit: u32) -> Result<Page<Expired>, StoreError> {
        self.call(|model, now| model.expired(after, limit, now))
    }

    async fn cron_cas(&self, cas: &CronCas) -> Result<CronOut, StoreError> {
        self.call(|model, now| model.cron_cas(cas, now))
    }

    async fn cron_cell(&self, key: &Name) -> Result<CronOut, StoreError> {
        self.call(|model, now| model.cron_cell(key, now))
    }

    async fn control(&self, control: &Control) -> Result<ControlOut, StoreError> {
        self.call(|model, now| model.control(control, now))
    }

    async fn list(
        &self,
        filter: &Filter,
        after: &Cursor,
        limit: u32,
    ) -> Result<Page<Record>, StoreError> {
        self.call(|model, now| model.list(filter, after, limit, now))
    }

    async fn prune(&self, limit: u32) -> Result<u64, StoreError> {
        self.call(|model, now| model.prune(limit, now))
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.call(|model, now| model.stats(now))
    }

    async fn jobs(&self, ids: &[Id]) -> Result<Vec<Option<Record>>, StoreError> {
        self.call(|model, _| model.jobs(ids))
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        self.call(|model, _| model.audit())
    }

    fn wakeups(&self, owner: Owner) -> Pin<Box<dyn Stream<Item = Wake> + Send>> {
        Box::pin(self.0.wakes.subscribe(owner))
    }
}
