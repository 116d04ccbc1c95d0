//! A unique key or a wait that the store would not look at is a mistake, found before the store is asked: silently
//! left out, the job would run twice, or too early.

use serde::{Deserialize, Serialize};
use tideway::jobs::call::Caps;
use tideway::jobs::{End, EnqueueError, Job, JobCx, JobResult, Jobs, Receipt, UniqueBy};
use tideway::testing::TestApp;
use tideway::testing::jobs::{Recorder, TestJob};
use tideway::{App, post};

#[derive(Serialize, Deserialize)]
struct Export;

impl Job for Export {
    const NAME: &'static str = "export";

    async fn run(self, cx: JobCx) -> JobResult {
        cx.then(cx.jobs().enqueue(Export).unique(UniqueBy::key("7")))?;
        Ok(())
    }
}

/// Two jobs that ask for more, each beside one that does not.
async fn four(jobs: Jobs) -> String {
    let export = || jobs.enqueue(Export);
    let other = jobs.next_id("default");
    let batch = [
        export(),
        export().unique(UniqueBy::key("7")),
        export().waits([other]),
        export(),
    ];
    let receipts = jobs.enqueue_all(batch).await;
    let one = export().unique(UniqueBy::key("8")).await;
    let say = |receipt: &Result<Receipt, EnqueueError>| match receipt {
        Ok(_) => "well".to_owned(),
        Err(error) => error.to_string(),
    };
    let all: Vec<_> = receipts.iter().chain([&one]).map(say).collect();
    all.join("\n")
}

fn answers(caps: Caps) -> (String, usize) {
    let store = Recorder::default();
    store.set_caps(caps);
    let app = App::bare().store(store.clone()).route("/", post(four));
    let text = TestApp::new(app).post("/").send().text().to_owned();
    (text, store.jobs().len())
}

#[test]
fn it_is_refused_with_the_cap_and_what_to_do_and_its_neighbours_are_enqueued() {
    let unique = "the job has a unique key, and its store declares `unique: false` in its `caps`: enqueue it without one, or use a store that keeps unique keys";
    let waits = "the job waits for others, and its store declares `waits: false` in its `caps`: enqueue it with `JobCx::then` from the job before it, or use a store that lets jobs wait";
    let wanted = ["well", unique, waits, "well", unique].join("\n");
    assert_eq!(answers(Caps::default()), (wanted, 2));
    let able = Caps {
        unique: true,
        waits: true,
        ..Caps::default()
    };
    assert_eq!(answers(able), (["well"; 5].join("\n"), 5));
}

#[test]
fn so_is_a_follow_up_job() {
    let run = TestJob::new(Export).run();
    assert!(matches!(run.end, End::Succeeded { .. }), "{run:?}");
    let run = TestJob::new(Export).caps(Caps::default()).run();
    let End::Failed { text, .. } = run.end else {
        panic!("{run:?}");
    };
    assert!(text.starts_with("the job has a unique key"), "{text}");
}
