//! What was begun is accounted for: completed, aborted, or in flight.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tideway::bytes::Bytes;
use tideway::pipeline::Abort;
use tideway::stages::{Accounts, Counts, TimeoutLimits};
use tideway::testing::{BodyFeed, TestApp};
use tideway::{App, Body, BoxError, Clock, Response, get, post};

async fn ticks(clock: Clock) -> Response {
    let ticks = stream::repeat(()).then(move |()| {
        let wait = clock.sleep(Duration::from_secs(1));
        async move {
            wait.await;
            Ok::<_, BoxError>(Bytes::from("tick"))
        }
    });
    Response::new(Body::stream(ticks))
}

fn app(accounts: &Accounts) -> TestApp {
    let short = TimeoutLimits {
        total: Some(Duration::from_secs(3)),
        ..TimeoutLimits::default()
    };
    TestApp::new(
        App::new()
            .route("/", get(|| "hello"))
            .route(
                "/never",
                get(async || std::future::pending::<&'static str>().await),
            )
            .route("/ticks", get(ticks))
            .route("/cut", get(ticks).set(short))
            .route(
                "/panic",
                get(async || -> &'static str { panic!("on purpose") }),
            )
            .route("/upload", post(async |text: String| text))
            .without_stage("accounts")
            .stage_before("host", accounts.clone()),
    )
}

#[test]
fn on_any_way_to_end() {
    let accounts = Accounts::default();
    let mut app = app(&accounts);
    let (mut completed, mut aborted, mut panicked) = (0, 0, 0);
    let mut check = |(c, a, p): (u64, u64, u64)| {
        (completed, aborted, panicked) = (completed + c, aborted + a, panicked + p);
        let expected = Counts {
            started: completed + aborted,
            completed,
            aborted,
            panicked,
            in_flight: 0,
        };
        assert_eq!(accounts.counts(), expected);
    };
    let (completes, aborts) = ((1, 0, 0), (0, 1, 0));

    drop(app.get("/").send());
    check(completes);
    drop(app.head("/ticks").send());
    check(completes);
    drop(app.get("/nowhere").send());
    check(completes);
    drop(app.get("/").without_header("host").send());
    check(completes);
    app.get("/never").send().assert_status(503);
    check(completes);
    app.post("/upload")
        .feed(&BodyFeed::new())
        .send()
        .assert_status(408);
    check(completes);
    drop(app.get("/panic").send());
    check((1, 0, 1));

    drop(app.get("/never").start());
    check(aborts);
    drop(app.get("/").start());
    check(aborts);
    drop(app.get("/ticks").start().next_chunk());
    check(aborts);
    app.get("/never").start().abort(Abort::Stop);
    check(aborts);
    drop(app.get("/cut").send());
    check(aborts);
    let mut blocked = app.get("/ticks").start();
    blocked.next_chunk();
    blocked.block();
    blocked.advance(Duration::from_secs(30));
    check(aborts);
    drop(blocked);
    check((0, 0, 0));
}

#[test]
fn while_they_run_they_are_in_flight() {
    let accounts = Accounts::default();
    let mut app = app(&accounts);
    let mut flights: Vec<_> = ["/ticks", "/never", "/ticks"]
        .into_iter()
        .map(|path| app.get(path).start())
        .collect();
    assert_eq!(accounts.counts().in_flight, 3);
    drop(flights.remove(1));
    assert_eq!(accounts.counts().in_flight, 2);
    flights.clear();
    assert_eq!(
        (accounts.counts().in_flight, accounts.counts().aborted),
        (0, 3)
    );
}
