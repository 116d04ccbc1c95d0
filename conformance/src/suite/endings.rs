//! Clients that go away: the handler is dropped, and its end is told once.

use std::time::Duration;

use tideway::pipeline::End;
use tideway::routing::MethodRouter;
use tideway::stages::TimeoutLimits;
use tideway::{Request, any, get};
use tideway_driver::Runtime;

use super::bodies::flood;
use super::claim::{eventually, holds, same};
use super::client::{Client, get as request};
use super::gate::Count;
use super::{Harness, Site};

const WHY: &str = "a handler whose client has gone works for nobody, and its gauge never falls";

/// Never answers, never reads its body; says when it is dropped.
fn never(dropped: &Count) -> MethodRouter {
    let dropped = dropped.clone();
    any(move |request: Request| {
        let dropped = dropped.on_drop();
        async move {
            std::future::pending::<()>().await;
            drop((request, dropped));
            "never"
        }
    })
}

/// The request is read and nothing lies behind it: no deadline is needed.
pub fn a_client_that_goes_is_noticed_at_once<R: Runtime>(h: &Harness<R>) {
    let dropped = Count::default();
    let forever = TimeoutLimits {
        handler: None,
        ..TimeoutLimits::default()
    };
    let site = h
        .site()
        .serve(|app| app.set(forever).route("/never", never(&dropped)));
    for n in 1..=3 {
        let mut client = site.client();
        client.send(request("/never"));
        site.begun(n);
        drop(client);
        is_dropped(&site, &dropped, n);
    }
    same(site.counts().aborted, 3, "each was aborted");
}

/// Bytes lie behind the request, so that the socket is not read: the deadline finds out.
pub fn a_client_that_goes_with_bytes_pipelined_is_noticed_by_the_deadline<R: Runtime>(
    h: &Harness<R>,
) {
    gone_by_deadline(h, |client| {
        client.send(request("/never") + &request("/behind"));
    });
}

/// The body is not read, so that the socket is not either: the deadline finds out.
pub fn a_client_that_goes_with_its_body_unread_is_noticed_by_the_deadline<R: Runtime>(
    h: &Harness<R>,
) {
    gone_by_deadline(h, |client| {
        client.send("POST /never HTTP/1.1\r\nhost: suite\r\ncontent-length: 1000000\r\n\r\nsome");
    });
}

fn gone_by_deadline<R: Runtime>(h: &Harness<R>, send: impl FnOnce(&mut Client)) {
    let dropped = Count::default();
    let handler = Some(Duration::from_millis(400));
    let limits = TimeoutLimits {
        handler,
        ..TimeoutLimits::default()
    };
    let site = h
        .site()
        .serve(|app| app.set(limits).route("/never", never(&dropped)));
    let mut client = site.client();
    send(&mut client);
    site.begun(1);
    drop(client);
    is_dropped(&site, &dropped, 1);
}

#[track_caller]
fn is_dropped(site: &Site, dropped: &Count, n: usize) {
    eventually(
        &format!("{n} handlers dropped, no exchange in flight"),
        || format!("{} dropped, {:?}", dropped.now(), site.counts()),
        || dropped.now() == n && site.ledger.open().1 == 0,
        WHY,
    );
    let entries = site.ledger.of("/never");
    holds(
        entries.iter().all(|entry| entry.ends.len() == 1),
        "each exchange ends once",
        format!("{entries:?}"),
        WHY,
    );
}

/// In the middle of a response body.
pub fn a_client_that_goes_in_the_middle_of_a_download_is_noticed<R: Runtime>(h: &Harness<R>) {
    let produced = Count::default();
    let site = h
        .site()
        .serve(|app| flood(app, 64 << 20, &produced).route("/", get(|| "hello")));
    let mut client = site.client();
    client.send(request("/flood"));
    same(client.head().status, 200, "it has begun");
    drop(client);
    site.idle(WHY);
    let entries = site.ledger.of("/flood");
    holds(
        entries
            .iter()
            .all(|entry| matches!(entry.ends[..], [End::Aborted(_)])),
        "an aborted exchange",
        format!("{entries:?}"),
        "a log that calls this complete hides every broken download",
    );
    same(
        site.client().get("/").status,
        200,
        "others are served as ever",
    );
}
