//! Payloads, checkpoints and results have one cap, set by the app or the store. What is over it is refused
//! with both sizes, and changes nothing for its neighbours in a batch.

use serde::{Deserialize, Serialize};
use tideway::jobs::{
    End, EnqueueError, InvalidJob, Job, JobCx, JobResult, Jobs, MaxPayload, Receipt,
};
use tideway::testing::TestApp;
use tideway::testing::jobs::{Recorder, TestJob};
use tideway::{App, Problem, post};

#[derive(Serialize, Deserialize)]
struct Text(String);

impl Text {
    /// One whose payload has `bytes` bytes: its text in quotes.
    fn of(bytes: usize) -> Self {
        Self("x".repeat(bytes - 2))
    }
}

impl Job for Text {
    const NAME: &'static str = "text";

    async fn run(self, _: JobCx) -> JobResult {
        Ok(())
    }
}

fn too_large(size: usize, max: usize) -> EnqueueError {
    EnqueueError::Invalid(InvalidJob::Payload { size, max })
}

#[test]
fn ten_mebibytes_are_refused_with_a_clear_error() {
    async fn large(jobs: Jobs) -> Result<(), Problem> {
        let error = jobs
            .enqueue(Text::of(10 << 20))
            .await
            .expect_err("too large");
        assert_eq!(
            error.to_string(),
            "the payload has 10485760 bytes, the cap is 1048576: store it elsewhere and enqueue a reference, or raise the cap"
        );
        Err(error.into())
    }
    let store = Recorder::default();
    let app = App::bare().store(store.clone()).route("/", post(large));
    TestApp::new(app).post("/").send().assert_status(500);
    assert_eq!(store.calls(), 0);
}

#[test]
fn the_cap_is_a_setting_and_neighbours_of_a_large_one_are_enqueued() {
    async fn three(jobs: Jobs) {
        let batch = [100, 101, 99].map(|size| jobs.enqueue(Text::of(size)));
        let answers = jobs.enqueue_all(batch).await;
        let new = answers
            .iter()
            .map(|a| a.as_ref().is_ok_and(Receipt::is_new));
        assert_eq!(new.collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(answers[1], Err(too_large(101, 100)));
    }
    let store = Recorder::default();
    let app = App::bare().set(MaxPayload(100)).store(store.clone());
    let mut app = TestApp::new(app.route("/", post(three)));
    app.post("/").send().assert_status(200);
    let sizes = store
        .jobs()
        .iter()
        .map(|job| job.payload.len())
        .collect::<Vec<_>>();
    assert_eq!((sizes, store.calls()), (vec![100, 99], 1));
}

#[test]
fn a_result_and_a_checkpoint_over_the_cap_end_the_attempt() {
    #[derive(Serialize, Deserialize)]
    struct Produce {
        checkpoint: usize,
        result: usize,
    }
    impl Job for Produce {
        const NAME: &'static str = "produce";

        async fn run(self, cx: JobCx) -> JobResult {
            cx.checkpoint(vec![b'x'; self.checkpoint])?;
            cx.set_result(&"x".repeat(self.result - 2))?;
            Ok(())
        }
    }
    let cap = MaxPayload::default().0;
    let run = |checkpoint, result| TestJob::new(Produce { checkpoint, result }).run();
    let fits = run(cap, cap);
    assert!(matches!(fits.end, End::Succeeded { .. }));
    assert_eq!(fits.checkpoint.map(|bytes| bytes.len()), Some(cap));

    for (run, what) in [(run(cap + 1, 2), "checkpoint"), (run(0, cap + 1), "result")] {
        let End::Failed { text, .. } = run.end else {
            panic!("{run:?}");
        };
        let wanted = format!("the {what} has 1048577 bytes, the cap is 1048576");
        assert!(text.starts_with(&wanted), "{text}");
    }
}

#[test]
fn what_no_store_could_keep_is_refused_before_it_is_asked() {
    async fn wrong(jobs: Jobs) {
        let text = || jobs.enqueue(Text::of(2));
        let other = jobs.next_id("another queue");
        assert_eq!(text().band(8).await, Err(InvalidJob::Band.into()));
        assert_eq!(text().id(other).await, Err(InvalidJob::Shard.into()));
        let nanosecond = std::time::Duration::from_nanos(1);
        assert_eq!(
            text().later(nanosecond).await,
            Err(InvalidJob::TooShort("delay").into())
        );
        let error = text().group("").band(8).await.expect_err("no name");
        assert!(
            error
                .to_string()
                .starts_with("the group of a job: a name is empty"),
            "{error}"
        );
    }
    let store = Recorder::default();
    let app = App::bare().store(store.clone()).route("/", post(wrong));
    TestApp::new(app).post("/").send().assert_status(200);
    assert_eq!(store.calls(), 0);
}
