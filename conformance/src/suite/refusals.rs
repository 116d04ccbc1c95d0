//! What is no request, or one that must not be served: an answer that says so, then the end.

use std::time::Duration;

use bytes::Bytes;
use tideway::stages::MaxBody;
use tideway::{Body, get, post};
use tideway_driver::Runtime;

use super::claim::{fail, holds, same};
use super::client::{Client, Ending, get as request};
use super::gate::Count;
use super::{Harness, Site};

const REPLY: &str = "a bare reset tells the sender nothing, and hides the attack from its logs";

/// Sends `bytes` and demands `status` as a problem document, then the end of the connection.
#[track_caller]
fn refused(site: &Site, what: &str, bytes: &[u8], status: u16) {
    let mut client = site.client();
    // The server may answer and close before it has taken everything.
    let _ = client.try_send(bytes);
    refused_on(&mut client, what, status);
}

#[track_caller]
fn refused_on(client: &mut Client, what: &str, status: u16) {
    let reply = client.reply();
    holds(
        reply.status == status,
        format!("{status} for {what}"),
        reply.summary(),
        REPLY,
    );
    holds(
        reply.header("content-type") == Some("application/problem+json")
            && reply.text().contains(&format!("\"status\":{status}")),
        format!("a problem document for {what}"),
        reply.summary(),
        "errors of the transport look like any other error (RFC 9457)",
    );
    holds(
        reply.closes() && reply.header("x-request-id").is_some(),
        format!("connection: close and x-request-id for {what}"),
        reply.summary(),
        "the client must not go on, and the log line must be found",
    );
    holds(
        client.ending(super::claim::LIMIT) == Ending::Closed && client.unread().is_empty(),
        format!("the end of the connection after {what}, in good order"),
        format!("{} more bytes, or a reset", client.unread().len()),
        "where the next request begins is no longer known (RFC 9112 §9.6)",
    );
}

fn simple<R: Runtime>(h: &Harness<R>) -> Site {
    h.site()
        .options(|options| options.max_head = 16 * 1024)
        .serve(|app| app.route("/", get(|| "hello").post(|_: Body| "posted")))
}

/// Heads that do not parse.
pub fn a_malformed_head_is_answered_and_closed<R: Runtime>(h: &Harness<R>) {
    let site = simple(h);
    let heads: [(&str, &[u8]); 10] = [
        ("a first line that is none", b"hello there\r\n\r\n"),
        ("a first line of control bytes", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        ("an unknown version", b"GET / HTTP/9.7\r\nhost: suite\r\n\r\n"),
        ("a NUL in a header", b"GET / HTTP/1.1\r\nhost: suite\r\nx: a\0b\r\n\r\n"),
        ("a bare CR in a header", b"GET / HTTP/1.1\r\nhost: suite\r\nx: a\rb\r\n\r\n"),
        ("a folded header", b"GET / HTTP/1.1\r\nhost: suite\r\nx: a\r\n b\r\n\r\n"),
        ("a header without a colon", b"GET / HTTP/1.1\r\nhost: suite\r\nnonsense\r\n\r\n"),
        ("a space before the colon", b"GET / HTTP/1.1\r\nhost: suite\r\nx : a\r\n\r\n"),
        (
            "two lengths that differ",
            b"POST / HTTP/1.1\r\nhost: suite\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        ),
        (
            "a length that is no number",
            b"POST / HTTP/1.1\r\nhost: suite\r\ncontent-length: +5\r\n\r\nhello",
        ),
    ];
    for (what, head) in heads {
        refused(&site, what, head, 400);
    }
    same(
        site.client().get("/").text(),
        "hello".into(),
        "others are served as ever",
    );
}

/// Heads over the caps.
pub fn an_oversized_head_is_answered_and_closed<R: Runtime>(h: &Harness<R>) {
    let site = simple(h);
    let fields = |n: usize| (0..n).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    let get_with = |fields: &str| format!("GET / HTTP/1.1\r\nhost: suite\r\n{fields}\r\n");
    refused(
        &site,
        "101 header fields",
        get_with(&fields(100)).as_bytes(),
        431,
    );
    let long = format!("x: {}\r\n", "y".repeat(20 * 1024));
    refused(
        &site,
        "a header of 20 KiB, 16 allowed",
        get_with(&long).as_bytes(),
        431,
    );
    let reply = {
        let mut client = site.client();
        client.send(get_with(&fields(99)));
        client.reply()
    };
    same(reply.status, 200, "a hundred are allowed");
}

/// A client that is still sending hears why it is refused: closing at once would reset it.
pub fn a_refused_upload_hears_why<R: Runtime>(h: &Harness<R>) {
    let site = h.site().serve(|app| {
        app.set(MaxBody(1024 * 1024))
            .route("/", post(|body: Bytes| body))
    });
    for round in 0..4 {
        let mut client = site.client();
        client.send("POST / HTTP/1.1\r\nhost: suite\r\ncontent-length: 3000000\r\n\r\n");
        for _ in 0..8 * round {
            client.send([b'x'; 16 * 1024]);
        }
        refused_on(&mut client, "a body announced over the limit", 413);
    }
    site.idle("a refused request is over");
}

/// `Host` missing, doubled or malformed.
pub fn a_wrong_host_is_answered_and_closed<R: Runtime>(h: &Harness<R>) {
    let site = simple(h);
    for (what, hosts) in [
        ("no Host", ""),
        ("two Hosts", "host: a\r\nhost: b\r\n"),
        ("two Hosts that agree", "host: a\r\nhost: a\r\n"),
        ("a Host with a path", "host: a/b\r\n"),
        ("a Host with a user", "host: user@a\r\n"),
        ("a Host with a port that is none", "host: a:b\r\n"),
    ] {
        // RFC 9112 §3.2: "MUST respond with a 400 (Bad Request) status code".
        refused(
            &site,
            what,
            format!("GET / HTTP/1.1\r\n{hosts}\r\n").as_bytes(),
            400,
        );
    }
    site.idle("a refused request is over");
}

/// What a proxy might take for a body is never answered as a request.
pub fn a_smuggled_request_is_never_answered<R: Runtime>(h: &Harness<R>) {
    let smuggled = Count::default();
    let seen = smuggled.clone();
    let site = h.site().serve(|app| {
        app.route(
            "/",
            post(|body: Body| async move {
                let body = body.collect_up_to(1000).await.map(|body| body.len());
                format!("{body:?}")
            }),
        )
        .route("/admin", get(move || seen.add(1).to_string()))
    });
    let inner = request("/admin");
    for (what, fields) in [
        (
            "Transfer-Encoding and Content-Length",
            "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        ),
        (
            "the same, the other way round",
            "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        ),
        (
            "chunked, and not last",
            "content-length: 4\r\ntransfer-encoding: chunked, identity\r\n",
        ),
        (
            "an unknown coding",
            "content-length: 4\r\ntransfer-encoding: xchunked\r\n",
        ),
    ] {
        let mut client = site.client();
        // To one who reads by length the body ends after "0\r\n\r" and so on; by chunks, before it.
        let _ = client.try_send(format!(
            "POST / HTTP/1.1\r\nhost: suite\r\n{fields}\r\n0\r\n\r\n{inner}"
        ));
        let reply = client.reply();
        let ended = client.ending(super::claim::LIMIT);
        holds(
            ended != Ending::Open && client.unread().is_empty(),
            format!("one answer to {what}, then the end"),
            format!(
                "{}, {ended:?}, then {} bytes",
                reply.summary(),
                client.unread().len()
            ),
            "RFC 9112 §6.1: the server \"MUST close the connection after responding\"",
        );
        same(
            smuggled.now(),
            0,
            "the remainder belongs to whoever shares the proxy's connection",
        );
    }
    // The same bytes, framed beyond doubt.
    let mut client = site.client();
    client.send(format!(
        "POST / HTTP/1.1\r\nhost: suite\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
    ));
    same(
        (client.reply().status, client.reply().status),
        (200, 200),
        "these are two requests",
    );
    same(smuggled.now(), 1, "and the second is one to be served");
}

/// Answers that are still waiting to be written leave before the refusal does.
pub fn an_error_reply_follows_the_answers_before_it<R: Runtime>(h: &Harness<R>) {
    let site = simple(h);
    let mut client = site.client();
    client.send(request("/").repeat(3) + "nonsense\r\n\r\n");
    for n in 1..=3 {
        let reply = client.reply();
        if reply.status != 200 {
            fail(
                format!("200 for request {n} of 3"),
                reply.summary(),
                "it was whole and well-formed",
            );
        }
    }
    refused_on(&mut client, "the nonsense behind them", 400);
    std::thread::sleep(Duration::from_millis(1));
    same(
        site.counts().completed,
        3,
        "what is no request is no exchange",
    );
}
