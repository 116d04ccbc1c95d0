//! Requests and answers on a connection that behaves.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures_util::stream;
use tideway::{App, Body, Clock, get};
use tideway_driver::Runtime;

use super::Harness;
use super::claim::{fail, holds, same};
use super::client::get as request;
use super::gate::Gate;
use super::receives;

/// A request is answered.
pub fn hello<R: Runtime>(h: &Harness<R>) {
    let site = h.site().serve(|app| app.route("/", get(|| "hello")));
    let reply = site.client().get("/");
    same(reply.status, 200, "the route exists");
    same(
        reply.text(),
        "hello".into(),
        "that is what the handler returned",
    );
    holds(
        reply.header("x-request-id").is_some() && reply.header("date").is_some(),
        "x-request-id and date",
        format!("{:?}", reply.headers),
        "every answer passes the default stages",
    );
}

/// One connection, a hundred requests.
pub fn a_connection_serves_a_hundred_requests<R: Runtime>(h: &Harness<R>) {
    let site = h.site().serve(numbered);
    let mut client = site.client();
    for n in 0..100 {
        let reply = client.get(&format!("/{n}"));
        same(
            reply.text(),
            format!("number {n}"),
            "each request has its own answer",
        );
        same(
            reply.closes(),
            false,
            "HTTP/1.1 keeps connections alive by default (RFC 9112 §9.3)",
        );
    }
    drop(client);
    same(site.counts().completed, 100, "each was one exchange");
    site.stop.stop();
    same(
        site.report().accepted,
        1,
        "all of them came over one connection",
    );
}

/// Sixteen requests in one write: sixteen answers, in order.
pub fn pipelined_requests_are_answered_in_order<R: Runtime>(h: &Harness<R>) {
    const WHY: &str = "a pipelining client matches answers by their order (RFC 9112 §9.3.2)";
    let site = h.site().serve(numbered);
    let mut client = site.client();
    for round in 0..4 {
        // The handlers of odd numbers wait, so that order is kept by the server and not by luck.
        let paths = (0..16).map(|n| match n % 2 {
            0 => format!("/{}", round * 16 + n),
            _ => format!("/slow/{}", round * 16 + n),
        });
        client.send(paths.map(|path| request(&path)).collect::<String>());
        for n in round * 16..round * 16 + 16 {
            same(client.reply().text(), format!("number {n}"), WHY);
        }
    }
    same(client.unread().len(), 0, "nothing follows the last answer");
}

/// The answer to a whole request is sent although half of the next one is there.
pub fn an_answer_does_not_wait_for_a_partial_next_request<R: Runtime>(h: &Harness<R>) {
    let site = h.site().serve(numbered);
    let mut client = site.client();
    let second = request("/2");
    let (front, back) = second.split_at(second.len() / 2);
    client.send(request("/1") + front);
    same(
        client.reply().text(),
        "number 1".into(),
        "a client that waits for this answer before it goes on would wait for ever",
    );
    client.send(back);
    same(
        client.reply().text(),
        "number 2".into(),
        "the rest completed the second request",
    );
}

/// A body in small pieces: each leaves when it is made.
pub fn small_pieces_are_not_held_back<R: Runtime>(h: &Harness<R>) {
    /// Without `TCP_NODELAY` a piece waits for the acknowledgement of the one before it, which the
    /// peer's system delays by 40 ms. A machine that is merely busy is quicker once in so many rounds.
    const HELD_BACK: Duration = Duration::from_millis(35);
    let pieces = |clock: Clock| async move {
        Body::stream(stream::unfold((0, clock), async |(n, clock)| {
            clock.sleep(Duration::from_millis(1)).await;
            (n < 4).then(|| (Ok::<_, Infallible>("piece".into()), (n + 1, clock)))
        }))
    };
    let site = h.site().serve(|app| app.route("/", get(pieces)));
    let mut client = site.client();
    let rounds = (0..40).map(|_| {
        let begun = Instant::now();
        same(
            client.get("/").text(),
            "piece".repeat(4),
            "all pieces arrive",
        );
        begun.elapsed()
    });
    // At first a system acknowledges at once.
    let quickest = rounds.skip(20).min().unwrap_or_default();
    holds(
        quickest < HELD_BACK,
        format!("four pieces, a millisecond apart, within {HELD_BACK:?} at least once"),
        format!("never in less than {quickest:?}"),
        "small writes must not wait for each other: set TCP_NODELAY on accepted sockets",
    );
}

/// HEAD: the header of GET, no body, and the connection goes on.
pub fn head_is_answered_without_a_body<R: Runtime>(h: &Harness<R>) {
    let site = h.site().serve(numbered);
    let mut client = site.client();
    client.send(request("/7").replacen("GET", "HEAD", 1) + &request("/8"));
    let head = client.reply_to_head();
    same(
        head.status,
        200,
        "HEAD is answered by GET's handler (RFC 9110 §9.3.2)",
    );
    same(
        head.header("content-length"),
        Some("8"),
        "the length is the one that GET would have",
    );
    same(
        client.reply().text(),
        "number 8".into(),
        "no byte of a body lies in between",
    );
    site.idle("an answer without a body is complete");
    same(site.counts().aborted, 0, "a HEAD is not an abort");
}

/// A panic in a handler is answered, and harms nothing else.
pub fn a_panic_is_a_500_and_the_connection_lives<R: Runtime>(h: &Harness<R>) {
    async fn at_once() -> &'static str {
        panic!("as the test wants it")
    }
    async fn later(clock: Clock) -> &'static str {
        clock.sleep(Duration::from_millis(1)).await;
        panic!("as the test wants it, later")
    }
    let site = h.site().serve(|app| {
        numbered(app)
            .route("/panic", get(at_once))
            .route("/panic/later", get(later))
    });
    let mut client = site.client();
    for path in ["/panic", "/panic/later"] {
        let reply = client.get(path);
        same(
            reply.status,
            500,
            "a panic is the server's fault, and said so",
        );
        same(
            reply.header("content-type"),
            Some("application/problem+json"),
            "errors are problem documents (RFC 9457)",
        );
        let Some(id) = reply.header("x-request-id") else {
            fail(
                "x-request-id",
                reply.summary(),
                "the panic's log line is found by it",
            );
        };
        holds(
            reply.text().contains(id) && !reply.text().contains("as the test wants it"),
            format!("a body with {id} and without the panic's message"),
            reply.text(),
            "a report names the id; internals are not for clients",
        );
        same(
            client.get("/1").text(),
            "number 1".into(),
            "the connection lives",
        );
    }
    same(site.counts().panicked, 2, "panics are counted");
}

/// Keep-alive costs about one receive call per request.
pub fn at_most_one_and_a_half_receives_per_request<R: Runtime>(h: &Harness<R>) {
    const REQUESTS: u64 = 400;
    let site = h.site().serve(numbered);
    let mut client = site.client();
    let _ = client.get("/0");
    let calls = receives::count(|| {
        for _ in 0..REQUESTS {
            let _ = client.get("/1");
        }
    });
    let each = calls as f64 / REQUESTS as f64;
    if calls == 0 {
        h.note("receives not counted: none of them is a recv(2)".into());
        return;
    }
    h.note(format!("{each:.2} receives per request"));
    holds(
        each <= 1.5,
        "at most 1.5 receive calls per keep-alive request",
        format!("{each:.2}"),
        "to ask a socket that is known to be empty costs a system call, and that a sixth of the throughput",
    );
}

fn numbered(app: App) -> App {
    use tideway::extract::Path;
    let number = |Path(n): Path<u32>| format!("number {n}");
    let slow = |Path(n): Path<u32>, clock: Clock| async move {
        clock.sleep(Duration::from_millis(2)).await;
        format!("number {n}")
    };
    app.route("/{n}", get(number)).route("/slow/{n}", get(slow))
}

/// A handler that waits at a gate.
pub(super) fn waiting(gate: &Gate) -> tideway::routing::MethodRouter {
    let gate = gate.clone();
    get(move || {
        let gate = gate.clone();
        async move {
            gate.passed().await;
            "passed"
        }
    })
}
