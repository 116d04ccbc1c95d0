//! One job on its way into the store: a builder that is awaited. Checks everything before the store
//! is asked.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{Caps, Enqueued};
use tideway_engine::jobs::retry::RetryError;
use tideway_engine::jobs::{Id, InvalidJob, Name, NameError, NewJob, Spec, Start, WaitFailed};

use super::{Job, Jobs, StoreError, UniqueBy};
use crate::{BoxFuture, Problem};

/// A job about to be enqueued: awaiting it enqueues it. Made by [`Jobs::enqueue`].
///
/// ```
/// # use std::time::Duration;
/// # use serde::{Deserialize, Serialize};
/// # use tideway::jobs::*;
/// # #[derive(Serialize, Deserialize)]
/// # struct Remind { user: u64 }
/// # impl Job for Remind {
/// #     const NAME: &'static str = "remind";
/// #     async fn run(self, _: JobCx) -> JobResult { Ok(()) }
/// # }
/// async fn remind(jobs: &Jobs, user: u64) -> Result<Id, EnqueueError> {
///     let receipt = jobs
///         .enqueue(Remind { user })
///         .later(Duration::from_secs(3600))
///         .unique(UniqueBy::key(format!("remind-{user}")))
///         .await?;
///     Ok(receipt.id)
/// }
/// ```
///
/// Its id is made at once, and travels with every repeat of a call whose reply was lost: one `Enqueue` is
/// never two jobs. No method fails; the first mistake is what awaiting it returns.
#[must_use = "a job is enqueued only when this is awaited"]
#[derive(Debug)]
pub struct Enqueue {
    jobs: Jobs,
    draft: Result<Draft, EnqueueError>,
}

#[derive(Debug)]
struct Draft {
    /// Shared with nobody yet.
    spec: Arc<Spec>,
    payload: Bytes,
    start: Start,
}

impl Enqueue {
    pub(super) fn new<T: Job>(jobs: &Jobs, job: &T) -> Self {
        Self {
            jobs: jobs.clone(),
            draft: Draft::new(jobs, job),
        }
    }

    /// Starts it this long after the store accepts it, not at once.
    pub fn later(self, delay: Duration) -> Self {
        self.start(Start::After(delay))
    }

    /// Starts it not before `time`, on the store's clock.
    pub fn at(self, time: Wall) -> Self {
        self.start(Start::At(time))
    }

    fn start(self, start: Start) -> Self {
        self.with(|draft| {
            draft.start = start;
            Ok(())
        })
    }

    /// Its priority within the queue in place of [`Job::BAND`].
    pub fn band(self, band: u8) -> Self {
        self.with(|draft| {
            draft.spec().band = band;
            Ok(())
        })
    }

    /// Its unique key in place of [`Job::unique`].
    pub fn unique(self, unique: UniqueBy) -> Self {
        self.with(|draft| {
            draft.spec().unique = Some(unique.checked().map_err(named("the unique key"))?);
            Ok(())
        })
    }

    /// Its group in place of [`Job::group`].
    pub fn group(self, group: &str) -> Self {
        self.with(|draft| {
            draft.spec().group = Some(name("the group", group)?);
            Ok(())
        })
    }

    /// Starts it only when these have ended. They must be in the store, or earlier in the same batch.
    pub fn waits(self, ids: impl IntoIterator<Item = Id>) -> Self {
        self.with(|draft| {
            draft.spec().waits.extend(ids);
            Ok(())
        })
    }

    /// What becomes of it when one it waits for fails: it ends cancelled, unless told otherwise.
    pub fn wait_failed(self, then: WaitFailed) -> Self {
        self.with(|draft| {
            draft.spec().wait_failed = then;
            Ok(())
        })
    }

    /// Sends a header with it, in place of one of this name. The job reads it with
    /// [`JobCx::header`](super::JobCx::header); the jobs that it enqueues inherit it.
    pub fn header(self, key: &str, value: impl Into<Box<str>>) -> Self {
        self.with(|draft| {
            let (key, headers) = (
                name("the name of a header", key)?,
                &mut draft.spec().headers,
            );
            headers.retain(|(other, _)| *other != key);
            headers.push((key, value.into()));
            Ok(())
        })
    }

    /// Gives it an id made by [`Jobs::next_id`] for its queue, so that a repeat by the caller is no second job.
    pub fn id(self, id: Id) -> Self {
        self.with(|draft| {
            draft.spec().id = id;
            Ok(())
        })
    }

    /// The id it will have, for others to wait for; `None` after a mistake.
    #[must_use]
    pub fn job_id(&self) -> Option<Id> {
        self.draft.as_ref().ok().map(|draft| draft.spec.id)
    }

    fn with(mut self, change: impl FnOnce(&mut Draft) -> Result<(), EnqueueError>) -> Self {
        if let Ok(draft) = &mut self.draft
            && let Err(error) = change(draft)
        {
            self.draft = Err(error);
        }
        self
    }

    /// The job as a store takes it.
    ///
    /// # Errors
    ///
    /// [`EnqueueError`] says what is wrong with it. No store was asked.
    pub fn into_new_job(self) -> Result<NewJob, EnqueueError> {
        let draft = self.draft?;
        let new = NewJob {
            spec: draft.spec,
            payload: draft.payload,
            start: draft.start,
        };
        new.check(self.jobs.max_payload())?;
        supported(&new.spec, &self.jobs.caps())?;
        Ok(new)
    }
}

impl IntoFuture for Enqueue {
    type Output = Result<Receipt, EnqueueError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let jobs = self.jobs.clone();
            let new = [self.into_new_job()?];
            let outcome = jobs.send(&new, jobs.deadline()).await?;
            let outcome = outcome.first().copied().ok_or_else(|| short(0, 1))?;
            Receipt::new(new[0].spec.id, outcome)
        })
    }
}

impl Draft {
    fn new<T: Job>(jobs: &Jobs, job: &T) -> Result<Self, EnqueueError> {
        let mut spec = spec::<T>(jobs.next_id(T::QUEUE))?;
        fill(&mut spec, job)?;
        spec.headers = jobs.headers().to_vec();
        Ok(Self {
            spec: Arc::new(spec),
            payload: payload(job)?,
            start: Start::Now,
        })
    }

    fn spec(&mut self) -> &mut Spec {
        Arc::make_mut(&mut self.spec)
    }
}

/// What the type of a job says of every job of it.
pub(super) fn spec<T: Job>(id: Id) -> Result<Spec, EnqueueError> {
    let retry = T::retry();
    retry.check().map_err(Box::new)?;
    let (queue, kind) = (name("`QUEUE`", T::QUEUE)?, name("`NAME`", T::NAME)?);
    Ok(Spec {
        band: T::BAND,
        retry,
        strikes: T::STRIKES,
        timeout: T::TIMEOUT,
        expiry: T::EXPIRY,
        keep: T::keep(),
        ..Spec::new(id, queue, kind)
    })
}

/// What its value says of this one.
pub(super) fn fill<T: Job>(spec: &mut Spec, job: &T) -> Result<(), EnqueueError> {
    let unique = job.unique().map(UniqueBy::checked).transpose();
    spec.unique = unique.map_err(named("the unique key"))?;
    let group = job.group().map(|group| name("the group", &group));
    spec.group = group.transpose()?;
    Ok(())
}

pub(super) fn payload<T: Job>(job: &T) -> Result<Bytes, EnqueueError> {
    // Room for most payloads: growing by doubling would copy a kibibyte twice, and the store would keep what was
    // too much.
    let mut json = Vec::with_capacity(1024);
    match serde_json::to_writer(&mut json, job) {
        Ok(()) => Ok(json.into_boxed_slice().into()),
        Err(error) => Err(EnqueueError::Encode(error.to_string().into())),
    }
}

/// Whether a store of these `caps` does what the job asks for.
pub(super) fn supported(spec: &Spec, caps: &Caps) -> Result<(), EnqueueError> {
    if spec.unique.is_some() && !caps.unique {
        return Err(EnqueueError::NoUnique);
    }
    if !spec.waits.is_empty() && !caps.waits {
        return Err(EnqueueError::NoWaits);
    }
    Ok(())
}

fn name(what: &'static str, text: &str) -> Result<Name, EnqueueError> {
    Name::new(text).map_err(named(what))
}

fn named(what: &'static str) -> impl Fn(NameError) -> EnqueueError {
    move |error| EnqueueError::Name(what, error)
}

/// A store that answers for fewer jobs than it was given.
pub(super) fn short(answers: usize, jobs: usize) -> EnqueueError {
    let text = format!("{answers} answers to {jobs} jobs");
    EnqueueError::Ambiguous(text.into())
}

/// A job that the store has taken, or knew already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The job that stands for what was enqueued: itself, or the one that holds its unique key.
    pub id: Id,
    /// What the store did.
    pub outcome: Enqueued,
}

impl Receipt {
    pub(super) fn new(id: Id, outcome: Enqueued) -> Result<Self, EnqueueError> {
        match outcome {
            Enqueued::IdConflict => Err(EnqueueError::IdConflict(id)),
            Enqueued::UnknownWait(wait) => Err(EnqueueError::UnknownWait(wait)),
            Enqueued::UniqueHit(holder) => Ok(Self {
                id: holder,
                outcome,
            }),
            _ => Ok(Self { id, outcome }),
        }
    }

    /// Whether there is a job now because of this call, or an earlier try of it; `false` if another job
    /// holds its unique key.
    #[must_use]
    pub fn is_new(&self) -> bool {
        !matches!(self.outcome, Enqueued::UniqueHit(_))
    }
}

/// Why a job was not enqueued, or may not have been. In a handler `?` makes a [`Problem`] of it: 503 where a
/// later try may help, else 500.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// No store could keep it.
    #[error(transparent)]
    Invalid(#[from] InvalidJob),
    /// A text that must be a name is none.
    #[error("{0} of a job: {1}")]
    Name(&'static str, NameError),
    /// Its retry rule is none.
    #[error("the retry rule of a job: {0}")]
    Retry(#[from] Box<RetryError>),
    /// It has a unique key, which its store would not look at.
    #[error(
        "the job has a unique key, and its store declares `unique: false` in its `caps`: enqueue it without one, or use a store that keeps unique keys"
    )]
    NoUnique,
    /// It waits for others, which its store would not look at.
    #[error(
        "the job waits for others, and its store declares `waits: false` in its `caps`: enqueue it with `JobCx::then` from the job before it, or use a store that lets jobs wait"
    )]
    NoWaits,
    /// It does not serialise.
    #[error("the payload is no JSON: {0}")]
    Encode(Box<str>),
    /// Another job has its id.
    #[error("another job has the id {0}: take ids from `Jobs::next_id`, each for one job")]
    IdConflict(Id),
    /// It waits for a job that nobody knows.
    #[error(
        "it waits for the job {0}, which is not in the store: enqueue that first, or before it in the batch"
    )]
    UnknownWait(Id),
    /// More follow-up jobs than one success may bring.
    #[error("a job has more than {0} follow-up jobs: enqueue one that enqueues the others")]
    TooManyThen(usize),
    /// The store could not be reached in time. It was not enqueued.
    #[error("not enqueued, the job store is not available: {0}")]
    Unavailable(Box<str>),
    /// No reply came in time. It may or may not have been enqueued; the same id again within a minute tells.
    #[error("perhaps enqueued, the job store did not answer: {0}")]
    Ambiguous(Box<str>),
    /// The store refuses, and no repeat will help.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const _: () = assert!(size_of::<EnqueueError>() <= 32);

impl From<EnqueueError> for Problem {
    fn from(error: EnqueueError) -> Self {
        let status = match error {
            EnqueueError::Unavailable(_) | EnqueueError::Ambiguous(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem::new(status).source(error)
    }
}
