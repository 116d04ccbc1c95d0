//! Background jobs in a test: run one in virtual time, or see what was enqueued. No worker, no store.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tideway_engine::jobs::call::Caps;
use tideway_engine::jobs::{Event, NewJob, Owner, Record, step};
use tideway_engine::{Seed, Wall};

use super::VirtualTasks;
use super::tasks::{Flag, SPIN};
use crate::jobs::{End, Enqueue, Job, Jobs, Kinds, Work};
use crate::{App, Tasks};

mod recorder;

pub use recorder::{Fault, Recorder};

/// One attempt of a job, about to run in virtual time.
///
/// ```
/// use std::time::Duration;
/// use serde::{Deserialize, Serialize};
/// use tideway::jobs::{End, Job, JobCx, JobResult};
/// use tideway::testing::jobs::TestJob;
///
/// #[derive(Serialize, Deserialize)]
/// struct Nap { hours: u64 }
///
/// impl Job for Nap {
///     const NAME: &'static str = "nap";
///
///     async fn run(self, cx: JobCx) -> JobResult {
///         cx.clock().sleep(Duration::from_secs(3600 * self.hours)).await;
///         cx.set_result(&"rested")?;
///         Ok(())
///     }
/// }
///
/// let run = TestJob::new(Nap { hours: 8 }).run();
/// assert_eq!(run.result::<String>(), "rested");
/// assert_eq!(run.elapsed, Duration::from_secs(8 * 3600));
/// ```
///
/// The payload goes through JSON and back, as it does through a store.
#[must_use = "a job does nothing until it is run"]
#[derive(Debug)]
pub struct TestJob<T> {
    job: T,
    app: App,
    store: Recorder,
    headers: Vec<(String, String)>,
    attempt: u32,
    progress: Bytes,
    payload: Option<Bytes>,
    cancel: Option<Duration>,
}

impl<T: Job> TestJob<T> {
    /// The first attempt of `job`, without services.
    pub fn new(job: T) -> Self {
        let store = Recorder::default();
        Self {
            job,
            app: App::bare().store(store.clone()).job::<T>(),
            store,
            headers: Vec::new(),
            attempt: 1,
            progress: Bytes::new(),
            payload: None,
            cancel: None,
        }
    }

    /// Gives it a service.
    pub fn provide<S: Send + Sync + 'static>(mut self, service: S) -> Self {
        self.app = self.app.provide(service);
        self
    }

    /// Runs it as this attempt, all earlier ones failed.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt.max(1);
        self
    }

    /// Begins with this checkpoint.
    pub fn progress(mut self, progress: impl Into<Bytes>) -> Self {
        self.progress = progress.into();
        self
    }

    /// Sends a header with it.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts this in place of the payload: what an older or newer version of the job may have enqueued.
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = Some(payload.into());
        self
    }

    /// Runs it over a store that declares these; else over one that takes whatever a job asks for.
    pub fn caps(self, caps: Caps) -> Self {
        self.store.set_caps(caps);
        self
    }

    /// Asks it to stop after `delay`.
    pub fn cancel_after(mut self, delay: Duration) -> Self {
        self.cancel = Some(delay);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// If the job cannot be built or enqueued, or waits for something that never comes.
    #[track_caller]
    pub fn run(self) -> TestRun {
        let tasks = VirtualTasks::default();
        let app = self.app.seed(Seed::from_u64(0));
        let app = match app.pipeline(Arc::new(tasks.clone())) {
            Ok(app) => app,
            Err(error) => panic!("{error}"),
        };
        let kinds = Kinds::of(&app).expect("the app has a store");
        let (jobs, now) = (kinds.jobs(), tasks.now());
        let new = new_job(jobs, self.job, &self.headers);
        let record = claimed(&new, now.wall, self.attempt, self.progress, self.payload);
        let running = kinds.start(&app, record).expect("the kind was registered");
        if let Some(delay) = self.cancel {
            let (state, sleep) = (
                running.state.clone(),
                tasks.sleep_until(now.mono.plus(delay)),
            );
            tasks.spawn(Box::pin(async move {
                sleep.await;
                state.cancel();
            }));
        }
        let end = drive(&tasks, running.work);
        TestRun {
            end,
            checkpoint: running.state.take_checkpoint(),
            enqueued: self.store.jobs(),
            elapsed: tasks.now().mono.since(now.mono),
        }
    }
}

#[track_caller]
fn new_job<T: Job>(jobs: &Jobs, job: T, headers: &[(String, String)]) -> NewJob {
    let plain = jobs.enqueue(job);
    let add =
        |enqueue: Enqueue, (name, value): &(String, String)| enqueue.header(name, value.as_str());
    let enqueue = headers.iter().fold(plain, add);
    match enqueue.into_new_job() {
        Ok(new) => new,
        Err(error) => panic!("the job cannot be enqueued: {error}"),
    }
}

fn claimed(
    new: &NewJob,
    now: Wall,
    attempt: u32,
    progress: Bytes,
    payload: Option<Bytes>,
) -> Record {
    let mut record = Record::accepted(new, Vec::new(), now);
    record.attempt = attempt - 1;
    record.failures = attempt - 1;
    record.token = u64::from(attempt - 1);
    record.progress = progress;
    if let Some(payload) = payload {
        record.payload = payload;
    }
    let claim = Event::Claim {
        owner: Owner(1),
        seq: 1,
        lease: Duration::from_secs(30),
    };
    step(&mut record, &claim, now).expect("a due job");
    record
}

/// Polls until ready; time moves only when nothing else can.
#[track_caller]
fn drive(tasks: &VirtualTasks, mut work: Work) -> End {
    let woken = Arc::new(Flag::raised());
    let waker = Waker::from(woken.clone());
    for _ in 0..SPIN {
        if woken.take() {
            if let Poll::Ready(end) = Pin::new(&mut work).poll(&mut Context::from_waker(&waker)) {
                return end;
            }
            continue;
        }
        if tasks.run_ready() {
            continue;
        }
        match tasks.next_sleep() {
            Some(at) => tasks.jump_to(at),
            None => panic!("the job stalls: it waits, but for no sleep and no task"),
        }
    }
    panic!("the job wakes itself for ever: polled {SPIN} times")
}

/// What became of a [`TestJob`].
#[derive(Clone, Debug, PartialEq)]
pub struct TestRun {
    /// How it ended.
    pub end: End,
    /// The checkpoint it left, if it made one.
    pub checkpoint: Option<Bytes>,
    /// The jobs that it enqueued at once; those that follow a success are in [`End::Succeeded`].
    pub enqueued: Vec<NewJob>,
    /// How long it took.
    pub elapsed: Duration,
}

impl TestRun {
    /// Its result.
    ///
    /// # Panics
    ///
    /// If it did not succeed, or its result is something else.
    #[must_use]
    #[track_caller]
    pub fn result<T: DeserializeOwned + Debug>(&self) -> T {
        let End::Succeeded { result, .. } = &self.end else {
            panic!("the job did not succeed: {self:?}");
        };
        let json = if result.is_empty() {
            b"null"
        } else {
            &**result
        };
        match serde_json::from_slice(json) {
            Ok(result) => result,
            Err(error) => panic!("the job returned something else ({error}): {self:?}"),
        }
    }
}
