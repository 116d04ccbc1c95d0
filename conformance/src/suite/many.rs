//! Many connections at once, and more than are allowed.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tideway::get;
use tideway_driver::Runtime;

use super::Harness;
use super::claim::same;
use super::client::{Client, Ending, get as request};

const CONNECTIONS: usize = 10_000;
/// Descriptors for everything that is not a connection of this case.
const OTHERS: usize = 200;

/// Ten thousand connections wait; any of them can still ask.
pub fn ten_thousand_idle_connections<R: Runtime>(h: &Harness<R>) {
    // Both ends of each are ours.
    let allowed = raise_descriptors().saturating_sub(OTHERS) / 2;
    let connections = CONNECTIONS.min(allowed);
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    // std's backlog of 128 overflows while the acceptor waits for a core.
    rustix::net::listen(&socket, 4096).expect("a longer backlog");
    let site = h
        .site()
        .on_tcp(socket)
        .serve(|app| app.route("/", get(|| "hello")));
    let mut clients: Vec<Client> = (0..connections).map(|_| site.client()).collect();
    for (n, client) in clients.iter_mut().enumerate().step_by(97) {
        let reply = client.get("/");
        same(
            (n, reply.status),
            (n, 200),
            "an idle connection is as good as a new one",
        );
    }
    same(
        clients[0].ending(Duration::from_millis(10)),
        Ending::Open,
        "idle is not over",
    );
    let note = if connections < CONNECTIONS {
        format!("{connections} connections: the limit of open files allows no more")
    } else {
        format!("{connections} connections")
    };
    h.note(note);
    drop(clients);
    site.stop.stop();
    let report = site.report();
    same(
        (report.accepted, report.cut),
        (connections as u64, 0),
        "all were accepted, all went",
    );
}

/// Raises the limit of open files as far as is allowed; returns it.
fn raise_descriptors() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |limit| limit as usize)
}

/// Over the cap a connection waits, unanswered and unharmed, for another to end.
pub fn connections_over_the_cap_wait<R: Runtime>(h: &Harness<R>) {
    let cap = |options: &mut tideway_driver::Options| options.max_connections = 4;
    let site = h
        .site()
        .options(cap)
        .serve(|app| app.route("/", get(|| "hello")));
    let mut clients: Vec<Client> = (0..4).map(|_| site.client()).collect();
    for client in &mut clients {
        same(client.get("/").status, 200, "up to the cap all are served");
    }
    let mut waiting = site.client();
    waiting.send(request("/"));
    waiting.hears_nothing(
        Duration::from_millis(200),
        "a cap that is not kept protects nothing",
    );
    drop(clients.pop());
    let reply = waiting.reply();
    same(
        reply.status,
        200,
        "it is served as soon as there is room, and was not refused meanwhile",
    );
    drop((clients, waiting));
    for _ in 0..8 {
        same(
            site.client().get("/").status,
            200,
            "closed connections make room",
        );
    }
}
