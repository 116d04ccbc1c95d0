//! Body filters: request filters run outside-in, response filters inside-out, nothing is held back.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tideway::bytes::Bytes;
use tideway::http::Method;
use tideway::pipeline::{Abort, Cx, Flow, Stage};
use tideway::testing::TestApp;
use tideway::{App, Body, BoxError, Chunks, Clock, Filter, Reject, Response, get, post};

/// Appends its letter to every chunk, and in upper case to the end.
#[derive(Clone, Copy)]
struct Letter(&'static str);

impl Filter for Letter {
    fn push(&mut self, chunk: Bytes, out: &mut Chunks) -> Result<(), Reject> {
        out.push([&chunk[..], self.0.as_bytes()].concat().into());
        Ok(())
    }

    fn finish(&mut self, out: &mut Chunks) -> Result<(), Reject> {
        out.push(self.0.to_uppercase().into());
        Ok(())
    }
}

impl Stage for Letter {
    fn name(&self) -> &'static str {
        self.0
    }

    fn request(&self, cx: &mut Cx<'_>) -> Flow {
        cx.filter_request(Box::new(*self));
        Flow::Next
    }

    fn response(&self, cx: &mut Cx<'_>) -> Flow {
        cx.filter_response(Box::new(*self));
        Flow::Next
    }
}

#[test]
fn in_order_on_the_way_in_and_out() {
    let app = App::new()
        .route("/in", post(async |text: String| format!("[{text}]")))
        .route("/out", get(|| "-"))
        .stage(Letter("a"))
        .stage(Letter("b"));
    let mut app = TestApp::new(app);
    // `a` is outer: it sees the request first and the response last.
    app.get("/out").send().assert_text("-baBaA");
    app.post("/in")
        .body("-")
        .send()
        .assert_text("[-abAbB]baBaA");
    // HEAD of a filtered body has no length that anyone could know.
    app.head("/out")
        .send()
        .assert_status(200)
        .assert_text("")
        .assert_complete();
}

/// Holds everything back until it has to give it.
#[derive(Default)]
struct Hold {
    held: Vec<u8>,
    flushes: bool,
}

impl Filter for Hold {
    fn push(&mut self, chunk: Bytes, _: &mut Chunks) -> Result<(), Reject> {
        self.held.extend_from_slice(&chunk);
        Ok(())
    }

    fn flush(&mut self, out: &mut Chunks) {
        if self.flushes {
            out.push(std::mem::take(&mut self.held).into());
        }
    }

    fn finish(&mut self, out: &mut Chunks) -> Result<(), Reject> {
        self.flushes = true;
        self.flush(out);
        Ok(())
    }
}

/// Pairs of chunks, the pairs a second apart.
fn pairs(clock: &Clock) -> Body {
    let clock = clock.clone();
    Body::stream(stream::iter(0..6_u8).then(move |n| {
        let wait = clock.sleep(Duration::from_secs(u64::from(n % 2 == 0)));
        async move {
            wait.await;
            Ok::<_, BoxError>(Bytes::from(n.to_string()))
        }
    }))
}

#[test]
fn a_pause_of_the_producer_flushes() {
    let flushing = async |clock: Clock| {
        let filter = Hold {
            flushes: true,
            ..Hold::default()
        };
        Response::new(pairs(&clock).filtered(Box::new(filter)))
    };
    let holding =
        async |clock: Clock| Response::new(pairs(&clock).filtered(Box::new(Hold::default())));
    let app = App::new()
        .route("/flushing", get(flushing))
        .route("/holding", get(holding));
    let mut app = TestApp::new(app);

    let mut flight = app.get("/flushing").start();
    for (second, pair) in [(1, "01"), (2, "23"), (3, "45")] {
        assert_eq!(flight.next_chunk().as_deref(), Some(pair.as_bytes()));
        // The second of a pair came with the first: the flush was at the pause after both.
        assert!(flight.elapsed() <= Duration::from_secs(second + 1));
    }
    assert_eq!(flight.next_chunk(), None);

    let response = app.get("/holding").send();
    response.assert_text("012345");
    assert_eq!(response.chunks(), 1);
}

#[test]
fn a_filter_that_refuses_aborts() {
    struct Refuse;
    impl Filter for Refuse {
        fn push(&mut self, _: Bytes, _: &mut Chunks) -> Result<(), Reject> {
            let reason = "no more room".into();
            Err(Reject { reason })
        }
    }
    let filtered = || Response::new(Body::from("x").filtered(Box::new(Refuse)));
    let mut app = TestApp::new(App::new().route("/", get(filtered)));
    app.get("/")
        .send()
        .assert_status(200)
        .assert_text("")
        .assert_aborted(Abort::Body);
}

#[test]
fn a_status_without_content_stays_without() {
    for status in [204, 304] {
        let answer = move || {
            let mut response = Response::new(Body::from("x"));
            *response.status_mut() = tideway::http::StatusCode::from_u16(status).expect("one");
            response
        };
        let mut app = TestApp::new(App::new().route("/", get(answer)).stage(Letter("a")));
        app.get("/")
            .send()
            .assert_status(status)
            .assert_text("")
            .assert_complete();
        app.head("/").send().assert_status(status).assert_text("");
        // RFC 9110 §8.6: no length of 0 where there would have been one.
        let mut plain = TestApp::new(App::new().route("/", get(answer)));
        for method in [Method::GET, Method::HEAD] {
            let response = plain.request(method, "/").send();
            response
                .assert_status(status)
                .assert_no_header("content-length")
                .assert_text("");
        }
    }
}
