//! Ten thousand WebSocket clients that vanish without a Close, three times over, on every runtime: no task, no entry and no
//! byte is left of them.

use std::fs;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use tideway::stages::Accounts;
use tideway::ws::{Socket, WebSocketUpgrade};
use tideway::{App, Response, get};
use tideway_driver::{Bound, Options, Report, Runtime, Stop, serve};

const CLIENTS: usize = 10_000;
/// Three; more only if the third is larger than it may be: an allocator's holes come and go, what is left behind stays.
const WAVES: usize = 6;
/// Descriptors for everything else.
const OTHERS: usize = 200;

/// What the server counts.
#[derive(Clone, Default)]
struct Counts {
    handlers: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    accounts: Accounts,
}

/// A handler that is alive.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn app(counts: &Counts) -> App {
    let (handlers, closed) = (counts.handlers.clone(), counts.closed.clone());
    let upgrade = move |upgrade: WebSocketUpgrade| -> Response {
        let (handlers, closed) = (handlers.clone(), closed.clone());
        upgrade
            // A slow machine must not have it find clients that are only waiting.
            .heartbeat(Duration::MAX, Duration::MAX)
            .on_close(move |_| {
                closed.fetch_add(1, Ordering::SeqCst);
            })
            .on_upgrade(|mut socket: Socket| async move {
                handlers.fetch_add(1, Ordering::SeqCst);
                let _alive = Alive(handlers);
                while let Some(message) = socket.recv().await {
                    if socket.send(message).await.is_err() {
                        break;
                    }
                }
            })
    };
    App::new()
        .without_stage("accounts")
        .stage_before("host", counts.accounts.clone())
        .route("/", get(upgrade))
}

async fn server<R: Runtime>(rt: R, on: TcpListener, counts: Counts, stop: Stop) -> Report {
    let on = rt.listen(Bound::Tcp(on)).expect("it is bound");
    let mut options = Options::default();
    options.max_connections = 2 * CLIENTS;
    let served = serve(rt, app(&counts), on, options, stop).await;
    served.expect("a well-formed app")
}

/// Connects, says something under a mask of zeros, and hears it back: one after the other, so that each wave needs the same
/// memory at most.
fn client(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).expect("it listens");
    let limit = Some(Duration::from_secs(60));
    stream.set_read_timeout(limit).expect("a limit above zero");
    let head = b"GET / HTTP/1.1\r\nHost: waves\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut first = head.to_vec();
    first.extend_from_slice(b"\x81\x85\0\0\0\0hello");
    stream.write_all(&first).expect("it reads");
    let mut heard = Vec::new();
    while !heard.ends_with(b"\x81\x05hello") {
        let mut some = [0; 512];
        let read = stream.read(&mut some).expect("an answer");
        assert!(read > 0, "closed after {heard:?}");
        heard.extend_from_slice(&some[..read]);
    }
    stream
}

/// `clients` come, and go without a word: at rest, in the middle of a frame, or with an answer they never read.
fn wave(addr: SocketAddr, clients: usize) {
    let mut streams: Vec<TcpStream> = (0..clients).map(|_| client(addr)).collect();
    for (n, stream) in streams.iter_mut().enumerate() {
        let last: &[u8] = match n % 3 {
            0 => b"",
            1 => b"\x82\xfe\x10\x00\0\0\0\0part of a large one",
            _ => b"\x81\x85\0\0\0\0again",
        };
        stream.write_all(last).expect("it reads");
    }
}

fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.expect("its size").parse().expect("a number")
}

/// Whether all waves from the third on left over 5 % more than the first.
fn grows(sizes: &[usize]) -> bool {
    let later = sizes.iter().skip(2).min();
    later.is_some_and(|later| later * 100 > sizes[0] * 105)
}

fn waves<F>(name: &str, serve: impl FnOnce(TcpListener, Counts, Stop) -> F)
where
    F: FnOnce() -> Report + Send + 'static,
{
    let clients = clients_allowed();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    rustix::net::listen(&socket, 4096).expect("a longer backlog");
    socket.set_nonblocking(true).expect("a socket");
    let addr = socket.local_addr().expect("an address");
    let (counts, stop) = (Counts::default(), Stop::new());
    let server = thread::spawn(serve(socket, counts.clone(), stop.clone()));
    let mut sizes = Vec::new();
    for n in 1..=WAVES {
        if n > 3 && !grows(&sizes) {
            break;
        }
        wave(addr, clients);
        let (began, all) = (Instant::now(), n * clients);
        while counts.closed.load(Ordering::SeqCst) < all {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{n}: some are left"
            );
            thread::sleep(Duration::from_millis(20));
        }
        // The last tasks are dropped after they told their end.
        thread::sleep(Duration::from_millis(200));
        assert_eq!(
            counts.closed.load(Ordering::SeqCst),
            all,
            "{name}: once each"
        );
        assert_eq!(
            counts.handlers.load(Ordering::SeqCst),
            0,
            "{name}: handlers"
        );
        assert_eq!(counts.accounts.counts().in_flight, 0, "{name}: exchanges");
        sizes.push(resident());
    }
    println!("{name}: {clients} clients, {sizes:?} KiB after each wave");
    stop.stop();
    let report = server.join().expect("it does not panic");
    let accepted = (sizes.len() * clients) as u64;
    assert_eq!((report.accepted, report.cut), (accepted, 0));
    assert!(!grows(&sizes), "{name}: it grows: {sizes:?}");
}

/// Both ends of each connection are ours.
fn clients_allowed() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |files| files as usize);
    CLIENTS.min(files.saturating_sub(OTHERS) / 2)
}

fn run<R: Runtime>(
    rt: impl FnOnce() -> R + Send + 'static,
    block_on: impl FnOnce(std::pin::Pin<Box<dyn Future<Output = Report> + Send>>) -> Report
    + Send
    + 'static,
) -> impl FnOnce(TcpListener, Counts, Stop) -> Box<dyn FnOnce() -> Report + Send> {
    move |on, counts, stop| {
        Box::new(move || {
            block_on(Box::pin(
                async move { server(rt(), on, counts, stop).await },
            ))
        })
    }
}

/// Runs the test `name` in a process of its own, whose allocator has one arena: holes in several come and go with the order
/// in which threads free, by more than what is looked for.
fn alone(name: &str, test: impl FnOnce()) {
    static TURN: Mutex<()> = Mutex::new(());
    const ARENAS: &str = "MALLOC_ARENA_MAX";

    if std::env::var(ARENAS).is_ok_and(|arenas| arenas == "1") {
        return test();
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let this = std::env::current_exe().expect("its own name");
    let ended = Command::new(this)
        .args([name, "--exact", "--nocapture"])
        .env(ARENAS, "1")
        .status();
    assert!(ended.expect("it starts").success());
}

#[test]
fn clients_that_vanish_leave_nothing_behind_on_tokio() {
    alone("clients_that_vanish_leave_nothing_behind_on_tokio", || {
        let block_on = |task| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(task)
        };
        waves("tokio", run(tideway_tokio::Tokio::current, block_on));
    });
}

#[test]
fn clients_that_vanish_leave_nothing_behind_on_async_std() {
    alone(
        "clients_that_vanish_leave_nothing_behind_on_async_std",
        || {
            let block_on = async_std::task::block_on;
            waves(
                "async-std",
                run(tideway_async_std::AsyncStd::default, block_on),
            );
        },
    );
}

#[test]
fn clients_that_vanish_leave_nothing_behind_on_smol() {
    alone("clients_that_vanish_leave_nothing_behind_on_smol", || {
        waves("smol", run(tideway_smol::Smol::default, smol::block_on));
    });
}
