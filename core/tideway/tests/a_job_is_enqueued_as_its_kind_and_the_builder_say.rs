//! What a kind says of its jobs is what the store is given, except where the builder says otherwise.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tideway::jobs::{
    Conflict, Hold, Job, JobCx, JobResult, Jobs, Keep, Name, NewJob, Retry, Start, Unique,
    UniqueBy, WaitFailed,
};
use tideway::testing::TestApp;
use tideway::testing::jobs::Recorder;
use tideway::{App, Wall, post};

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Serialize, Deserialize)]
struct Remind {
    user: u64,
}

impl Job for Remind {
    const NAME: &'static str = "remind";
    const QUEUE: &'static str = "mail";
    const BAND: u8 = 3;
    const STRIKES: u8 = 1;
    const TIMEOUT: Option<Duration> = Some(Duration::from_secs(5));
    const EXPIRY: Option<Duration> = Some(DAY);

    fn retry() -> Retry {
        Retry::fixed(Duration::from_secs(1)).attempts(2)
    }

    fn keep() -> Keep {
        Keep {
            succeeded: DAY,
            failed: DAY,
        }
    }

    fn unique(&self) -> Option<UniqueBy> {
        Some(UniqueBy::key(format!("user-{}", self.user)))
    }

    fn group(&self) -> Option<String> {
        Some(format!("tenant-{}", self.user % 2))
    }

    async fn run(self, _: JobCx) -> JobResult {
        Ok(())
    }
}

/// What the store is given by `handler`.
fn given<F, R>(handler: F) -> Vec<NewJob>
where
    F: Fn(Jobs) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let store = Recorder::default();
    let app = App::bare().store(store.clone()).route("/", post(handler));
    TestApp::new(app).post("/").send().assert_status(200);
    store.jobs()
}

fn unique(key: &str, hold: Hold, conflict: Conflict) -> Option<Unique> {
    let key = Name::new(key).expect("a name");
    Some(Unique {
        key,
        hold,
        conflict,
    })
}

#[test]
fn the_kind_says_it_all() {
    let jobs = given(async |jobs: Jobs| {
        jobs.enqueue(Remind { user: 7 }).await.expect("enqueued");
    });
    let NewJob {
        spec,
        payload,
        start,
    } = &jobs[0];
    assert_eq!((&**payload, *start), (&br#"{"user":7}"#[..], Start::Now));
    assert_eq!(
        (&*spec.kind, &*spec.queue, spec.band, spec.strikes),
        ("remind", "mail", 3, 1)
    );
    assert_eq!(
        (spec.timeout, spec.expiry),
        (Remind::TIMEOUT, Remind::EXPIRY)
    );
    assert_eq!((&spec.retry, spec.keep), (&Remind::retry(), Remind::keep()));
    assert_eq!(
        spec.unique,
        unique("user-7", Hold::UntilDone, Conflict::Keep)
    );
    assert_eq!(spec.group.as_deref(), Some("tenant-1"));
}

#[test]
fn the_builder_has_the_last_word() {
    let jobs = given(async |jobs: Jobs| {
        let remind = || jobs.enqueue(Remind { user: 7 });
        let first = remind().later(DAY).band(0).group("other");
        let second = remind()
            .at(Wall(5))
            .unique(UniqueBy::key("k").until_start().replacing());
        let (one, two) = (
            first.job_id().expect("an id"),
            second.job_id().expect("an id"),
        );
        let third = remind()
            .waits([one])
            .waits([two])
            .wait_failed(WaitFailed::Run)
            .unique(UniqueBy::key("k").within(DAY).rescheduling());
        for answer in jobs.enqueue_all([first, second, third]).await {
            answer.expect("enqueued");
        }
    });
    assert_eq!(
        jobs.iter().map(|job| job.start).collect::<Vec<_>>(),
        [Start::After(DAY), Start::At(Wall(5)), Start::Now]
    );
    let specs = [&jobs[0].spec, &jobs[1].spec, &jobs[2].spec];
    assert_eq!(
        (specs[0].band, specs[0].group.as_deref()),
        (0, Some("other"))
    );
    assert_eq!(
        specs[1].unique,
        unique("k", Hold::UntilStart, Conflict::Replace)
    );
    assert_eq!(
        specs[2].unique,
        unique("k", Hold::For(DAY), Conflict::Reschedule)
    );
    assert_eq!(specs[2].waits, [specs[0].id, specs[1].id]);
    assert_eq!(specs[2].wait_failed, WaitFailed::Run);
}

#[test]
fn a_key_that_is_no_name_is_refused() {
    let jobs = given(async |jobs: Jobs| {
        let key = UniqueBy::key("x".repeat(201));
        let error = jobs.enqueue(Remind { user: 7 }).unique(key).await;
        let text = error.expect_err("too long").to_string();
        assert!(
            text.starts_with("the unique key of a job: a name of 201 bytes is too long"),
            "{text}"
        );
    });
    assert!(jobs.is_empty());
}

#[test]
fn an_id_of_the_callers_own_is_one_job() {
    let jobs = given(async |jobs: Jobs| {
        let id = jobs.next_id(Remind::QUEUE);
        let again = || jobs.enqueue(Remind { user: 7 }).id(id);
        assert_eq!(again().await.expect("enqueued").id, id);
        assert_eq!(again().await.expect("known").id, id);
        let other = jobs.enqueue(Remind { user: 8 }).id(id).await;
        let text = other.expect_err("another job").to_string();
        assert!(
            text.starts_with(&format!("another job has the id {id}")),
            "{text}"
        );
    });
    assert_eq!(jobs.len(), 1);
}
