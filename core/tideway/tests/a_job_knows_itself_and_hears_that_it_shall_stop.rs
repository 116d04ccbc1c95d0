//! A running job knows who it is, keeps how far it came, and hears that it shall stop.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tideway::jobs::{End, EnqueueError, Job, JobCx, JobError, JobResult};
use tideway::testing::jobs::TestJob;

#[derive(Serialize, Deserialize)]
enum Ask {
    Who,
    Wait,
    ThenTooMany,
    ThenFail,
}

impl Job for Ask {
    const NAME: &'static str = "ask";
    const QUEUE: &'static str = "questions";

    async fn run(self, cx: JobCx) -> JobResult {
        match self {
            Ask::Who => {
                assert_eq!(cx.fence(), format!("{}:{}", cx.id(), cx.token()));
                let (kind, queue) = (cx.kind(), cx.queue());
                let (attempt, failures, token) = (cx.attempt(), cx.failures(), cx.token());
                let all = format!("{kind} {queue} {attempt} {failures} {token}");
                cx.set_result(&"not the last word")?;
                cx.set_result(&all)?;
                Ok(())
            }
            Ask::Wait => {
                assert!(!cx.is_cancelled());
                cx.cancelled().await;
                assert!(cx.is_cancelled());
                cx.checkpoint_json(&"stopped")?;
                assert_eq!(cx.progress_json::<String>().as_deref(), Some("stopped"));
                Err(JobError::retry("asked to stop"))
            }
            Ask::ThenTooMany => {
                for _ in 0..JobCx::MAX_THEN {
                    cx.then(cx.jobs().enqueue(Ask::Who))?;
                }
                let more = cx.then(cx.jobs().enqueue(Ask::Who));
                assert_eq!(more, Err(EnqueueError::TooManyThen(JobCx::MAX_THEN)));
                let wrong = cx.then(cx.jobs().enqueue(Ask::Who).band(9));
                assert!(matches!(wrong, Err(EnqueueError::Invalid(_))));
                Ok(())
            }
            Ask::ThenFail => {
                cx.then(cx.jobs().enqueue(Ask::Who))?;
                Err("too late")?
            }
        }
    }
}

#[test]
fn it_knows_which_attempt_it_is() {
    let run = TestJob::new(Ask::Who).attempt(3).run();
    assert_eq!(run.result::<String>(), "ask questions 3 2 3");
    assert_eq!(run.checkpoint, None);
}

#[test]
fn it_hears_that_it_shall_stop_and_leaves_a_checkpoint() {
    let run = TestJob::new(Ask::Wait)
        .cancel_after(Duration::from_secs(7))
        .run();
    assert_eq!(run.elapsed, Duration::from_secs(7));
    assert_eq!(run.checkpoint.as_deref(), Some(&br#""stopped""#[..]));
    assert!(matches!(run.end, End::Failed { .. }));
}

#[test]
#[should_panic(expected = "the job stalls")]
fn a_test_that_never_ends_says_so() {
    let _ = TestJob::new(Ask::Wait).run();
}

#[test]
fn what_follows_a_success_is_capped_and_asks_no_store() {
    let run = TestJob::new(Ask::ThenTooMany).run();
    assert!(run.enqueued.is_empty());
    let End::Succeeded { then, .. } = run.end else {
        panic!("it succeeds");
    };
    assert_eq!(then.len(), JobCx::MAX_THEN);
}

#[test]
fn nothing_follows_a_failure() {
    let run = TestJob::new(Ask::ThenFail).run();
    assert!(run.enqueued.is_empty());
    assert!(matches!(run.end, End::Failed { .. }));
}
