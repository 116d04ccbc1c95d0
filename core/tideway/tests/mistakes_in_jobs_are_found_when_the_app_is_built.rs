//! What is wrong with the jobs of an app never waits for the first of them: the app does not start, and
//! says which job lacks what.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tideway::jobs::call::Caps;
use tideway::jobs::cron::{Overlap, Schedule};
use tideway::jobs::{Cron, Job, JobCx, JobResult, Jobs, Retry};
use tideway::testing::TestApp;
use tideway::testing::jobs::Recorder;
use tideway::{App, Needs, get};

/// A job whose constants are given in place.
macro_rules! job {
    ($type:ident, $name:literal $(, $more:item)*) => {
        #[derive(Serialize, Deserialize)]
        struct $type;

        impl Job for $type {
            const NAME: &'static str = $name;
            $($more)*

            async fn run(self, _: JobCx) -> JobResult {
                Ok(())
            }
        }
    };
}

struct Mailer;

job!(Good, "good");
job!(Namesake, "good");
job!(Nameless, "");
job!(Elsewhere, "elsewhere", const QUEUE: &'static str = "a\nb";);
job!(Bandless, "bandless", const BAND: u8 = 8;);
job!(Struck, "struck", const STRIKES: u8 = 0;);
job!(
    Instant,
    "instant",
    const TIMEOUT: Option<Duration> = Some(Duration::from_nanos(1));
);
job!(
    Hopeless,
    "hopeless",
    fn retry() -> Retry {
        Retry::default().attempts(0)
    }
);
job!(
    Needy,
    "needy",
    fn needs(needs: &mut Needs) {
        needs.service::<Mailer>();
    }
);

job!(
    Chained,
    "chained",
    fn needs(needs: &mut Needs) {
        needs.service::<Jobs>();
    }
);

fn errors(app: App) -> Vec<String> {
    match TestApp::try_new(app) {
        Ok(_) => Vec::new(),
        Err(error) => error.errors().to_vec(),
    }
}

fn with_store() -> App {
    App::bare().store(Recorder::default())
}

/// The one error of `app`.
#[track_caller]
fn error(app: App) -> String {
    let mut errors = errors(app);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

#[test]
fn a_missing_service() {
    let wanted = "the job `needy` needs a `mistakes_in_jobs_are_found_when_the_app_is_built::Mailer`; give the app one with `provide`";
    assert_eq!(error(with_store().job::<Needy>()), wanted);
    assert!(errors(with_store().job::<Needy>().provide(Mailer)).is_empty());
}

#[test]
fn two_kinds_of_one_name() {
    let text = error(with_store().job::<Good>().job::<Namesake>());
    assert!(
        text.contains("::Namesake`: another job is called `good` too"),
        "{text}"
    );
    let text = error(with_store().job::<Good>().job::<Good>());
    assert!(
        text.contains("::Good`: another job is called `good` too"),
        "{text}"
    );
}

#[test]
fn a_constant_that_no_store_could_keep() {
    let wanted = [
        (
            with_store().job::<Nameless>(),
            "`NAME` of a job: a name is empty",
        ),
        (
            with_store().job::<Elsewhere>(),
            "`QUEUE` of a job: a name has a control character",
        ),
        (with_store().job::<Bandless>(), "there is no such band"),
        (with_store().job::<Struck>(), "strikes is 0"),
        (
            with_store().job::<Instant>(),
            "its timeout is under a millisecond",
        ),
        (
            with_store().job::<Hopeless>(),
            "the retry rule of a job: attempts is 0",
        ),
    ];
    for (app, wanted) in wanted {
        let text = error(app);
        assert!(text.contains(wanted), "{text}");
    }
}

#[test]
fn no_store_or_two_or_handlers_that_want_one() {
    let text = error(App::bare().job::<Good>());
    assert_eq!(
        text,
        "the job `good` has no store to come from; give the app one with `store`"
    );
    assert_eq!(
        error(with_store().store(Recorder::default())),
        "`store` was given twice; keep one"
    );
    const WANTS: &str = "needs `Jobs`; give the app a job store with `store`";
    let text = error(App::bare().route("/", get(|_: Jobs| "")));
    assert_eq!(text, format!("GET / {WANTS}"));
    let text = error(App::bare().fallback(|_: Jobs| ""));
    assert_eq!(text, format!("the `fallback` {WANTS}"));
    let both = errors(App::bare().job::<Chained>());
    assert_eq!(both[1..], [format!("the job `chained` {WANTS}")]);
    assert!(errors(with_store().job::<Chained>()).is_empty());
}

#[test]
fn entries_of_the_crontab_that_the_store_would_not_keep() {
    let errors = |caps, overlap| {
        let store = Recorder::default();
        store.set_caps(caps);
        let daily = Cron::new("nightly", Schedule::parse("@daily"), Good).overlap(overlap);
        errors(App::bare().store(store).job::<Good>().cron(daily))
    };
    let plain = Caps::default();
    let cron = Caps {
        cron: true,
        ..plain
    };
    let unique = Caps {
        unique: true,
        ..cron
    };
    let text = errors(plain, Overlap::Allow).concat();
    assert_eq!(
        text,
        "the cron entry `nightly`: the job store declares `cron: false` in its `caps`; leave the entry out, or use a store that keeps cron entries"
    );
    assert!(errors(cron, Overlap::Allow).is_empty());
    let text = errors(cron, Overlap::Skip).concat();
    assert!(
        text.starts_with("the cron entry `nightly`: its `overlap` needs a unique key, and the job store declares `unique: false`"),
        "{text}"
    );
    assert!(errors(unique, Overlap::Skip).is_empty());
}

#[test]
fn entries_of_the_crontab() {
    let cron = |text: &str| Cron::new("nightly", Schedule::parse(text), Good);
    let app = || with_store().job::<Good>();
    assert!(errors(app().cron(cron("@daily"))).is_empty());
    let text = error(app().cron(cron("61 * * * *")));
    assert!(
        text.starts_with("the cron entry `nightly`: minute: \"61\""),
        "{text}"
    );
    let text = error(app().cron(cron("@daily")).cron(cron("@hourly")));
    assert_eq!(
        text,
        "the cron entry `nightly` is there twice; give each a key of its own"
    );
    let text = error(with_store().cron(cron("@daily")));
    assert!(
        text.contains("enqueues the job `good`, which is not registered"),
        "{text}"
    );
}
