//! A job that does not succeed says what follows: another attempt by its rule or at a time it names,
//! none at all, or a later start that counts as no attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use tideway::jobs::{End, Job, JobCx, JobError, JobResult};
use tideway::testing::jobs::TestJob;

#[derive(Serialize, Deserialize)]
enum Fetch {
    Plain,
    Chain,
    After,
    Fatal,
    Snooze,
    NoResult,
    Nothing,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot fetch")]
struct Fetching(#[source] std::num::ParseIntError);

impl Job for Fetch {
    const NAME: &'static str = "fetch";

    async fn run(self, cx: JobCx) -> JobResult {
        let wait = Duration::from_secs(9);
        match self {
            Fetch::Plain => Err("no answer")?,
            Fetch::Chain => Err(Fetching("x".parse::<u8>().expect_err("no number")))?,
            Fetch::After => Err(JobError::retry_after(wait, "busy")),
            Fetch::Fatal => Err(JobError::fatal("gone")),
            Fetch::Snooze => Err(JobError::snooze(wait)),
            Fetch::NoResult => {
                cx.set_result(&1)?;
                Ok(cx.set_result(&NoJson)?)
            }
            Fetch::Nothing => Ok(()),
        }
    }
}

fn failed(text: &str, after: Option<Duration>) -> End {
    let text = text.to_owned();
    End::Failed { text, after }
}

#[test]
fn each_kind_of_error_has_its_end() {
    let wait = Duration::from_secs(9);
    let chain = "cannot fetch: invalid digit found in string";
    let wanted = [
        (Fetch::Plain, failed("no answer", None)),
        (Fetch::Chain, failed(chain, None)),
        (Fetch::After, failed("busy", Some(wait))),
        (
            Fetch::Fatal,
            End::Fatal {
                text: "gone".into(),
            },
        ),
        (Fetch::Snooze, End::Snoozed(wait)),
        (
            Fetch::NoResult,
            failed("the result is no JSON: not today", None),
        ),
    ];
    for (job, end) in wanted {
        assert_eq!(TestJob::new(job).run().end, end);
    }
}

struct NoJson;

impl Serialize for NoJson {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

#[test]
fn a_success_needs_no_result() {
    let run = TestJob::new(Fetch::Nothing).run();
    let nothing = End::Succeeded {
        result: Default::default(),
        then: Vec::new(),
    };
    assert_eq!(run.end, nothing);
}
