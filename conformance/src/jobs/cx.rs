//! What a case works with: the store, repeated calls as every client makes them, and time.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tideway::jobs::{DynJobStore, JobStore, StoreError};
use tideway_engine::Wall;
use tideway_engine::jobs::call::{
    Beat, Beaten, Caps, ClaimReq, Claimed, Control, ControlOut, CronCas, CronOut, Cursor, Enqueued,
    Expired, Filter, Left, Page, Select, Settle, Settled,
};
use tideway_engine::jobs::{Id, Name, NewJob, Record};

use super::harness::{Erased, OpenError};
use super::victim::{self, Said};
use super::wait::{latch, sleep};
use super::{TestClock, Worker};
use crate::suite::claim::{fail, same};

/// A lease that no case outlives.
pub(super) const LONG: Duration = Duration::from_secs(120);

/// How long a client repeats a call that the store was not there for.
const PATIENCE: Duration = Duration::from_secs(10);

/// One case's view of the store; clones share it.
#[derive(Clone)]
pub struct Cx {
    harness: Arc<dyn Erased>,
    store: Arc<Mutex<Option<DynJobStore>>>,
    caps: Caps,
    clock: Option<TestClock>,
    /// The name of the case's test in this program.
    test: Option<String>,
}

impl Cx {
    pub(super) async fn open(
        harness: Arc<dyn Erased>,
        test: Option<String>,
    ) -> Result<Self, OpenError> {
        let store = harness.open().await?;
        Ok(Self::of(harness, store, test))
    }

    /// As a second process: the store of this namespace.
    pub(super) async fn attach(
        harness: Arc<dyn Erased>,
        namespace: &str,
    ) -> Result<Self, OpenError> {
        let store = harness.open_at(namespace).await?;
        Ok(Self::of(harness, store, None))
    }

    fn of(harness: Arc<dyn Erased>, store: DynJobStore, test: Option<String>) -> Self {
        Self {
            caps: store.caps(),
            clock: harness.clock(),
            harness,
            store: Arc::new(Mutex::new(Some(store))),
            test,
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> DynJobStore {
        match &*self.slot() {
            Some(store) => store.clone(),
            None => fail(
                "an open store",
                "it was closed and did not open again",
                "the case has nothing to test",
            ),
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<DynJobStore>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it declares.
    #[must_use]
    pub fn caps(&self) -> Caps {
        self.caps
    }

    /// Drops the store and opens it again.
    pub async fn reopen(&self) {
        drop(self.slot().take());
        match self.harness.reopen().await {
            Ok(store) => *self.slot() = Some(store),
            Err(error) => fail(
                "the store opens again",
                error.to_string(),
                "what nobody can open is lost",
            ),
        }
    }

    /// Closes the store, lets a second process work on it, kills that when it has said so much, and opens the
    /// store again. What the other was told by the store.
    pub(super) async fn kill_after(&self, said: usize) -> Vec<Said> {
        let (Some(namespace), Some(test)) = (self.harness.namespace(), self.test.clone()) else {
            fail(
                "a namespace that a second process can open",
                "`Harness::namespace` gives none, or the suite was not made by `job_store_suite!`",
                "what survives the death of a process is seen only where one dies",
            )
        };
        drop(self.slot().take());
        let (ended, end) = latch();
        let watch = thread::spawn(move || {
            let _ended = ended;
            victim::kill_after(said, &test, &namespace)
        });
        end.await;
        let said = match watch.join() {
            Ok(said) => said,
            Err(panic) => resume_unwind(panic),
        };
        self.reopen().await;
        said
    }

    /// A new incarnation of a worker.
    #[must_use]
    pub fn worker(&self) -> Worker<'_> {
        Worker::new(self)
    }

    pub(super) fn looks_before_it_takes(&self) -> bool {
        self.harness.looks_before_it_takes()
    }

    pub(super) fn sends_follow_ups_by_prune(&self) -> bool {
        self.harness.sends_follow_ups_by_prune()
    }

    /// The store's clock, if the case can move it.
    #[must_use]
    pub fn clock(&self) -> Option<&TestClock> {
        self.clock.as_ref()
    }

    /// The store's clock, of a case that cannot do without.
    #[must_use]
    pub fn test_clock(&self) -> &TestClock {
        match &self.clock {
            Some(clock) => clock,
            None => fail(
                "a clock that the suite can move",
                "`Harness::clock` gives none",
                "exact times cannot be tested by waiting",
            ),
        }
    }

    /// A lease that [`lapse`](Cx::lapse) outlives.
    #[must_use]
    pub fn short(&self) -> Duration {
        match self.clock {
            Some(_) => Duration::from_secs(2),
            None => Duration::from_millis(100),
        }
    }

    /// Lets at least `time` pass for the store.
    pub async fn pass(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(time),
            None => sleep(time + Duration::from_millis(5)).await,
        }
    }

    /// Lets every [`short`](Cx::short) lease run out.
    pub async fn lapse(&self) {
        self.pass(self.short()).await;
    }

    /// What the store's clock reads.
    pub async fn now(&self) -> Wall {
        let store = self.store();
        sure("stats", || store.stats()).await.now
    }

    /// Enqueues `jobs`.
    pub async fn enqueue(&self, jobs: &[NewJob]) -> Vec<Enqueued> {
        let store = self.store();
        let out = sure("enqueue", || store.enqueue(jobs)).await;
        one_each("enqueue", jobs.len(), out)
    }

    /// Enqueues one job.
    pub async fn put(&self, job: &NewJob) -> Enqueued {
        self.enqueue(std::slice::from_ref(job)).await[0]
    }

    /// Enqueues one job that must be inserted.
    #[track_caller]
    pub fn add(&self, job: NewJob) -> impl Future<Output = Id> + Send {
        let here = std::panic::Location::caller();
        async move {
            match self.put(&job).await {
                Enqueued::Inserted => job.spec.id,
                other => fail(
                    "Inserted",
                    format!("{other:?}, for the enqueue at {here}"),
                    "nothing stands in the way of this job",
                ),
            }
        }
    }

    /// Enqueues `jobs`, which must all be inserted, in batches that the store takes.
    pub async fn add_all(&self, jobs: &[NewJob]) -> Vec<Id> {
        for batch in jobs.chunks(self.caps.max_batch.clamp(1, 1000) as usize) {
            for (outcome, job) in self.enqueue(batch).await.into_iter().zip(batch) {
                same(
                    outcome,
                    Enqueued::Inserted,
                    &format!("nothing stands in the way of job {}", job.spec.id),
                );
            }
        }
        jobs.iter().map(|job| job.spec.id).collect()
    }

    /// Claims as asked.
    pub async fn claim(&self, req: &ClaimReq) -> Claimed {
        let store = self.store();
        sure("claim", || store.claim(req)).await
    }

    /// Settles.
    pub async fn settle(&self, settles: &[Settle]) -> Vec<Settled> {
        let store = self.store();
        let out = sure("settle", || store.settle(settles)).await;
        one_each("settle", settles.len(), out)
    }

    /// Beats.
    pub async fn heartbeat(&self, beats: &[Beat], lease: Duration) -> Vec<Beaten> {
        let store = self.store();
        let out = sure("heartbeat", || store.heartbeat(beats, lease)).await;
        one_each("heartbeat", beats.len(), out)
    }

    /// One page of lapsed leases.
    pub async fn expired(&self, after: &Cursor, limit: u32) -> Page<Expired> {
        let store = self.store();
        sure("expired", || store.expired(after, limit)).await
    }

    /// Swaps a cron cell.
    pub async fn cron_cas(&self, cas: &CronCas) -> CronOut {
        let store = self.store();
        sure("cron_cas", || store.cron_cas(cas)).await
    }

    /// Reads a cron cell.
    pub async fn cron_cell(&self, key: &Name) -> CronOut {
        let store = self.store();
        sure("cron_cell", || store.cron_cell(key)).await
    }

    /// Asks the store.
    pub async fn control(&self, control: Control) -> ControlOut {
        let store = self.store();
        let control = &control;
        sure("control", || store.control(control)).await
    }

    /// Asks for a change of one job: `None` if it was done, else why it was left.
    pub async fn ask(&self, id: Id, control: impl FnOnce(Select) -> Control) -> Option<Left> {
        let control = control(Select::Ids(vec![id]));
        let shown = format!("{control:?}");
        let out = self.control(control).await;
        match (&*out.done, &*out.left) {
            ([done], []) if *done == id => None,
            ([], [(left, why)]) if *left == id => Some(*why),
            _ => fail(
                format!("{id} either in `done` or in `left`"),
                format!("{out:?}"),
                &format!("{shown} was about this job alone"),
            ),
        }
    }

    /// One page of a listing.
    pub async fn list(&self, filter: &Filter, after: &Cursor, limit: u32) -> Page<Record> {
        let store = self.store();
        sure("list", || store.list(filter, after, limit)).await
    }

    /// Prunes.
    pub async fn prune(&self, limit: u32) -> u64 {
        let store = self.store();
        sure("prune", || store.prune(limit)).await
    }

    /// The records of `ids`.
    pub async fn records(&self, ids: &[Id]) -> Vec<Option<Record>> {
        let store = self.store();
        let mut records = Vec::with_capacity(ids.len());
        for batch in ids.chunks(self.caps.max_batch.clamp(1, 1000) as usize) {
            let out = sure("jobs", || store.jobs(batch)).await;
            records.extend(one_each("jobs", batch.len(), out));
        }
        records
    }

    /// The record of `id`, if there is one.
    pub async fn find(&self, id: Id) -> Option<Record> {
        self.records(&[id]).await.pop().flatten()
    }

    /// The record of `id`, which must be there.
    pub async fn record(&self, id: Id) -> Record {
        match self.find(id).await {
            Some(record) => record,
            None => fail(
                format!("the record of {id}"),
                "there is none",
                "no accepted job disappears",
            ),
        }
    }

    /// Runs `count` clients at once, each in a thread of its own with the runtime running, and gives
    /// what they return. The case's own runtime goes on meanwhile: a store may have tasks on it.
    pub async fn clients<F, T>(
        &self,
        count: usize,
        client: impl Fn(usize, Cx) -> F + Send + Sync + 'static,
    ) -> Vec<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let client = Arc::new(client);
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let (ended, end) = latch();
            let (cx, client) = (self.clone(), client.clone());
            let run = move || {
                let _ended = ended;
                let mut value = None;
                let harness = cx.harness.clone();
                harness.block_on(Box::pin(async {
                    value = Some(client(number, cx).await);
                }));
                value
            };
            threads.push((thread::spawn(run), end));
        }
        let mut values = Vec::with_capacity(count);
        for (thread, end) in threads {
            end.await;
            match thread.join() {
                Ok(Some(value)) => values.push(value),
                Ok(None) => fail(
                    "`block_on` runs its task to the end",
                    "it returned before",
                    "a client that stops half-way proves nothing",
                ),
                Err(panic) => resume_unwind(panic),
            }
        }
        values
    }
}

/// Calls until the store answers, as every client does.
pub(super) async fn sure<T, F>(what: &str, call: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let begun = Instant::now();
    loop {
        match call().await {
            Ok(value) => return value,
            Err(StoreError::Transient(_) | StoreError::Ambiguous(_))
                if begun.elapsed() < PATIENCE =>
            {
                sleep(Duration::from_millis(5)).await;
            }
            Err(error) => fail(
                format!("`{what}` is answered, within {PATIENCE:?}"),
                error.to_string(),
                "a store that cannot answer keeps none of its promises",
            ),
        }
    }
}

#[track_caller]
fn one_each<T: std::fmt::Debug>(what: &str, asked: usize, out: Vec<T>) -> Vec<T> {
    if out.len() != asked {
        fail(
            format!("{asked} outcomes of `{what}`, one for each item"),
            format!("{}: {out:?}", out.len()),
            "a caller tells outcomes apart by their place",
        );
    }
    out
}
