//! Sockets to listen on, and listeners that fail.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tideway::{Peer, get};
use tideway_driver::{Listener, Runtime};

use super::Harness;
use super::claim::{LIMIT, eventually, holds, not_before, same};
use super::client::{Client, get as request};
use super::gate::Count;

/// A Unix socket.
pub fn a_unix_socket_serves<R: Runtime>(h: &Harness<R>) {
    let dir = Directory::new();
    let path = dir.0.join("socket");
    let socket = UnixListener::bind(&path).expect("a socket");
    let _site = h
        .site()
        .on_unix(socket)
        .serve(|app| app.route("/", get(|peer: Peer| format!("hello, {peer}"))));
    for _ in 0..3 {
        let stream = UnixStream::connect(&path).expect("a connection");
        stream
            .set_read_timeout(Some(LIMIT))
            .expect("a limit above zero");
        let mut client = Client::new(stream);
        for _ in 0..3 {
            same(
                client.get("/").text(),
                format!("hello, {}", Peer::Unix),
                "a proxy in front talks like this",
            );
        }
    }
}

/// A directory of our own, for as long as the case runs.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let (process, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("tideway-{process}-{next}"));
        std::fs::create_dir_all(&path).expect("a directory for the socket");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A socket bound and listening before the server runs, as systemd hands over; a client is there already.
pub fn a_socket_bound_before_serves_what_came_early<R: Runtime>(h: &Harness<R>) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = socket.local_addr().expect("a bound socket");
    let mut early = Client::connect(addr);
    early.send(request("/"));
    // Sockets are handed over blocking or not; this one blocks.
    socket.set_nonblocking(false).expect("a socket");
    let site = h
        .site()
        .on_tcp(socket)
        .serve(|app| app.route("/", get(|| "hello")));
    same(
        early.reply().status,
        200,
        "a restart with socket activation loses nobody",
    );
    same(
        site.client().get("/").status,
        200,
        "and later ones are served",
    );
}

/// Accepts that fail for want of descriptors.
struct Exhausted<L> {
    inner: L,
    left: usize,
    asked: Count,
}

impl<L: Listener> Listener for Exhausted<L> {
    type Stream = L::Stream;

    async fn accept(&mut self) -> io::Result<(L::Stream, Peer)> {
        self.asked.add(1);
        if self.left > 0 {
            self.left -= 1;
            // EMFILE.
            return Err(io::Error::from_raw_os_error(24));
        }
        self.inner.accept().await
    }

    fn local(&self) -> io::Result<Peer> {
        self.inner.local()
    }
}

/// The server neither ends nor spins when `accept` fails; it waits, longer each time, and recovers.
pub fn failing_accepts_back_off_and_recover<R: Runtime>(h: &Harness<R>) {
    const FAILURES: usize = 6;
    /// 5 + 10 + 20 + 40 + 80 + 160 ms would be doubling; a third of it is asked for.
    const LEAST: Duration = Duration::from_millis(100);
    let asked = Count::default();
    let counted = asked.clone();
    let begun = Instant::now();
    let site = h.site().serve_through(
        |app| app.route("/", get(|| "hello")),
        move |inner| Exhausted {
            inner,
            left: FAILURES,
            asked: counted,
        },
    );
    same(
        site.client().get("/").status,
        200,
        "descriptors come back when connections end",
    );
    not_before(
        begun,
        LEAST,
        "the answer",
        "a loop that asks again at once takes the core it needs to recover",
    );
    eventually(
        "the next accept",
        || asked.now().to_string(),
        || asked.now() == FAILURES + 2,
        "one accept per failure, one for the client, one for the next",
    );
    let (before, stopping) = (asked.now(), Instant::now());
    site.stop.stop();
    let report = site.report();
    holds(
        stopping.elapsed() < LIMIT && asked.now() == before,
        "a stop at once",
        format!("{:?}, {} accepts", stopping.elapsed(), asked.now()),
        "nothing is accepted once it stops",
    );
    same(report.accepted, 1, "failed accepts are no connections");
}
