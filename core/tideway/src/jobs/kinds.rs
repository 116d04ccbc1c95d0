//! `Kinds`: the jobs an app can run, by name, and how one is started. User code runs guarded: a panic
//! is a failure of the job.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use tideway_engine::jobs::pool::CronJob;
use tideway_engine::jobs::{Name, Record};

use super::{End, Job, JobCx, JobError, JobResult, JobState, Jobs};
use crate::BoxFuture;
use crate::context::{Context, Needs};
use crate::error::caught;
use crate::pipeline::Pipeline;

/// The kinds of jobs an app runs. For drivers: [`Kinds::of`] an app, then [`start`](Kinds::start) what a
/// worker has claimed.
pub struct Kinds {
    runners: BTreeMap<Name, Arc<dyn Runner>>,
    cron: Vec<CronJob>,
    jobs: Jobs,
}

/// A started job.
pub struct Running {
    /// Runs it.
    pub work: Work,
    /// What it shares with its worker.
    pub state: JobState,
}

impl Kinds {
    pub(super) fn new(
        runners: BTreeMap<Name, Arc<dyn Runner>>,
        cron: Vec<CronJob>,
        jobs: Jobs,
    ) -> Self {
        Self {
            runners,
            cron,
            jobs,
        }
    }

    /// Those of an app that has a store.
    #[must_use]
    pub fn of(app: &Pipeline) -> Option<&Arc<Kinds>> {
        app.context().get()
    }

    /// The handle to the store.
    #[must_use]
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The cron entries, as the app gave them.
    #[must_use]
    pub fn cron(&self) -> &[CronJob] {
        &self.cron
    }

    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.runners.keys()
    }

    /// The claimed `job`, ready to be polled; `None` if nobody registered its kind here. A payload that does
    /// not decode is a failure.
    #[must_use]
    pub fn start(&self, app: &Arc<Pipeline>, job: Record) -> Option<Running> {
        let runner = self.runners.get(&*job.spec.kind)?;
        let state = JobState::new(job.progress.clone());
        let cx = JobCx::new(app, &self.jobs, &job, state.clone());
        let work = Work {
            work: Some(runner.run(cx, job.payload)),
            state: state.clone(),
        };
        Some(Running { work, state })
    }
}

/// A kind with its type erased.
pub(super) trait Runner: Send + Sync {
    /// Decodes and runs it. Nothing happens until the future is polled.
    fn run(&self, cx: JobCx, payload: Bytes) -> BoxFuture<'static, JobResult>;

    /// What it needs and `context` lacks, each as the end of a sentence.
    fn missing(&self, context: &Context) -> Vec<String>;
}

pub(super) struct Kind<T>(PhantomData<fn() -> T>);

impl<T> Kind<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Job> Runner for Kind<T> {
    fn run(&self, cx: JobCx, payload: Bytes) -> BoxFuture<'static, JobResult> {
        Box::pin(async move {
            let job: T = decode(&payload)?;
            drop(payload);
            job.run(cx).await
        })
    }

    fn missing(&self, context: &Context) -> Vec<String> {
        let mut needs = Needs::default();
        T::needs(&mut needs);
        needs.missing(context)
    }
}

fn decode<T: Job>(payload: &[u8]) -> Result<T, JobError> {
    // Where a mistake is, is found out when there is one: to keep the path at each step takes as long as to read.
    serde_json::from_slice(payload).or_else(|_| decode_with_path(payload))
}

#[cold]
fn decode_with_path<T: Job>(payload: &[u8]) -> Result<T, JobError> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    let decoded = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| error.to_string())
        .and_then(|job| json.end().map(|()| job).map_err(|error| error.to_string()));
    decoded.map_err(|error| {
        let name = T::NAME;
        JobError::retry(format!("the payload is no `{name}`: {error}"))
    })
}

/// The handler of a started job: a future that never panics, and may be dropped at any time.
pub struct Work {
    work: Option<BoxFuture<'static, JobResult>>,
    state: JobState,
}

impl Future for Work {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<End> {
        let this = &mut *self;
        let Some(work) = &mut this.work else {
            // It has ended and said how; there is nothing to wait for.
            return Poll::Pending;
        };
        // The text of an error and the drop of what is left are the user's code, too.
        let polled = caught(|| match work.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(this.state.succeeded()),
            Poll::Ready(Err(error)) => Poll::Ready(error.into_end()),
        });
        let end = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(end)) => end,
            Err(panic) => End::Failed {
                text: panic.to_string(),
                after: None,
            },
        };
        this.clear();
        Poll::Ready(end)
    }
}

impl Work {
    fn clear(&mut self) {
        if let Some(work) = self.work.take()
            && let Err(panic) = caught(|| drop(work))
        {
            tracing::error!(target: "tideway", "a job {panic} while it was dropped");
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
