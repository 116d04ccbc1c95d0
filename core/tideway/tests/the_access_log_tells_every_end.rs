//! One line per exchange, at its end, with the status, the duration and the bytes of all of it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tideway::bytes::Bytes;
use tideway::http::{Method, StatusCode};
use tideway::pipeline::{Abort, refuse};
use tideway::stages::TimeoutLimits;
use tideway::testing::{BodyFeed, TestApp};
use tideway::{App, Body, BoxError, Clock, Peer, Problem, Response, get, post};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// A line of the log.
#[derive(Debug)]
struct Line {
    level: Level,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

/// Keeps the lines of the access log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tideway::access"
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line {
            level: *event.metadata().level(),
            fields: BTreeMap::new(),
        };
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The one line that `run` logs.
#[track_caller]
fn line(run: impl FnOnce(&mut TestApp)) -> Line {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || run(&mut TestApp::new(app())));
    let mut lines = std::mem::take(&mut *lines.0.lock().expect("no panic"));
    assert_eq!(lines.len(), 1, "one line for one exchange: {lines:#?}");
    lines.remove(0)
}

impl Line {
    #[track_caller]
    fn says(&self, level: Level, fields: &[(&str, &str)]) -> &Self {
        assert_eq!(self.level, level, "{self:#?}");
        for (name, value) in fields {
            let found = self.fields.get(name).map(String::as_str);
            assert_eq!(found, Some(*value), "`{name}` of {self:#?}");
        }
        self
    }

    #[track_caller]
    fn lacks(&self, name: &str) -> &Self {
        assert!(!self.fields.contains_key(name), "no `{name}`: {self:#?}");
        self
    }
}

fn answer(status: u16, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

/// Two chunks, a second apart.
async fn streamed(clock: Clock) -> Response {
    let chunks = stream::iter(["one", "two"]).then(move |text| {
        let wait = clock.sleep(Duration::from_secs(1));
        async move {
            wait.await;
            Ok::<_, BoxError>(Bytes::from(text))
        }
    });
    Response::new(Body::stream(chunks))
}

fn failing() -> Response {
    let chunks = [
        Ok(Bytes::from("one")),
        Err::<_, BoxError>("the disk is gone".into()),
    ];
    Response::new(Body::stream(stream::iter(chunks)))
}

fn app() -> App {
    let short = TimeoutLimits {
        total: Some(Duration::from_millis(1_500)),
        ..TimeoutLimits::default()
    };
    App::new()
        .route("/notes/{id}", get(|| "hello"))
        .route("/empty", get(|| answer(200, "")))
        .route("/204", get(|| answer(204, "")))
        .route("/302", get(|| answer(302, "")))
        .route("/304", get(|| answer(304, "unsent")))
        .route(
            "/never",
            get(async || std::future::pending::<&'static str>().await),
        )
        .route("/streamed", get(streamed))
        .route("/cut", get(streamed).set(short))
        .route("/failing", get(failing))
        .route("/panic", get(|| -> &'static str { panic!("boom") }))
        .route(
            "/down",
            get(|| Problem::new(StatusCode::BAD_GATEWAY).source("no route to db")),
        )
        .route("/upload", post(async |text: String| text))
}

#[test]
fn what_went_well_is_info() {
    let ok = line(|app| drop(app.get("/notes/7?q=1").send()));
    ok.says(
        Level::INFO,
        &[
            ("method", "GET"),
            ("path", "/notes/7"),
            ("route", "/notes/{id}"),
            ("status", "200"),
            ("bytes", "5"),
            ("duration_us", "0"),
            ("peer", "127.0.0.1:1024"),
        ],
    );
    ok.lacks("aborted").lacks("cause");
    assert_eq!(ok.fields["request_id"].len(), 36);
}

#[test]
fn nothing_to_send_is_no_abort() {
    for (method, path, status) in [
        (Method::HEAD, "/notes/7", "200"),
        (Method::HEAD, "/streamed", "200"),
        (Method::GET, "/empty", "200"),
        (Method::GET, "/204", "204"),
        (Method::GET, "/302", "302"),
        (Method::GET, "/304", "304"),
        (Method::OPTIONS, "/204", "204"),
    ] {
        // Dropped at the head, as hyper drops a body that is at its end.
        let line = line(|app| {
            assert!(app.request(method, path).start().poll_head().is_some());
        });
        line.says(Level::INFO, &[("status", status), ("bytes", "0")])
            .lacks("aborted");
    }
}

#[test]
fn the_duration_covers_the_body() {
    line(|app| drop(app.get("/streamed").send())).says(
        Level::INFO,
        &[
            ("status", "200"),
            ("bytes", "6"),
            ("duration_us", "2000000"),
        ],
    );
}

#[test]
fn the_clients_mistakes_are_warnings() {
    line(|app| drop(app.get("/nowhere").send()))
        .says(Level::WARN, &[("status", "404"), ("route", "")]);
    line(|app| drop(app.delete("/empty").send()))
        .says(Level::WARN, &[("status", "405"), ("route", "/empty")]);
    let stalled = line(|app| drop(app.post("/upload").feed(&BodyFeed::new()).send()));
    stalled.says(
        Level::WARN,
        &[("status", "408"), ("duration_us", "30000000")],
    );
    let broken = line(|app| {
        let feed = BodyFeed::new();
        feed.push("half").break_off();
        drop(app.post("/upload").feed(&feed).send());
    });
    broken.says(Level::WARN, &[("status", "400")]);
    let host = line(|app| drop(app.get("/empty").without_header("host").send()));
    host.says(Level::WARN, &[("status", "400")]);
}

#[test]
fn ours_are_errors_with_their_cause() {
    line(|app| drop(app.get("/down").send())).says(
        Level::ERROR,
        &[("status", "502"), ("cause", "no route to db")],
    );
    line(|app| drop(app.get("/panic").send())).says(
        Level::ERROR,
        &[("status", "500"), ("cause", "panicked: boom")],
    );
    line(|app| drop(app.get("/never").send())).says(
        Level::ERROR,
        &[
            ("status", "503"),
            ("cause", "deadline \"handler\" passed"),
            ("duration_us", "30000000"),
        ],
    );
}

#[test]
fn what_was_cut_says_why() {
    let gone = line(|app| {
        let mut flight = app.get("/never").start();
        flight.advance(Duration::from_secs(3));
    });
    gone.says(
        Level::WARN,
        &[
            ("status", "0"),
            ("aborted", "client gone"),
            ("duration_us", "3000000"),
        ],
    );
    let gone = line(|app| drop(app.get("/streamed").start().next_chunk()));
    gone.says(
        Level::WARN,
        &[
            ("status", "200"),
            ("aborted", "client gone"),
            ("bytes", "3"),
        ],
    );
    let stopped = line(|app| app.get("/never").start().abort(Abort::Stop));
    stopped.says(Level::WARN, &[("aborted", "server stop")]);
    let cut = line(|app| drop(app.get("/cut").send()));
    cut.says(
        Level::WARN,
        &[
            ("status", "200"),
            ("aborted", "total"),
            ("bytes", "3"),
            ("duration_us", "1500000"),
        ],
    );
    let failed = line(|app| drop(app.get("/failing").send()));
    failed.says(
        Level::WARN,
        &[
            ("status", "200"),
            ("aborted", "body failed"),
            ("bytes", "3"),
            ("cause", "the body's producer failed: the disk is gone"),
        ],
    );
}

#[test]
fn what_never_became_a_request_has_its_line_too() {
    let refused = line(|app| {
        let response = refuse(StatusCode::BAD_REQUEST, &Peer::Unix, app.now(), 7);
        assert_eq!(response.headers()["connection"], "close");
    });
    refused.says(Level::WARN, &[("status", "400"), ("peer", "unix")]);
}
