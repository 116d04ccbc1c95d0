//! Stages run outside-in on the way to the handler and inside-out on the way back, whatever the
//! route, and each is told the end once.

use std::sync::{Arc, Mutex};

use tideway::http::Method;
use tideway::pipeline::{Cx, End, Flow, Stage};
use tideway::testing::TestApp;
use tideway::{App, Routes, get, post};

type Log = Arc<Mutex<Vec<String>>>;

/// Writes down what it sees.
struct Recorder(&'static str, Log);

impl Recorder {
    fn note(&self, what: &str, cx: &Cx<'_>) {
        let (name, route) = (self.0, cx.route().unwrap_or("none"));
        self.1
            .lock()
            .expect("no panic")
            .push(format!("{name} {what} {route}"));
    }
}

impl Stage for Recorder {
    fn name(&self) -> &'static str {
        self.0
    }

    fn request(&self, cx: &mut Cx<'_>) -> Flow {
        self.note("request", cx);
        Flow::Next
    }

    fn response(&self, cx: &mut Cx<'_>) -> Flow {
        self.note("response", cx);
        Flow::Next
    }

    fn done(&self, cx: &mut Cx<'_>, _: &End) {
        self.note("done", cx);
    }
}

fn app(log: &Log) -> App {
    let inner = Routes::new().route("/{id}", get(|| "inner"));
    App::new()
        .route("/", get(|| "root"))
        .route("/async", get(async || "later"))
        .merge(Routes::new().route("/merged", post(|| "merged")))
        .nest("/a", Routes::new().nest("/b", inner))
        .stage(Recorder("inner", log.clone()))
        .stage_before("inner", Recorder("outer", log.clone()))
}

#[test]
fn in_order_on_every_route_and_on_what_is_none() {
    let log = Log::default();
    let mut app = TestApp::new(app(&log));
    for (method, path, status, route) in [
        (Method::GET, "/", 200, "/"),
        (Method::GET, "/async", 200, "/async"),
        (Method::HEAD, "/", 200, "/"),
        (Method::POST, "/merged", 200, "/merged"),
        (Method::GET, "/a/b/7", 200, "/a/b/{id}"),
        (Method::GET, "/nowhere", 404, "none"),
        (Method::DELETE, "/", 405, "/"),
        (Method::OPTIONS, "/a/b/7", 204, "/a/b/{id}"),
    ] {
        app.request(method.clone(), path)
            .send()
            .assert_status(status)
            .assert_complete();
        let seen = std::mem::take(&mut *log.lock().expect("no panic"));
        let expected = [
            format!("outer request {route}"),
            format!("inner request {route}"),
            format!("inner response {route}"),
            format!("outer response {route}"),
            format!("inner done {route}"),
            format!("outer done {route}"),
        ];
        assert_eq!(seen, expected, "{method} {path}");
    }
}

#[test]
fn and_the_list_says_so() {
    let app = app(&Log::default());
    let expected = [
        "request id",
        "access log",
        "accounts",
        "host",
        "timeout",
        "body limit",
        "outer",
        "inner",
    ];
    assert_eq!(app.stages(), expected);
    let app = TestApp::new(app.without_stage("host"));
    assert_eq!(
        app.pipeline()
            .stages()
            .filter(|name| *name == "host")
            .count(),
        0
    );
}

#[test]
fn a_stage_that_answers_gets_the_response_and_those_inside_it_see_nothing() {
    struct Refuse;
    impl Stage for Refuse {
        fn name(&self) -> &'static str {
            "refuse"
        }
        fn request(&self, _: &mut Cx<'_>) -> Flow {
            Flow::Respond(
                tideway::Problem::new(tideway::http::StatusCode::FORBIDDEN).into_response(),
            )
        }
    }
    let log = Log::default();
    let app = app(&log).stage_before("inner", Refuse);
    TestApp::new(app).get("/").send().assert_problem(403, "");
    let seen = log.lock().expect("no panic").clone();
    assert_eq!(
        seen,
        ["outer request /", "outer response /", "outer done /"]
    );
}
