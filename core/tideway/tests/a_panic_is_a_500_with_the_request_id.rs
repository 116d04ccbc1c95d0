//! A panic in user code is answered, logged and counted, and the next request is served.

use futures_util::stream;
use tideway::bytes::Bytes;
use tideway::http::HeaderMap;
use tideway::pipeline::{Abort, Answer, Ask, Cx, End, Flow, Stage};
use tideway::stages::{Accounts, TimeoutLimits};
use tideway::testing::{TestApp, TestResponse};
use tideway::{App, Body, BodyError, BoxError, Filter, Reject, Request, Response, get};

#[track_caller]
fn assert_500(response: &TestResponse) {
    response
        .assert_problem(500, "the request id")
        .assert_complete();
    let id = response.header("x-request-id").expect("a request id");
    response.assert_json_path("/request_id", id);
    assert!(
        !response.text().contains("boom"),
        "the message is for the log only"
    );
}

#[test]
fn in_a_handler_of_any_kind() {
    let app = App::new()
        .route("/sync", get(|| -> &'static str { panic!("boom") }))
        .route("/async", get(async || -> &'static str { panic!("boom") }))
        .route(
            "/later",
            get(async |clock: tideway::Clock| -> &'static str {
                clock.sleep(std::time::Duration::from_secs(1)).await;
                panic!("boom")
            }),
        )
        .route(
            "/wrapped",
            get(|| "fine").wrap(async |_: Request, _| -> Response { panic!("boom") }),
        )
        .route("/fine", get(|| "fine"));
    let mut app = TestApp::new(app);
    for path in ["/sync", "/async", "/later", "/wrapped"] {
        assert_500(&app.get(path).send());
        app.get("/fine").send().assert_text("fine");
    }
}

/// Panics where it is told to.
struct Panics(&'static str);

impl Panics {
    fn at(&self, phase: &str) {
        assert_ne!(self.0, phase, "boom");
    }
}

impl Stage for Panics {
    fn name(&self) -> &'static str {
        "panics"
    }

    fn request(&self, _: &mut Cx<'_>) -> Flow {
        self.at("request");
        match self.0 {
            "ask" => Flow::Ask(Ask::Future(Box::pin(async { panic!("boom") }))),
            "answer" => Flow::Ask(Ask::Future(Box::pin(async { Box::new(()) as Answer }))),
            _ => Flow::Next,
        }
    }

    fn answer(&self, _: &mut Cx<'_>, _: Answer) -> Flow {
        self.at("answer");
        Flow::Next
    }

    fn response(&self, _: &mut Cx<'_>) -> Flow {
        self.at("response");
        Flow::Next
    }

    fn timeout(&self, _: &mut Cx<'_>, _: &'static str) -> Option<Response> {
        self.at("timeout");
        None
    }

    fn done(&self, _: &mut Cx<'_>, _: &End) {
        self.at("done");
    }
}

#[test]
fn in_a_stage_in_every_phase() {
    for phase in ["request", "ask", "answer", "response", "timeout"] {
        let accounts = Accounts::default();
        let app = App::new()
            .route(
                "/",
                get(async || std::future::pending::<&'static str>().await),
            )
            .route("/fine", get(|| "fine"))
            .without_stage("accounts")
            .stage_before("host", accounts.clone())
            .stage(Panics(phase));
        let mut app = TestApp::new(app);
        assert_500(&app.get("/").send());
        let counts = accounts.counts();
        assert_eq!(
            (counts.panicked, counts.completed, counts.in_flight),
            (1, 1, 0),
            "{phase}"
        );
        if phase == "timeout" {
            app.get("/fine").send().assert_text("fine");
        }
    }
}

#[test]
fn in_done_it_is_swallowed_and_the_other_stages_are_told() {
    let accounts = Accounts::default();
    let app = App::new()
        .route("/", get(|| "fine"))
        .without_stage("accounts")
        .stage_before("host", accounts.clone())
        .stage(Panics("done"));
    let mut app = TestApp::new(app);
    app.get("/")
        .send()
        .assert_status(200)
        .assert_text("fine")
        .assert_complete();
    assert_eq!(accounts.counts().completed, 1);
}

#[test]
fn a_deadline_of_zero_is_no_panic() {
    let limits = TimeoutLimits {
        handler: Some(std::time::Duration::ZERO),
        ..TimeoutLimits::default()
    };
    let app = App::new().route("/", get(async || "late")).set(limits);
    TestApp::new(app)
        .get("/")
        .send()
        .assert_problem(503, "longer");
}

/// A body that gives one chunk, then panics in `poll_frame`.
struct Bad(bool);

impl http_body::Body for Bad {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        assert!(!std::mem::replace(&mut self.0, true), "boom");
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(b"one")))))
    }
}

struct BadFilter(bool);

impl Filter for BadFilter {
    fn push(&mut self, chunk: Bytes, out: &mut tideway::Chunks) -> Result<(), Reject> {
        assert!(!std::mem::replace(&mut self.0, true), "boom");
        out.push(chunk);
        Ok(())
    }
}

#[test]
fn in_a_response_body_it_aborts_visibly() {
    fn chunks() -> impl futures_util::Stream<Item = Result<Bytes, BoxError>> {
        stream::iter(0..2).map(|n| {
            assert_eq!(n, 0, "boom");
            Ok(Bytes::from_static(b"one"))
        })
    }
    fn two() -> Body {
        Body::stream(stream::iter(["one", "two"]).map(|s| Ok::<_, BoxError>(Bytes::from(s))))
    }
    use futures_util::StreamExt;
    let accounts = Accounts::default();
    let app = App::new()
        .route("/stream", get(|| Response::new(Body::stream(chunks()))))
        .route("/boxed", get(|| Response::new(Body::boxed(Bad(false)))))
        .route(
            "/filter",
            get(|| Response::new(two().filtered(Box::new(BadFilter(false))))),
        )
        .without_stage("accounts")
        .stage_before("host", accounts.clone());
    let mut app = TestApp::new(app);
    for path in ["/stream", "/boxed", "/filter"] {
        let response = app.get(path).send();
        response
            .assert_status(200)
            .assert_text("one")
            .assert_aborted(Abort::Body);
    }
    let counts = accounts.counts();
    assert_eq!(
        (counts.aborted, counts.panicked, counts.in_flight),
        (3, 3, 0)
    );
}

#[test]
fn the_id_is_the_trusted_proxys_where_one_is_trusted() {
    use tideway::stages::RequestIds;
    let app = App::new()
        .route("/", get(|_: HeaderMap| -> &'static str { panic!("boom") }))
        .without_stage("request id")
        .stage_before("access log", RequestIds::trusting());
    let mut app = TestApp::new(app);
    let response = app.get("/").header("x-request-id", "from-the-proxy").send();
    response.assert_header("x-request-id", "from-the-proxy");
    assert_500(&response);
    // What is no id is replaced.
    let response = app.get("/").header("x-request-id", "a b").send();
    assert_eq!(response.header("x-request-id").map(str::len), Some(36));
    assert_500(&response);
}
