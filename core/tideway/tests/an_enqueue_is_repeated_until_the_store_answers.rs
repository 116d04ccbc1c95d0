//! An enqueue outlives a short fault of the store and is still one job. After 30 seconds it says whether
//! the job may be there.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tideway::jobs::call::Enqueued;
use tideway::jobs::{EnqueueError, Job, JobCx, JobResult, Jobs, Receipt, StoreError};
use tideway::testing::TestApp;
use tideway::testing::jobs::{Fault, Recorder};
use tideway::{App, Clock, post};

#[derive(Serialize, Deserialize)]
struct Work;

impl Job for Work {
    const NAME: &'static str = "work";

    async fn run(self, _: JobCx) -> JobResult {
        Ok(())
    }
}

struct Tried {
    answers: Vec<Result<Receipt, EnqueueError>>,
    elapsed: Duration,
    store: Recorder,
}

/// Enqueues `jobs` while the store has `fault`, for so long.
fn enqueue(jobs: usize, fault: Fault, lasts: Duration) -> Tried {
    let store = Recorder::default();
    store.set_fault(fault);
    let (answers, note) = std::sync::mpsc::channel();
    let faulty = store.clone();
    let handler = move |enqueuer: Jobs, clock: Clock| {
        let (healed, heal, answers) = (faulty.clone(), clock.sleep(lasts), answers.clone());
        clock.tasks().spawn(Box::pin(async move {
            heal.await;
            healed.set_fault(None);
        }));
        async move {
            let batch: Vec<_> = (0..jobs).map(|_| enqueuer.enqueue(Work)).collect();
            for answer in enqueuer.enqueue_all(batch).await {
                answers.send(answer).expect("somebody listens");
            }
        }
    };
    let mut app = TestApp::new(App::bare().store(store.clone()).route("/", post(handler)));
    let response = app.post("/").send();
    response.assert_status(200);
    Tried {
        answers: note.try_iter().collect(),
        elapsed: response.elapsed(),
        store,
    }
}

const LONG: Duration = Duration::from_secs(3600);

fn transient() -> StoreError {
    StoreError::Transient("locked".into())
}

#[test]
fn a_short_fault_is_waited_out() {
    let tried = enqueue(1, Fault::Fail(transient()), Duration::from_secs(2));
    let receipt = tried.answers[0].as_ref().expect("enqueued");
    assert_eq!(receipt.outcome, Enqueued::Inserted);
    assert!(
        (2..8).contains(&tried.elapsed.as_secs()),
        "{:?}",
        tried.elapsed
    );
    assert!(
        (4..12).contains(&tried.store.calls()),
        "{}",
        tried.store.calls()
    );
}

#[test]
fn a_lost_reply_makes_no_second_job() {
    let tried = enqueue(3, Fault::LoseReply, Duration::from_secs(2));
    let ids: Vec<_> = tried.store.jobs().iter().map(|job| job.spec.id).collect();
    let receipt = |id| {
        Ok(Receipt {
            id,
            outcome: Enqueued::Duplicate,
        })
    };
    assert_eq!(tried.answers, [0, 1, 2].map(|at| receipt(ids[at])));
    assert_eq!(ids.len(), 3);
}

#[test]
fn after_thirty_seconds_without_any_lost_reply_it_was_not_enqueued() {
    let tried = enqueue(2, Fault::Fail(transient()), LONG);
    let wanted = Err(EnqueueError::Unavailable("locked".into()));
    assert_eq!(tried.answers, [wanted.clone(), wanted]);
    assert_eq!(tried.elapsed, Duration::from_secs(30));
}

#[test]
fn after_thirty_seconds_with_one_nobody_knows() {
    for fault in [Fault::LoseReply, Fault::Hang] {
        let tried = enqueue(1, fault, LONG);
        let answer = &tried.answers[0];
        assert!(
            matches!(answer, Err(EnqueueError::Ambiguous(_))),
            "{answer:?}"
        );
        assert_eq!(tried.elapsed, Duration::from_secs(30));
        assert_eq!(tried.store.jobs().len(), 1);
    }
}

#[test]
fn what_no_repeat_can_help_is_reported_at_once() {
    let full = StoreError::Fatal("the disk is full".into());
    let tried = enqueue(1, Fault::Fail(full.clone()), LONG);
    assert_eq!(tried.answers, [Err(EnqueueError::Store(full))]);
    assert_eq!((tried.elapsed, tried.store.calls()), (Duration::ZERO, 1));
}

#[test]
fn large_batches_are_split_in_order() {
    let tried = enqueue(2500, Fault::Fail(transient()), Duration::from_millis(1));
    let ids: Vec<_> = tried.store.jobs().iter().map(|job| job.spec.id).collect();
    let answered: Vec<_> = tried
        .answers
        .iter()
        .flatten()
        .map(|receipt| receipt.id)
        .collect();
    assert_eq!(ids, answered);
    assert_eq!(ids.len(), 2500);
    assert!(ids.is_sorted());
    // A failed one and three.
    assert_eq!(tried.store.calls(), 4);
}
