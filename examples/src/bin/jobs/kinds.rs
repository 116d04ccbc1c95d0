//! The kinds of jobs: one per way in which a job can end, or not end.
//!
//! Each works for `ms` milliseconds first. A `start` is written to the journal when the handler is
//! entered, a `finish` when it returns, well or not.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tideway::jobs::{Enqueue, Job, JobCx, JobError, JobResult, Jobs, Retry};
use tideway::{App, Needs};

use crate::journal::Journal;

/// Succeeds.
#[derive(Serialize, Deserialize)]
pub(crate) struct Fine {
    pub(crate) ms: u64,
}

/// Fails at every attempt.
#[derive(Serialize, Deserialize)]
struct Fails {
    ms: u64,
}

/// Panics at every attempt.
#[derive(Serialize, Deserialize)]
struct Panics {
    ms: u64,
}

/// Never ends by itself: its timeout ends it.
#[derive(Serialize, Deserialize)]
struct Hangs {
    ms: u64,
}

/// Takes the whole process down.
#[derive(Serialize, Deserialize)]
struct Aborts {
    ms: u64,
}

/// Takes its time, and does not listen when it is asked to stop.
#[derive(Serialize, Deserialize)]
struct Sleeps {
    ms: u64,
}

impl Job for Fine {
    const NAME: &'static str = "ok";

    fn needs(needs: &mut Needs) {
        needs.service::<Journal>();
    }

    async fn run(self, cx: JobCx) -> JobResult {
        work(&cx, self.ms).await?;
        finish(&cx)
    }
}

impl Job for Fails {
    const NAME: &'static str = "fail";

    fn retry() -> Retry {
        soon()
    }

    fn needs(needs: &mut Needs) {
        needs.service::<Journal>();
    }

    async fn run(self, cx: JobCx) -> JobResult {
        work(&cx, self.ms).await?;
        finish(&cx)?;
        Err(JobError::retry("it fails, as its kind says"))
    }
}

impl Job for Panics {
    const NAME: &'static str = "panic";

    fn retry() -> Retry {
        soon()
    }

    fn needs(needs: &mut Needs) {
        needs.service::<Journal>();
    }

    async fn run(self, cx: JobCx) -> JobResult {
        work(&cx, self.ms).await?;
        panic!("it panics, as its kind says");
    }
}

impl Job for Hangs {
    const NAME: &'static str = "hang";
    const TIMEOUT: Option<Duration> = Some(Duration::from_secs(2));

    fn retry() -> Retry {
        soon()
    }

    fn needs(needs: &mut Needs) {
        needs.service::<Journal>();
    }

    async fn run(self, cx: JobCx) -> JobResult {
        work(&cx, self.ms).await?;
        std::future::pending().await
    }
}

impl Job for Aborts {
    const NAME: &'static str = "abort";

    fn needs(needs: &mut Needs) {
        needs.service::<Journal>();
    }

    async fn run(self, cx: JobCx) -> JobResult {
        work(&cx, self.ms).await?;
        std::process::abort()
    }
}

impl Job for Sleeps {
    const NAME: &'static str = "sleep";

    fn needs(needs: &mut Needs) {
        needs.service::<Journal>();
    }

    async fn run(self, cx: JobCx) -> JobResult {
        work(&cx, self.ms).await?;
        finish(&cx)
    }
}

/// Three attempts in less than a second: a demonstration does not wait for the default's hours.
fn soon() -> Retry {
    Retry::exp(Duration::from_millis(200), 2).attempts(3)
}

fn journal(cx: &JobCx) -> Result<&Journal, JobError> {
    cx.service()
        .ok_or_else(|| JobError::fatal("no journal was provided"))
}

async fn work(cx: &JobCx, ms: u64) -> JobResult {
    journal(cx)?.start(cx)?;
    if ms > 0 {
        cx.clock().sleep(Duration::from_millis(ms)).await;
    }
    Ok(())
}

/// The result names the start that brought it: two can never both be kept.
fn finish(cx: &JobCx) -> JobResult {
    journal(cx)?.finish(cx)?;
    cx.set_result(&json!({ "token": cx.token() }))?;
    Ok(())
}

/// An app that runs all of them.
pub(crate) fn app(journal: Journal) -> App {
    App::bare()
        .provide(journal)
        .job::<Fine>()
        .job::<Fails>()
        .job::<Panics>()
        .job::<Hangs>()
        .job::<Aborts>()
        .job::<Sleeps>()
}

/// A kind, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ok,
    Fail,
    Panic,
    Hang,
    Abort,
    Sleep,
}

impl Kind {
    const ALL: [Kind; 6] = [
        Kind::Ok,
        Kind::Fail,
        Kind::Panic,
        Kind::Hang,
        Kind::Abort,
        Kind::Sleep,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ok => Fine::NAME,
            Kind::Fail => Fails::NAME,
            Kind::Panic => Panics::NAME,
            Kind::Hang => Hangs::NAME,
            Kind::Abort => Aborts::NAME,
            Kind::Sleep => Sleeps::NAME,
        }
    }

    /// How long it works if nobody says.
    const fn default_ms(self) -> u64 {
        match self {
            Kind::Sleep => 1_000,
            _ => 0,
        }
    }

    /// A job of the kind.
    pub(crate) fn enqueue(self, jobs: &Jobs, ms: Option<u64>) -> Enqueue {
        let ms = ms.unwrap_or(self.default_ms());
        match self {
            Kind::Ok => jobs.enqueue(Fine { ms }),
            Kind::Fail => jobs.enqueue(Fails { ms }),
            Kind::Panic => jobs.enqueue(Panics { ms }),
            Kind::Hang => jobs.enqueue(Hangs { ms }),
            Kind::Abort => jobs.enqueue(Aborts { ms }),
            Kind::Sleep => jobs.enqueue(Sleeps { ms }),
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Kind::name).join(", ");
            format!("there is no kind {text:?}: use one of {names}")
        })
    }
}
