//! Peers and handlers that take too long: each deadline by its name.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tideway::pipeline::{Abort, End};
use tideway::stages::TimeoutLimits;
use tideway::{Body, Clock, get, post};
use tideway_driver::Runtime;

use super::bodies::flood;
use super::claim::{LIMIT, eventually, holds, not_before, same};
use super::client::{Client, Ending, get as request};
use super::gate::Count;
use super::http2_client::on_http2;
use super::reply::Reply;
use super::{Harness, Site};

const SHORT: Duration = Duration::from_millis(300);
/// Between two bytes of a trickle: well below `SHORT`.
const TRICKLE: Duration = Duration::from_millis(40);

/// *first byte*: a connection on which nothing ever comes.
pub fn a_silent_socket_is_closed<R: Runtime>(h: &Harness<R>) {
    let short = |options: &mut tideway_driver::Options| options.limits.first_byte = SHORT;
    let site = h.site().options(short).serve(|app| app);
    let begun = Instant::now();
    let mut client = site.client();
    let _ = client.ends("silent sockets would use up all descriptors");
    not_before(
        begun,
        SHORT,
        "the end",
        "a deadline that fires early cuts honest clients",
    );
    same(client.unread(), b"", "nobody asked anything");
}

/// *header*: a head that comes byte by byte.
pub fn a_trickled_header_is_cut<R: Runtime>(h: &Harness<R>) {
    let short = |options: &mut tideway_driver::Options| options.limits.header = SHORT;
    let site = h
        .site()
        .options(short)
        .serve(|app| app.route("/", get(|| "hello")));
    let mut client = site.client();
    // The second request on a connection is watched as the first one is.
    same(client.get("/").status, 200, "a head in one piece");
    let begun = Instant::now();
    trickle(&mut client, "GET / HTTP/1.1\r\nx: ");
    let reply = client.reply();
    not_before(
        begun,
        SHORT,
        "the answer",
        "a deadline that fires early cuts honest clients",
    );
    timed_out(&reply, "header");
    let _ = client.ends("a trickle must not hold a connection");
    same(
        site.counts().started,
        1,
        "what never was a request is no exchange",
    );
}

/// Sends `bytes` and then one every [`TRICKLE`], until the server answers or hangs up.
fn trickle(client: &mut Client, bytes: &str) {
    client.send(bytes);
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        let heard = client.ending(TRICKLE);
        if heard != Ending::Open || !client.unread().is_empty() || client.try_send("x").is_err() {
            return;
        }
    }
}

#[track_caller]
fn timed_out(reply: &Reply, deadline: &str) {
    holds(
        reply.status == 408 && reply.header("content-type") == Some("application/problem+json"),
        format!("408 and a problem document for {deadline:?}"),
        reply.summary(),
        "the client learns that it was too slow (RFC 9110 §15.5.9)",
    );
    holds(
        reply.closes(),
        "connection: close",
        reply.summary(),
        "the rest would be read as a request",
    );
}

fn upload<R: Runtime>(h: &Harness<R>, limits: TimeoutLimits) -> Site {
    let length = |body: Body| async move {
        match body.collect_up_to(u64::MAX).await {
            Ok(body) => body.len().to_string(),
            Err(error) => error.to_string(),
        }
    };
    h.site()
        .serve(|app| app.set(limits).route("/", post(length)))
}

const BEGUN: &str = "POST / HTTP/1.1\r\nhost: suite\r\ncontent-length: 1000000\r\n\r\nbegun";

/// *body in*: a body that stops coming.
pub fn a_stalled_body_is_cut<R: Runtime>(h: &Harness<R>) {
    let body_in = Some(SHORT);
    let site = upload(
        h,
        TimeoutLimits {
            body_in,
            ..TimeoutLimits::default()
        },
    );
    let mut client = site.client();
    let begun = Instant::now();
    client.send(BEGUN);
    let reply = client.reply();
    not_before(
        begun,
        SHORT,
        "the answer",
        "a deadline that fires early cuts honest clients",
    );
    timed_out(&reply, "body in");
    let _ = client.ends("what comes of the body now would be read as a request");
}

/// A trickle is no silence, and *handler* stands still while it comes; yet it ends.
pub fn a_trickled_body_is_cut<R: Runtime>(h: &Harness<R>) {
    let (handler, body_in) = (Some(2 * SHORT), Some(SHORT));
    let site = upload(
        h,
        TimeoutLimits {
            handler,
            body_in,
            ..TimeoutLimits::default()
        },
    );
    let mut client = site.client();
    let begun = Instant::now();
    trickle(&mut client, BEGUN);
    let reply = client.reply();
    not_before(
        begun,
        2 * SHORT,
        "the answer",
        "each byte starts \"body in\" anew, and a handler is not timed while it waits",
    );
    // Four silences, and a millisecond per byte.
    timed_out(&reply, "body in");
    let _ = client.ends("what comes of the body now would be read as a request");
}

/// *body out*: a client that does not read its answer.
pub fn a_slow_reader_is_cut<R: Runtime>(h: &Harness<R>) {
    let produced = Count::default();
    let site = h
        .site()
        .serve(|app| flood(app.set(body_out()), 64 << 20, &produced));
    let mut client = Client::connect_narrow(site.addr(), 16 * 1024);
    client.send(request("/flood"));
    let head = client.head();
    same(head.status, 200, "the head is out before anything is late");
    ended_by(&site, "body out");
    let ended = client.ends("a client that reads nothing must not hold a connection");
    let tail = client.unread();
    holds(
        !tail.ends_with(b"0\r\n\r\n"),
        "a body without its last chunk",
        format!("{ended:?} after a complete body"),
        "a cut body must never pass for a whole one",
    );
}

/// *body out* on HTTP/2: the stream is reset, the connection lives.
pub fn a_slow_http2_reader_is_cut<R: Runtime>(h: &Harness<R>) {
    let produced = Count::default();
    let site = h
        .site()
        .serve(|app| flood(app.set(body_out()), 64 << 20, &produced).route("/", get(|| "hello")));
    on_http2(site.addr(), async |mut h2| {
        let (head, mut body) = h2.open("/flood").await;
        same(
            head.status.as_u16(),
            200,
            "the head is out before anything is late",
        );
        let mut read = 0;
        // No window is given back, so that the stream is blocked by the peer.
        let error = loop {
            match body.data().await {
                Some(Ok(bytes)) => read += bytes.len(),
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        holds(
            error.as_ref().is_some_and(|error| error.is_reset()),
            "RST_STREAM",
            format!("{error:?} after {read} bytes"),
            "a cut body must never pass for a whole one",
        );
        same(
            h2.get("/").await.text(),
            "hello".into(),
            "other streams are not concerned",
        );
    });
    ended_by(&site, "body out");
}

/// *total*: an answer that takes too long altogether, whoever is to blame.
pub fn an_answer_past_its_total_time_is_cut<R: Runtime>(h: &Harness<R>) {
    let total = Some(SHORT);
    let limits = TimeoutLimits {
        total,
        ..TimeoutLimits::default()
    };
    let stalled = || {
        let first = stream::iter([Ok::<_, Infallible>("some".into())]);
        Body::stream(first.chain(stream::pending()))
    };
    // In pieces so large that hyper has no room for a second one while it writes the first.
    let heavy = || {
        let piece = Bytes::from(vec![b'x'; 16 << 20]);
        Body::stream(stream::iter([
            Ok::<_, Infallible>(piece.clone()),
            Ok(piece),
        ]))
    };
    let produced = Count::default();
    let site = h.site().serve(|app| {
        flood(app.set(limits), 64 << 20, &produced)
            .route("/heavy", get(heavy))
            .route("/stalled", get(stalled))
    });
    // Blocked by the client, then by the handler.
    for path in ["/flood", "/heavy", "/stalled"] {
        let mut client = Client::connect_narrow(site.addr(), 16 * 1024);
        let begun = Instant::now();
        client.send(request(path));
        same(client.head().status, 200, "the head is out in time");
        eventually(
            &format!("{path} aborted by \"total\""),
            || format!("{:?}", site.ledger.entries()),
            || site.ledger.of(path)[0].ends == [End::Aborted(Abort::Deadline("total"))],
            "a deadline inside a body must be watched by someone who is still polled",
        );
        not_before(begun, SHORT, "the cut", "an answer has all of its time");
        let _ = client.ends("what cannot be finished is broken off");
        holds(
            !client.unread().ends_with(b"0\r\n\r\n"),
            "a body without its last chunk",
            "a complete body",
            "a cut body must never pass for a whole one",
        );
    }
}

fn body_out() -> TimeoutLimits {
    TimeoutLimits {
        body_out: Some(SHORT),
        ..TimeoutLimits::default()
    }
}

#[track_caller]
fn ended_by(site: &Site, deadline: &'static str) {
    eventually(
        &format!("an exchange aborted by {deadline:?}"),
        || format!("{:?}", site.ledger.entries()),
        || {
            let ends = site
                .ledger
                .entries()
                .into_iter()
                .flat_map(|entry| entry.ends);
            ends.into_iter()
                .any(|end| end == End::Aborted(Abort::Deadline(deadline)))
        },
        "a deadline inside a body must be watched by someone who is still polled",
    );
}

/// *handler*: answered, and the connection goes on.
pub fn a_late_handler_is_a_503_and_the_connection_lives<R: Runtime>(h: &Harness<R>) {
    let dropped = Count::default();
    let seen = dropped.clone();
    let late = move |clock: Clock| {
        let dropped = seen.on_drop();
        async move {
            clock.sleep(Duration::from_secs(3600)).await;
            drop(dropped);
            "late"
        }
    };
    let handler = Some(SHORT);
    let site = h.site().serve(|app| {
        app.set(TimeoutLimits {
            handler,
            ..TimeoutLimits::default()
        })
        .route("/late", get(late))
        .route("/", get(|| "hello"))
    });
    let mut client = site.client();
    for n in 1..=2 {
        let begun = Instant::now();
        let reply = client.get("/late");
        not_before(begun, SHORT, "the answer", "a handler has all of its time");
        holds(
            reply.status == 503 && reply.header("content-type") == Some("application/problem+json"),
            "503 and a problem document",
            reply.summary(),
            "it is the server that is slow, not the client",
        );
        same(
            dropped.now(),
            n,
            "a handler whose answer nobody waits for is dropped",
        );
        same(
            client.get("/").text(),
            "hello".into(),
            "the connection is in order",
        );
    }
}

/// *keep-alive*: a connection on which no further request comes.
pub fn an_idle_connection_is_closed<R: Runtime>(h: &Harness<R>) {
    let short = |options: &mut tideway_driver::Options| options.limits.keep_alive = SHORT;
    let site = h
        .site()
        .options(short)
        .serve(|app| app.route("/", get(|| "hello")));
    let mut client = site.client();
    for _ in 0..4 {
        same(
            client.get("/").status,
            200,
            "each request starts the deadline anew",
        );
        std::thread::sleep(SHORT / 3);
    }
    let begun = Instant::now();
    let _ = client.get("/");
    same(
        client.ends("idle connections would use up all descriptors"),
        Ending::Closed,
        "in good order: a reset could destroy the answer",
    );
    not_before(
        begun,
        SHORT,
        "the end",
        "a client may send up to the deadline",
    );
    same(client.unread(), b"", "nobody asked anything");
}
