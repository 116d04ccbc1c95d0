//! `JobCx`: what a running job knows about itself and may ask for.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tideway_engine::Wall;
use tideway_engine::jobs::{Id, Name, Record, Spec};

use super::handle::Headers;
use super::{Cancelled, Enqueue, EnqueueError, JobState, Jobs};
use crate::Clock;
use crate::pipeline::Pipeline;

/// What a running job knows about itself and may ask for. A clone is the same.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tideway::jobs::{Job, JobCx, JobResult};
///
/// #[derive(Serialize, Deserialize)]
/// struct Copy { pages: u32 }
///
/// impl Job for Copy {
///     const NAME: &'static str = "copy";
///
///     async fn run(self, cx: JobCx) -> JobResult {
///         // A retry, or another worker after a crash, goes on where the last checkpoint was.
///         let from = cx.progress_json().unwrap_or(0);
///         for page in from..self.pages {
///             cx.checkpoint_json(&(page + 1))?;
///         }
///         cx.set_result(&(self.pages - from))?;
///         Ok(())
///     }
/// }
///
/// use tideway::testing::jobs::TestJob;
/// let run = TestJob::new(Copy { pages: 5 }).progress("3").run();
/// assert_eq!(run.result::<u32>(), 2);
/// assert_eq!(run.checkpoint.as_deref(), Some(&b"5"[..]));
/// ```
#[derive(Clone)]
pub struct JobCx(Arc<Inner>);

struct Inner {
    app: Arc<Pipeline>,
    jobs: Jobs,
    state: JobState,
    spec: Arc<Spec>,
    attempt: u32,
    failures: u32,
    token: u64,
    enqueued_at: Wall,
}

impl JobCx {
    /// The most follow-up jobs of one job.
    pub const MAX_THEN: usize = 100;

    pub(super) fn new(app: &Arc<Pipeline>, jobs: &Jobs, job: &Record, state: JobState) -> Self {
        let headers = match &*job.spec.headers {
            // Mostly there are none, and the empty one needs no memory.
            [] => Headers::default(),
            some => some.into(),
        };
        Self(Arc::new(Inner {
            app: app.clone(),
            jobs: jobs.carrying(headers),
            state,
            spec: job.spec.clone(),
            attempt: job.attempt,
            failures: job.failures,
            token: job.token,
            enqueued_at: job.enqueued_at,
        }))
    }

    /// The job's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.0.spec.id
    }

    /// Its kind: [`Job::NAME`](super::Job::NAME).
    #[must_use]
    pub fn kind(&self) -> &Name {
        &self.0.spec.kind
    }

    /// The queue it was taken from.
    #[must_use]
    pub fn queue(&self) -> &Name {
        &self.0.spec.queue
    }

    /// Which attempt this is, from 1. Those given back or put off do not count.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// How many attempts have failed.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.0.failures
    }

    /// The fencing token as an idempotency key, `id:token`.
    ///
    /// The token grows by one with every start of the job and is never given twice, so no two starts
    /// share a key. Hand it to whatever the job changes outside of the store. Something that can compare tokens of
    /// one id takes only one that is not less than the last: then a worker that was thought dead cannot
    /// overwrite what its successor did. Where instead all attempts together must act once, use
    /// [`id`](Self::id) as the key.
    #[must_use]
    pub fn fence(&self) -> String {
        format!("{}:{}", self.0.spec.id, self.0.token)
    }

    /// The fencing token alone.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.0.token
    }

    /// When the store accepted it, or when it was last revived, on the store's clock.
    #[must_use]
    pub fn enqueued_at(&self) -> Wall {
        self.0.enqueued_at
    }

    /// What travelled with it: [`REQUEST_ID`](super::REQUEST_ID), [`TRACEPARENT`](super::TRACEPARENT), and
    /// what [`Enqueue::header`] added.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.spec.headers.iter().map(|(k, v)| (k.as_str(), &**v))
    }

    /// One of them.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(k, _)| *k == name).map(|(_, v)| v)
    }

    /// The newest checkpoint, of this attempt or an earlier one; empty if there is none.
    #[must_use]
    pub fn progress(&self) -> Bytes {
        self.0.state.progress()
    }

    /// The newest checkpoint, read as JSON; `None` if there is none, or it does not decode.
    #[must_use]
    pub fn progress_json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.progress()).ok()
    }

    /// Keeps how far the job has come. It reaches the store with the next beat of the lease or the end of
    /// the attempt; of several in between, the latest does. Progress restarts the count of crashes.
    ///
    /// # Errors
    ///
    /// [`NotKept`] if it is over the cap.
    pub fn checkpoint(&self, progress: impl Into<Bytes>) -> Result<(), NotKept> {
        let progress = self.fitting("checkpoint", progress.into())?;
        self.0.state.checkpoint(progress);
        Ok(())
    }

    /// [`checkpoint`](Self::checkpoint) as JSON.
    ///
    /// # Errors
    ///
    /// [`NotKept`].
    pub fn checkpoint_json<T: Serialize>(&self, progress: &T) -> Result<(), NotKept> {
        self.checkpoint(json("checkpoint", progress)?)
    }

    /// Keeps `result` as JSON in the record of the job, if it succeeds. The latest counts.
    ///
    /// # Errors
    ///
    /// [`NotKept`].
    pub fn set_result<T: Serialize>(&self, result: &T) -> Result<(), NotKept> {
        let result = self.fitting("result", json("result", result)?)?;
        self.0.state.result(result);
        Ok(())
    }

    fn fitting(&self, what: &'static str, bytes: Bytes) -> Result<Bytes, NotKept> {
        let (size, max) = (bytes.len(), self.0.jobs.max_payload());
        if size > max {
            return Err(NotKept::TooLarge { what, size, max });
        }
        Ok(bytes)
    }

    /// Completes when the job is asked to stop: somebody cancelled it, its time is over, its lease is
    /// lost, or its worker stops. A job that goes on all the same is dropped a little later.
    pub fn cancelled(&self) -> Cancelled {
        self.0.state.cancelled()
    }

    /// Whether it was asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.state.is_cancelled()
    }

    /// The service of type `T` that the app was given with [`provide`](crate::App::provide). One declared in
    /// [`Job::needs`](super::Job::needs) is always there.
    #[must_use]
    pub fn service<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.app.context().get()
    }

    /// The clock of the runtime; its wall clock is not the store's.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.0.jobs.clock()
    }

    /// Enqueues jobs at once, whatever becomes of this one. They inherit its headers.
    #[must_use]
    pub fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    /// Enqueues a job if and only if this one succeeds, in one step with it. Returns its id.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use tideway::jobs::*;
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Encode;
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Publish;
    /// # impl Job for Publish {
    /// #     const NAME: &'static str = "publish";
    /// #     async fn run(self, _: JobCx) -> JobResult { Ok(()) }
    /// # }
    /// impl Job for Encode {
    ///     const NAME: &'static str = "encode";
    ///
    ///     async fn run(self, cx: JobCx) -> JobResult {
    ///         cx.then(cx.jobs().enqueue(Publish))?;
    ///         Ok(())
    ///     }
    /// }
    /// # let run = tideway::testing::jobs::TestJob::new(Encode).run();
    /// # let End::Succeeded { then, .. } = run.end else { panic!("{run:?}") };
    /// # assert_eq!(then[0].spec.kind, "publish");
    /// ```
    ///
    /// # Errors
    ///
    /// [`EnqueueError`], by what is wrong with it, or if there are [`JobCx::MAX_THEN`] already.
    pub fn then(&self, next: Enqueue) -> Result<Id, EnqueueError> {
        let new = next.into_new_job()?;
        let id = new.spec.id;
        if !self.0.state.then(new, Self::MAX_THEN) {
            return Err(EnqueueError::TooManyThen(Self::MAX_THEN));
        }
        Ok(id)
    }
}

impl fmt::Debug for JobCx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobCx")
            .field("id", &self.id())
            .field("kind", self.kind())
            .field("attempt", &self.attempt())
            .field("token", &self.token())
            .finish_non_exhaustive()
    }
}

fn json<T: Serialize>(what: &'static str, value: &T) -> Result<Bytes, NotKept> {
    match serde_json::to_vec(value) {
        Ok(json) => Ok(json.into()),
        Err(error) => Err(NotKept::Encode(what, error)),
    }
}

/// Why a checkpoint or a result was not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotKept {
    /// It is over the cap.
    #[error(
        "the {what} has {size} bytes, the cap is {max}: store it elsewhere and keep a reference, or raise `MaxPayload`"
    )]
    TooLarge {
        /// A checkpoint or a result.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The cap in bytes.
        max: usize,
    },
    /// It does not serialise.
    #[error("the {0} is no JSON: {1}")]
    Encode(&'static str, serde_json::Error),
}
