//! A job that panics has failed, wherever it panics: whoever polls or drops it is never hurt.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde::{Deserialize, Deserializer, Serialize};
use tideway::jobs::{End, Event, Job, JobCx, JobError, JobResult, Kinds, Owner, Record, step};
use tideway::testing::VirtualTasks;
use tideway::testing::jobs::{Recorder, TestJob};
use tideway::{App, Clock, Seed, Tasks};

#[derive(Serialize, Deserialize)]
enum Panics {
    AtOnce,
    AfterAWait,
    InTheTextOfItsError,
    WhenDropped,
}

#[derive(Debug, thiserror::Error)]
#[error("{}", panics())]
struct BadText;

fn panics() -> &'static str {
    panic!("in the text")
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in a drop");
        }
    }
}

impl Job for Panics {
    const NAME: &'static str = "panics";

    fn run(self, cx: JobCx) -> impl Future<Output = JobResult> + Send {
        if let Panics::AtOnce = self {
            panic!("at once");
        }
        async move {
            match self {
                Panics::InTheTextOfItsError => Err(JobError::retry(BadText)),
                Panics::WhenDropped => {
                    let _bomb = Bomb;
                    cx.cancelled().await;
                    Ok(())
                }
                _ => {
                    cx.clock().sleep(std::time::Duration::from_secs(1)).await;
                    panic!("after a {}", "wait")
                }
            }
        }
    }
}

fn failed(text: &str) -> End {
    End::Failed {
        text: text.to_owned(),
        after: None,
    }
}

#[test]
fn its_message_is_the_text_of_the_failure() {
    let wanted = [
        (Panics::AtOnce, "panicked: at once"),
        (Panics::AfterAWait, "panicked: after a wait"),
        (Panics::InTheTextOfItsError, "panicked: in the text"),
    ];
    for (job, text) in wanted {
        assert_eq!(TestJob::new(job).run().end, failed(text));
    }
}

#[derive(Serialize)]
struct Undecodable;

impl<'de> Deserialize<'de> for Undecodable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("while it is decoded")
    }
}

impl Job for Undecodable {
    const NAME: &'static str = "undecodable";

    async fn run(self, _: JobCx) -> JobResult {
        Ok(())
    }
}

#[test]
fn so_it_is_while_the_payload_is_decoded() {
    let end = TestJob::new(Undecodable).run().end;
    assert_eq!(end, failed("panicked: while it is decoded"));
}

/// A claimed job of an app, as a worker has it.
fn claimed<T: Job>(job: T) -> tideway::jobs::Running {
    let tasks: Arc<dyn Tasks> = Arc::new(VirtualTasks::default());
    let app = App::bare().store(Recorder::default()).job::<T>();
    let app = app.seed(Seed::from_u64(1)).pipeline(tasks.clone());
    let app = app.expect("an app");
    let kinds = Kinds::of(&app).expect("it has a store");
    let new = kinds.jobs().enqueue(job).into_new_job().expect("a job");
    let now = Clock::new(tasks).now().wall;
    let mut record = Record::accepted(&new, Vec::new(), now);
    let claim = Event::Claim {
        owner: Owner(1),
        seq: 1,
        lease: std::time::Duration::from_secs(30),
    };
    step(&mut record, &claim, now).expect("a claim");
    kinds.start(&app, record).expect("a registered kind")
}

#[test]
fn dropping_a_job_that_panics_when_dropped_hurts_nobody() {
    let mut running = claimed(Panics::WhenDropped);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut running.work).poll(&mut cx).is_pending());
    drop(running);
}

#[test]
fn a_job_that_panics_at_its_end_has_failed() {
    let mut running = claimed(Panics::WhenDropped);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut running.work).poll(&mut cx).is_pending());
    running.state.cancel();
    let end = Pin::new(&mut running.work).poll(&mut cx);
    assert_eq!(end, Poll::Ready(failed("panicked: in a drop")));
}
