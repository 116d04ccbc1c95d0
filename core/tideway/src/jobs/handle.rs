//! `Jobs`: the handle to the job store that handlers and jobs hold. Repeats an enqueue whose reply
//! is lost; everything else it passes on.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use tideway_engine::jobs::call::{
    Caps, Control, ControlOut, Cursor, Enqueued, Filter, Page, Select, Stats,
};
use tideway_engine::jobs::{Id, Ids, Name, NewJob, Record};
use tideway_engine::{Mono, Rng, Seed};

use super::enqueue::short;
use super::{DynJobStore, Enqueue, EnqueueError, Job, JobStore, Receipt, StoreError};
use crate::Clock;

/// The setting: the largest payload, result or checkpoint of a job, in bytes. Default 1 MiB; a store may
/// have a smaller cap of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPayload(pub usize);

impl Default for MaxPayload {
    fn default() -> Self {
        Self(1024 * 1024)
    }
}

/// What travels with a job.
pub(super) type Headers = Arc<[(Name, Box<str>)]>;

/// What the store has said of one job of a batch; `None` until then.
type Answer = Option<Result<Receipt, EnqueueError>>;

/// Enqueues jobs, and looks after them. An extractor; [`JobCx::jobs`](super::JobCx::jobs) in a job.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tideway::http::StatusCode;
/// use tideway::jobs::{Job, JobCx, JobResult, Jobs};
/// use tideway::testing::{TestApp, jobs::Recorder};
/// use tideway::{App, Problem, extract::Path, post};
///
/// #[derive(Serialize, Deserialize)]
/// struct Export { user: u64 }
///
/// impl Job for Export {
///     const NAME: &'static str = "export";
///
///     async fn run(self, _: JobCx) -> JobResult { Ok(()) }
/// }
///
/// async fn export(Path(user): Path<u64>, jobs: Jobs) -> Result<(StatusCode, String), Problem> {
///     let receipt = jobs.enqueue(Export { user }).await?;
///     Ok((StatusCode::ACCEPTED, receipt.id.to_string()))
/// }
///
/// let store = Recorder::default();
/// let app = App::new().store(store.clone()).route("/export/{user}", post(export));
/// TestApp::new(app).post("/export/7").send().assert_status(202);
/// assert_eq!(store.of::<Export>()[0].user, 7);
/// ```
///
/// The request id and `traceparent` of the request, or the headers of the job, in which it was taken
/// travel with every job it enqueues. An app without a [`store`](crate::App::store) whose handler takes it
/// is not built.
#[derive(Clone)]
pub struct Jobs {
    shared: Arc<Shared>,
    headers: Headers,
}

struct Shared {
    store: DynJobStore,
    clock: Clock,
    chance: Mutex<Chance>,
    caps: Caps,
    max_payload: usize,
    max_batch: usize,
}

struct Chance {
    ids: Ids,
    rng: Rng,
}

impl Jobs {
    /// How long an enqueue is repeated before it gives up; stores remember ids for longer.
    pub const PATIENCE: Duration = Duration::from_secs(30);

    /// A handle to `store`. `seed` is where ids come from: fresh in every process.
    #[must_use]
    pub fn new(store: DynJobStore, clock: Clock, seed: &Seed, max: MaxPayload) -> Self {
        let mut rng = Rng::new(seed);
        let caps = store.caps();
        let ids = Ids::new(Rng::new(&rng.fork()));
        Self {
            shared: Arc::new(Shared {
                store,
                clock,
                chance: Mutex::new(Chance { ids, rng }),
                max_payload: max.0.min(caps.max_payload),
                max_batch: (caps.max_batch as usize).max(1),
                caps,
            }),
            headers: Arc::new([]),
        }
    }

    /// The same handle, whose jobs carry these headers.
    pub(super) fn carrying(&self, headers: Headers) -> Self {
        Self {
            shared: self.shared.clone(),
            headers,
        }
    }

    /// Enqueues `job` when what it returns is awaited.
    pub fn enqueue<T: Job>(&self, job: T) -> Enqueue {
        Enqueue::new(self, &job)
    }

    /// Enqueues many, in order, in as few calls as the store allows; one answer each. A bad one never
    /// changes its neighbours.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use tideway::jobs::*;
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Resize { width: u32 }
    /// # impl Job for Resize {
    /// #     const NAME: &'static str = "resize";
    /// #     async fn run(self, _: JobCx) -> JobResult { Ok(()) }
    /// # }
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Publish;
    /// # impl Job for Publish {
    /// #     const NAME: &'static str = "publish";
    /// #     async fn run(self, _: JobCx) -> JobResult { Ok(()) }
    /// # }
    /// async fn publish(jobs: &Jobs) -> Result<(), EnqueueError> {
    ///     let mut batch: Vec<_> = [320, 640].map(|width| jobs.enqueue(Resize { width })).into();
    ///     let resized: Vec<_> = batch.iter().filter_map(Enqueue::job_id).collect();
    ///     batch.push(jobs.enqueue(Publish).waits(resized));
    ///     for receipt in jobs.enqueue_all(batch).await {
    ///         receipt?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn enqueue_all(
        &self,
        batch: impl IntoIterator<Item = Enqueue, IntoIter: Send> + Send,
    ) -> Vec<Result<Receipt, EnqueueError>> {
        let deadline = self.deadline();
        let mut batch = batch.into_iter().peekable();
        let mut answers: Vec<Answer> = Vec::with_capacity(batch.size_hint().0);
        let mut chunk = Vec::new();
        // Where the answers of the chunk belong.
        let mut places = Vec::new();
        while let Some(enqueue) = batch.next() {
            match enqueue.into_new_job() {
                Ok(new) => {
                    places.push(answers.len());
                    answers.push(None);
                    chunk.push(new);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
            if chunk.len() == self.shared.max_batch || batch.peek().is_none() {
                self.send_chunk(&mut answers, &chunk, &places, deadline)
                    .await;
                chunk.clear();
                places.clear();
            }
        }
        let answer = |answer: Answer| answer.unwrap_or_else(|| Err(short(0, 1)));
        answers.into_iter().map(answer).collect()
    }

    async fn send_chunk(
        &self,
        answers: &mut [Answer],
        chunk: &[NewJob],
        places: &[usize],
        deadline: Mono,
    ) {
        if chunk.is_empty() {
            return;
        }
        match self.send(chunk, deadline).await {
            Ok(outcomes) => {
                for ((new, place), outcome) in chunk.iter().zip(places).zip(outcomes) {
                    answers[*place] = Some(Receipt::new(new.spec.id, outcome));
                }
            }
            Err(error) => {
                for place in places {
                    answers[*place] = Some(Err(error.clone()));
                }
            }
        }
    }

    /// Ends a job that does not run, asks one that does to stop; whether there was such a job.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the call may be repeated.
    pub async fn cancel(&self, id: Id) -> Result<bool, StoreError> {
        let out = self
            .control(&Control::Cancel(Select::Ids(vec![id])))
            .await?;
        Ok(!out.done.is_empty())
    }

    /// The record of a job; `None` if there is none, or no more.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the call may be repeated.
    pub async fn get(&self, id: Id) -> Result<Option<Record>, StoreError> {
        let mut records = self.store().jobs(&[id]).await?;
        Ok(records.pop().flatten())
    }

    /// Does what a person or program asks.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the call may be repeated.
    pub async fn control(&self, control: &Control) -> Result<ControlOut, StoreError> {
        self.store().control(control).await
    }

    /// One page of the jobs that match, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the call may be repeated.
    pub async fn list(
        &self,
        filter: &Filter,
        after: &Cursor,
        limit: u32,
    ) -> Result<Page<Record>, StoreError> {
        self.store().list(filter, after, limit).await
    }

    /// The numbers of every queue.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the call may be repeated.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        self.store().stats().await
    }

    /// A fresh id for a job in `queue`, greater than every earlier one of this process.
    #[must_use]
    pub fn next_id(&self, queue: &str) -> Id {
        let wall = self.shared.clock.now().wall;
        self.chance(|chance| chance.ids.next(wall, queue))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &DynJobStore {
        &self.shared.store
    }

    /// What the store declared when this was made.
    #[must_use]
    pub fn caps(&self) -> Caps {
        self.shared.caps
    }

    /// The largest payload, result or checkpoint, in bytes.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.shared.max_payload
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    pub(super) fn headers(&self) -> &[(Name, Box<str>)] {
        &self.headers
    }

    pub(super) fn deadline(&self) -> Mono {
        self.shared.clock.now().mono.plus(Self::PATIENCE)
    }

    /// One call, repeated as it is until the store answers or `deadline` has come.
    pub(super) async fn send(
        &self,
        jobs: &[NewJob],
        deadline: Mono,
    ) -> Result<Vec<Enqueued>, EnqueueError> {
        let clock = &self.shared.clock;
        let mut ambiguous = false;
        let mut tries = 0;
        loop {
            let call = pin!(self.store().enqueue(jobs));
            let why = match select(call, clock.sleep_until(deadline)).await {
                Either::Left((Ok(outcomes), _)) if outcomes.len() == jobs.len() => {
                    return Ok(outcomes);
                }
                Either::Left((Ok(outcomes), _)) => return Err(short(outcomes.len(), jobs.len())),
                Either::Left((Err(StoreError::Transient(why)), _)) => why,
                Either::Left((Err(StoreError::Ambiguous(why)), _)) => {
                    ambiguous = true;
                    why
                }
                // What was sent before may still have been done.
                Either::Left((Err(error), _)) if ambiguous => {
                    return Err(EnqueueError::Ambiguous(error.to_string().into()));
                }
                Either::Left((Err(error), _)) => return Err(error.into()),
                Either::Right(_) => {
                    ambiguous = true;
                    "no reply in time".into()
                }
            };
            let now = clock.now().mono;
            if now >= deadline {
                return Err(if ambiguous {
                    EnqueueError::Ambiguous(why)
                } else {
                    EnqueueError::Unavailable(why)
                });
            }
            let again = now.plus(self.backoff(tries)).min(deadline);
            clock.sleep_until(again).await;
            tries += 1;
        }
    }

    /// 50 ms, doubled with every try up to 5 s, half of it random.
    fn backoff(&self, tries: u32) -> Duration {
        let half = (25_u64 << tries.min(10)).min(2_500);
        Duration::from_millis(half + self.chance(|chance| chance.rng.below(half + 1)))
    }

    fn chance<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        // No user code runs under this lock.
        draw(
            &mut self
                .shared
                .chance
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs")
            .field("store", &self.shared.store)
            .field("max_payload", &self.shared.max_payload)
            .field("headers", &self.headers)
            .finish()
    }
}
