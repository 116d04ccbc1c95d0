//! The test tool's own promises: it never hangs, it says what it saw, it is replayable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tideway::testing::{BodyFeed, TestApp};
use tideway::{App, Clock, Problem, RequestId, get, http::StatusCode, post};

/// What `test` panics with.
#[track_caller]
fn complaint<T>(test: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(test()))).expect_err("a complaint");
    let text = panic.downcast::<String>().expect("a text");
    *text
}

async fn never() -> &'static str {
    std::future::pending().await
}

#[test]
fn a_stall_is_named() {
    let app = App::bare()
        .route("/never", get(never))
        .route("/upload", post(async |text: String| text));
    let mut app = TestApp::new(app);
    let text = complaint(|| app.get("/never").send());
    assert!(
        text.starts_with("GET /never HTTP/1.1 stalls: no answer yet"),
        "{text}"
    );
    let text = complaint(|| app.post("/upload").feed(&BodyFeed::new()).send());
    assert!(text.contains("its request body is still open"), "{text}");
}

#[test]
fn a_busy_loop_and_an_endless_wait_are_too() {
    async fn busy() {
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            std::task::Poll::<()>::Pending
        })
        .await;
    }
    async fn endless(clock: Clock) {
        loop {
            clock.sleep(Duration::from_secs(60)).await;
        }
    }
    let app = App::bare()
        .route("/busy", get(busy))
        .route("/endless", get(endless));
    let mut app = TestApp::new(app);
    assert!(complaint(|| app.get("/busy").send()).contains("spins"));
    assert!(complaint(|| app.get("/endless").send()).contains("a day of virtual time"));
}

#[test]
fn a_failed_assertion_shows_the_exchange() {
    let teapot = || Problem::new(StatusCode::IM_A_TEAPOT).detail("short and stout");
    let mut app = TestApp::new(App::new().route("/tea", get(teapot)));
    let response = app.get("/tea?sugar=2").send();
    for text in [
        complaint(|| response.assert_status(200).elapsed()),
        complaint(|| response.assert_header("x-no", "").elapsed()),
        complaint(|| response.assert_text("tea").elapsed()),
        complaint(|| response.assert_json_path("/status", &200).elapsed()),
        complaint(|| response.assert_json_path("/sugar", &2).elapsed()),
        complaint(|| response.assert_problem(418, "tall").elapsed()),
        complaint(|| response.json::<u8>()),
    ] {
        for part in [
            "> GET /tea?sugar=2",
            "< 418",
            "< x-request-id: ",
            "short and stout",
        ] {
            assert!(text.contains(part), "no {part:?} in: {text}");
        }
    }
}

#[test]
fn mistakes_in_an_app_are_listed() {
    let app = || {
        App::bare()
            .route("no-slash", get(never))
            .without_stage("none")
    };
    let error = TestApp::try_new(app()).expect_err("two mistakes");
    assert_eq!(error.errors().len(), 2);
    let text = complaint(|| TestApp::new(app()));
    assert!(
        error.errors().iter().all(|error| text.contains(error)),
        "{text}"
    );
}

#[test]
fn the_same_seed_gives_the_same_ids() {
    let ids = |seed| {
        let app = App::new().route("/", get(|id: RequestId| id.to_string()));
        let mut app = TestApp::with_seed(app, seed);
        [(); 3].map(|()| app.get("/").send().text().to_owned())
    };
    assert_eq!(ids(1), ids(1));
    assert_ne!(ids(1), ids(2));
    let [a, b, c] = ids(3);
    assert!(a != b && b != c && a != c);
}

#[test]
fn spawned_tasks_run_while_time_passes() {
    async fn spawn(clock: Clock) -> &'static str {
        let (sleep, tasks) = (clock.sleep(Duration::from_secs(5)), clock.tasks().clone());
        tasks.spawn(Box::pin(sleep));
        "spawned"
    }
    let mut app = TestApp::new(App::new().route("/", get(spawn)));
    app.get("/").send().assert_text("spawned");
    assert_eq!(app.tasks().spawned(), 1);
    app.advance(Duration::from_secs(5));
    assert_eq!(app.tasks().spawned(), 0);
}
