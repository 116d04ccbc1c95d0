//! Every deadline fires at its instant, answers while it can, cuts when it cannot, and is named.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tideway::bytes::Bytes;
use tideway::http::Version;
use tideway::pipeline::{Abort, Answer, Ask, Cx, End, Flow, Stage};
use tideway::stages::TimeoutLimits;
use tideway::testing::{BodyFeed, TestApp};
use tideway::{App, Body, BoxError, Clock, Response, get, post};

const SECOND: Duration = Duration::from_secs(1);

async fn never() -> &'static str {
    std::future::pending().await
}

async fn echo(text: String) -> String {
    text
}

/// One chunk every second, for ever.
async fn ticks(clock: Clock) -> Response {
    let stream = stream::repeat(()).then(move |()| {
        let tick = clock.sleep(SECOND);
        async move {
            tick.await;
            Ok::<_, BoxError>(Bytes::from_static(b"tick"))
        }
    });
    Response::new(Body::stream(stream))
}

fn total(limit: Duration) -> TimeoutLimits {
    TimeoutLimits {
        total: Some(limit),
        ..TimeoutLimits::default()
    }
}

#[test]
fn a_handler_that_hangs_is_503_after_exactly_30_seconds() {
    let mut app = TestApp::new(App::new().route("/", get(never)));
    let response = app.get("/").send();
    response
        .assert_problem(503, "longer than")
        .assert_complete();
    assert_eq!(response.elapsed(), 30 * SECOND);

    let mut flight = app.get("/").start();
    assert_eq!(flight.deadline().map(|(_, name)| name), Some("handler"));
    flight.advance(30 * SECOND - Duration::from_nanos(1));
    assert!(flight.poll_head().is_none());
    flight.advance(Duration::from_nanos(1));
    assert!(flight.poll_head().is_some());
}

#[test]
fn half_a_second_stays_half_a_second() {
    let limits = TimeoutLimits {
        handler: Some(Duration::from_millis(500)),
        ..TimeoutLimits::default()
    };
    let app = App::new()
        .route("/fast", get(never).set(limits))
        .route("/slow", get(never));
    let mut app = TestApp::new(app);
    assert_eq!(
        app.get("/fast").send().elapsed(),
        Duration::from_millis(500)
    );
    assert_eq!(app.get("/slow").send().elapsed(), 30 * SECOND);
}

#[test]
fn a_body_that_stops_arriving_is_408_and_closes() {
    let mut app = TestApp::new(App::new().route(
        "/",
        post(echo).set(TimeoutLimits {
            handler: None,
            ..TimeoutLimits::default()
        }),
    ));
    let feed = BodyFeed::new();
    let mut flight = app.post("/").feed(&feed).start();
    // Trickling is progress: each byte gives 30 more seconds.
    for _ in 0..3 {
        flight.advance(29 * SECOND);
        feed.push("x");
        assert!(flight.poll_head().is_none());
    }
    assert_eq!(flight.deadline().map(|(_, name)| name), Some("body in"));
    flight.advance(30 * SECOND - Duration::from_nanos(1));
    assert!(flight.poll_head().is_none());
    let response = flight.finish();
    response
        .assert_problem(408, "stopped arriving")
        .assert_header("connection", "close");
    assert_eq!(response.elapsed(), 117 * SECOND);
    assert!(feed.is_abandoned());
}

#[test]
fn the_handler_is_not_timed_while_it_waits_for_the_body() {
    async fn count(body: Bytes) -> String {
        body.len().to_string()
    }
    async fn read_then_sleep(clock: Clock, _: Bytes) -> &'static str {
        clock.sleep(31 * SECOND).await;
        "late"
    }
    let unlimited = TimeoutLimits {
        handler: Some(27 * SECOND),
        body_in: None,
        ..TimeoutLimits::default()
    };
    let app = App::new()
        .route("/count", post(count))
        .route("/sleep", post(read_then_sleep))
        .route("/total", post(count).set(total(45 * SECOND)))
        .route("/unlimited", post(count).set(unlimited));
    let mut app = TestApp::new(app);
    // A byte every nine seconds, for a minute and more.
    let upload = |app: &mut TestApp, path: &str| {
        let feed = BodyFeed::new();
        let mut flight = app.post(path).feed(&feed).start();
        for _ in 0..7 {
            flight.advance(9 * SECOND);
            feed.push("x");
            if flight.poll_head().is_some() {
                return flight.finish();
            }
        }
        assert_eq!(flight.deadline().map(|(_, name)| name), Some("body in"));
        feed.finish();
        flight.finish()
    };
    let response = upload(&mut app, "/count");
    response.assert_status(200).assert_text("7");
    assert_eq!(response.elapsed(), 63 * SECOND);

    // What it does by itself is timed, from where it stood.
    let response = upload(&mut app, "/sleep");
    response.assert_problem(503, "longer").assert_complete();
    assert_eq!(response.elapsed(), (63 + 30) * SECOND);

    // The total knows no pause, and the handler's knows none if no other deadline would run.
    let response = upload(&mut app, "/total");
    response.assert_problem(503, "longer");
    assert_eq!(response.elapsed(), 45 * SECOND);
    let response = upload(&mut app, "/unlimited");
    response.assert_problem(503, "longer");
    assert_eq!(response.elapsed(), 27 * SECOND);

    // A client that stops sending is late itself, however far it came.
    let feed = BodyFeed::new();
    let mut flight = app.post("/count").feed(&feed).start();
    for _ in 0..3 {
        flight.advance(20 * SECOND);
        feed.push("x");
        assert!(flight.poll_head().is_none());
    }
    let response = flight.finish();
    response.assert_problem(408, "stopped arriving");
    assert_eq!(response.elapsed(), 90 * SECOND);
}

#[test]
fn a_trickled_body_never_holds_a_handler_for_ever() {
    let app = App::new().route("/", post(async |body: Bytes| body.len().to_string()));
    let mut app = TestApp::new(app);
    for (piece, end) in [
        // Four silences of thirty seconds, and a millisecond for each of twelve bytes.
        (1, Duration::from_millis(120_012)),
        // Thirteen of these come: the twelve seconds that twelve have bought let in one more.
        (1_000, 133 * SECOND),
    ] {
        let feed = BodyFeed::new();
        let mut flight = app.post("/").feed(&feed).start();
        for _ in 0..end.as_secs() / 10 {
            flight.advance(10 * SECOND);
            assert!(flight.poll_head().is_none());
            feed.push("x".repeat(piece));
            assert!(flight.poll_head().is_none());
        }
        let response = flight.finish();
        response.assert_problem(408, "stopped arriving");
        assert_eq!(response.elapsed(), end);
    }
    // At more than a thousand bytes a second there is no end to it.
    let feed = BodyFeed::new();
    let mut flight = app.post("/").feed(&feed).start();
    for _ in 0..100 {
        flight.advance(10 * SECOND);
        feed.push("x".repeat(10_001));
        assert!(flight.poll_head().is_none());
    }
    feed.finish();
    flight.finish().assert_status(200).assert_text("1000100");
}

#[test]
fn http_2_has_no_connection_header() {
    let mut app = TestApp::new(App::new().route("/", post(echo)));
    let feed = BodyFeed::new();
    let response = app.post("/").version(Version::HTTP_2).feed(&feed).send();
    response
        .assert_problem(408, "stopped")
        .assert_no_header("connection");
}

#[test]
fn a_body_that_ended_or_was_dropped_is_not_waited_for() {
    async fn read_then_work(clock: Clock, text: String) -> String {
        clock.sleep(100 * SECOND).await;
        text
    }
    async fn peek_then_work(clock: Clock, body: Body) -> &'static str {
        let mut chunks = body.into_data_stream();
        futures_util::future::select(chunks.next(), clock.sleep(SECOND)).await;
        drop(chunks);
        clock.sleep(100 * SECOND).await;
        "bored"
    }
    let limits = TimeoutLimits {
        handler: None,
        ..TimeoutLimits::default()
    };
    let app = App::new()
        .route("/read", post(read_then_work))
        .route("/peek", post(peek_then_work))
        .set(limits);
    let mut app = TestApp::new(app);

    let feed = BodyFeed::new();
    let mut flight = app.post("/read").feed(&feed).start();
    feed.push("all");
    assert!(flight.poll_head().is_none());
    flight.advance(SECOND);
    feed.finish();
    flight.finish().assert_status(200).assert_text("all");

    let feed = BodyFeed::new();
    let response = app.post("/peek").feed(&feed).send();
    response.assert_status(200).assert_text("bored");
    assert_eq!(response.elapsed(), 101 * SECOND);
}

#[test]
fn an_unread_request_body_does_not_cut_the_response() {
    /// Gives up on the body after a second, and keeps or drops what is left of it.
    async fn answer(clock: Clock, body: Body, keep: bool) -> Response {
        let mut chunks = body.into_data_stream();
        futures_util::future::select(chunks.next(), clock.sleep(SECOND)).await;
        let kept = keep.then_some(chunks);
        let ticks = ticks(clock).await.into_body().into_data_stream();
        Response::new(Body::stream(ticks.inspect(move |_| {
            let _ = &kept;
        })))
    }
    let app = App::new()
        .route("/keep", post(|clock, body| answer(clock, body, true)))
        .route("/drop", post(|clock, body| answer(clock, body, false)));
    let mut app = TestApp::new(app);
    for path in ["/keep", "/drop"] {
        let mut flight = app.post(path).feed(&BodyFeed::new()).start();
        for _ in 0..60 {
            assert!(flight.next_chunk().is_some(), "{flight:?}");
        }
    }
}

#[test]
fn the_total_answers_before_the_head_and_cuts_after_it() {
    let app = App::new()
        .route("/never", get(never).set(total(3 * SECOND)))
        .route(
            "/ticks",
            get(ticks).set(total(Duration::from_millis(3_500))),
        );
    let mut app = TestApp::new(app);
    let response = app.get("/never").send();
    response.assert_problem(503, "longer").assert_complete();
    assert_eq!(response.elapsed(), 3 * SECOND);

    let response = app.get("/ticks").send();
    response.assert_status(200).assert_text("tickticktick");
    response.assert_aborted(Abort::Deadline("total"));
    assert_eq!(response.elapsed(), Duration::from_millis(3_500));
}

#[test]
fn two_deadlines_at_one_instant_are_one_answer() {
    let mut app = TestApp::new(App::new().route("/", get(never).set(total(30 * SECOND))));
    app.get("/")
        .send()
        .assert_problem(503, "longer")
        .assert_complete();
    // Nor do deadlines that passed while nobody looked.
    let mut app = TestApp::new(App::new().route("/", get(never).set(total(31 * SECOND))));
    let flight = app.get("/").start();
    app.advance(60 * SECOND);
    flight
        .finish()
        .assert_problem(503, "longer")
        .assert_complete();
}

#[test]
fn a_peer_that_takes_nothing_is_cut_by_body_out() {
    let mut app = TestApp::new(App::new().route("/", get(ticks)));
    let mut flight = app.get("/").start();
    assert!(flight.next_chunk().is_some());
    flight.block();
    assert_eq!(flight.deadline().map(|(_, name)| name), Some("body out"));
    flight.advance(29 * SECOND);
    assert_eq!(flight.end(), None);
    flight.unblock();
    flight.advance(100 * SECOND);
    assert_eq!(flight.end(), None);
    flight.block();
    flight.advance(10 * SECOND);
    // Blocked still: saying so again gives no more time.
    flight.block();
    flight.advance(20 * SECOND);
    assert_eq!(
        flight.end(),
        Some(&End::Aborted(Abort::Deadline("body out")))
    );
    assert_eq!(flight.elapsed(), 160 * SECOND);
}

/// Asks in `response`, for something that never comes.
struct AsksForEver;

impl Stage for AsksForEver {
    fn name(&self) -> &'static str {
        "asks"
    }

    fn response(&self, _: &mut Cx<'_>) -> Flow {
        Flow::Ask(Ask::Future(Box::pin(std::future::pending::<Answer>())))
    }
}

#[test]
fn a_stage_that_asks_on_the_way_out_has_five_seconds_of_grace() {
    let app = App::new()
        .route("/never", get(never))
        .route("/hello", get(|| "hello"))
        .stage_before("host", AsksForEver)
        .stage(Double(AsksForEver));
    let mut app = TestApp::new(app);
    // One grace for both of them.
    let response = app.get("/never").send();
    response.assert_problem(503, "longer").assert_complete();
    assert_eq!(response.elapsed(), 35 * SECOND);
    // Not only after a deadline: no stage keeps an answer for ever.
    let response = app.get("/hello").send();
    response.assert_status(200).assert_text("hello");
    assert_eq!(response.elapsed(), 35 * SECOND);
}

/// The same stage under another name.
struct Double(AsksForEver);

impl Stage for Double {
    fn name(&self) -> &'static str {
        "asks too"
    }

    fn response(&self, cx: &mut Cx<'_>) -> Flow {
        self.0.response(cx)
    }
}

#[test]
fn a_stage_words_the_answer_to_a_deadline() {
    struct Words;
    impl Stage for Words {
        fn name(&self) -> &'static str {
            "words"
        }
        fn timeout(&self, _: &mut Cx<'_>, deadline: &'static str) -> Option<Response> {
            Some(Response::new(Body::from(format!("too late: {deadline}"))))
        }
    }
    let mut app = TestApp::new(App::new().route("/", get(never)).stage(Words));
    app.get("/")
        .send()
        .assert_status(200)
        .assert_text("too late: handler");
}
