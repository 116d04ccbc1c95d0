//! Stopping: what runs may end, what does not end is cut, and the report says which.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use tideway::get;
use tideway::pipeline::{Abort, End};
use tideway_driver::Runtime;

use super::basics::waiting;
use super::claim::{LIMIT, eventually, holds, not_before, same};
use super::client::{Ending, get as request};
use super::gate::Gate;
use super::{Harness, Site};

/// The first stop: idle connections close, requests in flight are answered, new ones are refused.
pub fn a_stop_lets_requests_end<R: Runtime>(h: &Harness<R>) {
    let gate = Gate::new();
    let site = h
        .site()
        .options(|options| options.drain = 6 * LIMIT)
        .serve(|app| {
            app.route("/slow", waiting(&gate))
                .route("/", get(|| "hello"))
        });
    let (mut idle, mut busy, mut fresh) = (site.client(), site.client(), site.client());
    same(idle.get("/").status, 200, "it will be idle");
    busy.send(request("/slow"));
    site.begun(2);
    fresh.hears_nothing(Duration::from_millis(20), "it has asked for nothing");

    site.stop.stop();
    same(
        idle.ends("an idle connection has nothing to wait for"),
        Ending::Closed,
        "in good order",
    );
    let _ = fresh.ends("so has one that never asked");
    refuses(&site);
    same(
        site.counts().in_flight,
        1,
        "the request in flight is left alone",
    );

    gate.open();
    let reply = busy.reply();
    same(
        (reply.status, reply.text().as_str(), reply.closes()),
        (200, "passed", true),
        "a request that was accepted is answered, and the client told to go elsewhere",
    );
    let _ = busy.ends("its connection closes behind it");
    let report = site.report();
    same(
        (report.accepted, report.cut),
        (3, 0),
        "three connections, none of them cut",
    );
}

#[track_caller]
fn refuses(site: &Site) {
    eventually(
        "new connections are refused",
        || "they are accepted".into(),
        || TcpStream::connect_timeout(&site.addr(), LIMIT).is_err(),
        "a connection that is accepted and never served is worse than none: nobody retries it",
    );
}

/// What does not end by the drain deadline is cut, counted, and told.
pub fn a_stop_past_its_deadline_cuts_and_says_so<R: Runtime>(h: &Harness<R>) {
    let drain = Duration::from_millis(300);
    let site = h
        .site()
        .options(|options| options.drain = drain)
        .serve(|app| app.route("/slow", waiting(&Gate::new())));
    let mut client = site.client();
    client.send(request("/slow"));
    site.begun(1);
    let begun = Instant::now();
    site.stop.stop();
    same(site.report().cut, 1, "the report says what was cut");
    not_before(
        begun,
        drain,
        "the cut",
        "requests in flight have all of the drain time",
    );
    is_cut(&site);
    let _ = client.ends("a cut connection is closed");
}

/// The second stop does not wait.
pub fn a_second_stop_forces<R: Runtime>(h: &Harness<R>) {
    let site = h
        .site()
        .options(|options| options.drain = 60 * LIMIT)
        .serve(|app| app.route("/slow", waiting(&Gate::new())));
    let mut client = site.client();
    client.send(request("/slow"));
    site.begun(1);
    site.stop.stop();
    refuses(&site);
    same(site.counts().in_flight, 1, "the first stop waits");
    site.stop.stop();
    same(site.report().cut, 1, "the report says what was cut");
    is_cut(&site);
    let _ = client.ends("a cut connection is closed");
}

#[track_caller]
fn is_cut(site: &Site) {
    site.idle("what was cut is over");
    let entries = site.ledger.of("/slow");
    let ends: Vec<&End> = entries.iter().flat_map(|entry| &entry.ends).collect();
    holds(
        ends == [&End::Aborted(Abort::Stop)],
        "aborted by the stop",
        format!("{entries:?}"),
        "a log that blames the client hides what a deployment costs",
    );
}

/// Before it stops accepting, a lame duck serves as ever.
pub fn a_lame_duck_still_serves<R: Runtime>(h: &Harness<R>) {
    let site = h.site();
    let lame_duck = Duration::from_millis(500);
    let site = site
        .options(|options| options.lame_duck = lame_duck)
        .serve(|app| app.route("/", get(|| "hello")));
    let mut old = site.client();
    same(old.get("/").closes(), false, "it is no duck yet");
    let begun = Instant::now();
    site.stop.stop();
    // Served only while the time is not over, whatever the machine is busy with.
    let (before, after) = (old.get("/"), site.client().get("/"));
    if begun.elapsed() < lame_duck {
        same(
            (before.status, after.status),
            (200, 200),
            "a load balancer sends requests until it has seen that we are not ready",
        );
    }
    let _ = old.ends("in the end it stops");
    not_before(begun, lame_duck, "the stop", "that is what the time is for");
    same(site.report().cut, 0, "nothing had to be cut");
}
