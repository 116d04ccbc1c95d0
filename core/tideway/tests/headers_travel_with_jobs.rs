//! The request id and the trace of a request travel with every job it enqueues, and with every job that
//! those enqueue: a line in a log leads back to the request.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tideway::jobs::{End, Job, JobCx, JobResult, Jobs, NewJob, REQUEST_ID, TRACEPARENT};
use tideway::testing::TestApp;
use tideway::testing::jobs::{Recorder, TestJob};
use tideway::{App, Problem, post};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Serialize, Deserialize)]
struct Work;

impl Job for Work {
    const NAME: &'static str = "work";

    async fn run(self, cx: JobCx) -> JobResult {
        cx.jobs().enqueue(Work).header("tenant", "second").await?;
        cx.then(cx.jobs().enqueue(Work))?;
        cx.set_result(&cx.header(TRACEPARENT))?;
        Ok(())
    }
}

fn headers(job: &NewJob) -> Vec<(&str, &str)> {
    let headers = &job.spec.headers;
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), &**value))
        .collect()
}

async fn enqueue(jobs: Jobs) -> Result<(), Problem> {
    jobs.enqueue(Work).await?;
    Ok(())
}

fn sent(app: App, trace: &str) -> (String, Arc<[NewJob]>) {
    let store = Recorder::default();
    let mut app = TestApp::new(app.store(store.clone()).route("/", post(enqueue)));
    let response = app.post("/").header(TRACEPARENT, trace).send();
    let id = response
        .headers()
        .get(REQUEST_ID)
        .map_or("", |id| id.to_str().expect("text"));
    (id.to_owned(), store.jobs().into())
}

#[test]
fn from_the_request_to_the_job() {
    let (id, jobs) = sent(App::new(), TRACE);
    assert!(!id.is_empty());
    assert_eq!(
        headers(&jobs[0]),
        [(REQUEST_ID, &*id), (TRACEPARENT, TRACE)]
    );
}

#[test]
fn what_the_request_does_not_have_is_left_out() {
    let (_, jobs) = sent(App::bare(), TRACE);
    assert_eq!(headers(&jobs[0]), [(TRACEPARENT, TRACE)]);
}

#[test]
fn a_header_that_is_too_long_for_a_job_fails_no_request() {
    let (id, jobs) = sent(App::new(), &"0".repeat(5000));
    assert_eq!(headers(&jobs[0]), [(REQUEST_ID, &*id)]);
}

#[test]
fn from_the_job_to_its_own_jobs() {
    let job = TestJob::new(Work)
        .header(TRACEPARENT, TRACE)
        .header("tenant", "first");
    let run = job.run();
    assert_eq!(run.result::<String>(), TRACE);
    assert_eq!(
        headers(&run.enqueued[0]),
        [(TRACEPARENT, TRACE), ("tenant", "second")]
    );
    let End::Succeeded { then, .. } = &run.end else {
        panic!("{run:?}");
    };
    assert_eq!(
        headers(&then[0]),
        [(TRACEPARENT, TRACE), ("tenant", "first")]
    );
}
