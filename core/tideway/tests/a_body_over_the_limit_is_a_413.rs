//! A request body over its limit is refused by what it announces, and by what arrives.

use tideway::bytes::Bytes;
use tideway::pipeline::{Cx, Flow, Stage};
use tideway::stages::MaxBody;
use tideway::testing::{BodyFeed, TestApp};
use tideway::{App, Body, Chunks, Filter, Reject, Routes, post};

async fn length(bytes: Bytes) -> String {
    bytes.len().to_string()
}

fn app() -> TestApp {
    let group = Routes::new().route("/group", post(length)).set(MaxBody(20));
    let app = App::new()
        .route("/app", post(length))
        .route("/small", post(length).set(MaxBody(10)))
        .route("/none", post(length).set(MaxBody(0)).get(|| "no body"))
        .route("/ignores", post(|| "not read").set(MaxBody(10)))
        .merge(group)
        .set(MaxBody(100));
    TestApp::new(app)
}

#[test]
fn announced() {
    let mut app = app();
    for (path, limit) in [("/app", 100), ("/small", 10), ("/group", 20), ("/none", 0)] {
        for (length, status) in [(limit, 200), (limit + 1, 413), (10 * limit + 9, 413)] {
            let response = app.post(path).body(vec![b'x'; length]).send();
            response.assert_status(status);
            if status == 413 {
                response.assert_problem(413, &format!("at most {limit}"));
                response.assert_header("connection", "close");
            } else {
                response.assert_text(&length.to_string());
            }
        }
    }
    app.get("/none").send().assert_status(200);
}

#[test]
fn announced_and_never_sent() {
    let mut app = app();
    let feed = BodyFeed::new();
    let response = app
        .post("/app")
        .header("content-length", "101")
        .feed(&feed)
        .send();
    response.assert_problem(413, "announced with 101 bytes");
    assert!(response.elapsed().is_zero() && feed.taken() == 0 && feed.is_abandoned());
}

#[test]
fn in_the_middle_of_what_arrives() {
    let mut app = app();
    for (chunks, status) in [
        (vec![10], 200),
        (vec![4, 6], 200),
        (vec![1; 10], 200),
        (vec![11], 413),
        (vec![4, 7], 413),
        (vec![1; 11], 413),
        (vec![0, 10, 0], 200),
        (vec![1_000_000], 413),
    ] {
        let feed = BodyFeed::new();
        let mut flight = app.post("/small").feed(&feed).start();
        for &length in &chunks {
            feed.push(vec![b'x'; length]);
            flight.poll_head();
        }
        feed.finish();
        let response = flight.finish();
        response.assert_status(status);
        if status == 413 {
            response.assert_problem(413, "at most 10 bytes");
        }
    }
}

#[test]
fn what_nobody_reads_is_not_counted() {
    let mut app = app();
    let feed = BodyFeed::new();
    feed.push(vec![0; 1000]);
    app.post("/ignores")
        .feed(&feed)
        .send()
        .assert_text("not read");
    assert_eq!(feed.taken(), 0);
}

#[test]
fn the_default_is_two_mebibytes() {
    let mut app = TestApp::new(App::new().route("/", post(length)));
    let limit = 2 * 1024 * 1024;
    app.post("/")
        .body(vec![0; limit])
        .send()
        .assert_text("2097152");
    app.post("/")
        .body(vec![0; limit + 1])
        .send()
        .assert_problem(413, "at most 2097152");
}

/// Makes ten bytes of each.
struct Inflate;

impl Filter for Inflate {
    fn push(&mut self, chunk: Bytes, out: &mut Chunks) -> Result<(), Reject> {
        out.push(Bytes::from(chunk.repeat(10)));
        Ok(())
    }
}

impl Stage for Inflate {
    fn name(&self) -> &'static str {
        "inflate"
    }

    fn request(&self, cx: &mut Cx<'_>) -> Flow {
        cx.filter_request(Box::new(Inflate));
        Flow::Next
    }
}

#[test]
fn a_filter_outside_the_limit_cannot_get_around_it() {
    let app = App::new()
        .route("/", post(length))
        .stage_before("body limit", Inflate);
    let mut app = TestApp::new(app.set(MaxBody(50)));
    app.post("/").body("12345").send().assert_text("50");
    app.post("/")
        .body("123456")
        .send()
        .assert_problem(413, "at most 50");
}

#[test]
fn a_body_made_here_has_no_limit() {
    let mut body = Body::from("long");
    body.set_limit(1);
    assert_eq!(body.exact_len(), Some(4));
}
