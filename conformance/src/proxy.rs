//! A TCP proxy that is as bad as a network: it delays, chops, resets, falls silent and loses replies, as a seed
//! decides, or at a word of the test.
//!
//! What happens to a chunk, which is what one read of the proxy returned, depends on the seed, on the number of
//! its connection, its direction and its number in there, and on nothing else: the same chunks meet the same
//! faults. Bytes are never changed, and never overtake each other.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use tideway_engine::{Rng, Seed};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::servers::free_port;

mod line;

/// Connections at a time; more of them wait to be taken.
const CONNECTIONS: usize = 4096;

/// What goes wrong, and how often: a chance is between 0, never, and 1. Nothing does by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// How long each chunk is held back, in either direction.
    pub delay: Option<Range<Duration>>,
    /// The chance that a chunk is passed on in two to eight pieces, a millisecond apart.
    pub chop: f64,
    /// The chance that what the server says to a chunk of the client is swallowed, to its end, and the
    /// connection then reset: the request was done and the client cannot know.
    pub drop_reply: f64,
    /// The chance that a chunk is not passed on and its connection is reset, in either direction.
    pub reset: f64,
    /// The chance that with a chunk the connection falls silent for good, without being closed.
    pub half_open: f64,
}

/// What a proxy has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections taken.
    pub connections: u64,
    /// Connections reset since the server took none.
    pub unreached: u64,
    /// Chunks passed on, whole or in pieces.
    pub chunks: u64,
    /// Chunks held back.
    pub delays: u64,
    /// Chunks passed on in more than one piece.
    pub chopped: u64,
    /// Replies swallowed.
    pub lost_replies: u64,
    /// Connections reset by [`Faults::reset`].
    pub resets: u64,
    /// Connections fallen silent.
    pub half_opens: u64,
    /// Connections reset by [`Proxy::cut`].
    pub cuts: u64,
}

/// A proxy before one server, on a port of the loopback and a thread of its own. Dropped, it resets its
/// connections.
///
/// ```
/// # use std::io::{Read, Write};
/// # use std::net::{TcpListener, TcpStream};
/// use tideway_conformance::proxy::{Faults, Proxy};
///
/// # let server = TcpListener::bind("127.0.0.1:0")?;
/// let proxy = Proxy::start(server.local_addr()?, 7)?;
/// proxy.set(Faults { reset: 1.0, ..Faults::default() });
///
/// let mut client = TcpStream::connect(proxy.addr())?;
/// client.write_all(b"a request")?;
/// assert!(client.read(&mut [0]).is_err());
/// assert_eq!(proxy.counts().resets, 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    commands: Option<UnboundedSender<(Command, Sender<()>)>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one before the server at `upstream`, and prints its seed.
    ///
    /// # Errors
    /// The operating system's, when it has no port, thread or descriptor left.
    pub fn start(upstream: SocketAddr, seed: u64) -> io::Result<Self> {
        let port = free_port().map_err(io::Error::other)?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        println!("proxy on {addr} before {upstream}: seed {seed}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(addr))?;
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::default(),
        });
        let (sender, commands) = unbounded_channel();
        let door = Door {
            addr,
            listener: Some(listener),
            commands,
            lines: JoinSet::new(),
            rng: Rng::new(&Seed::from_u64(seed)),
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || runtime.block_on(door.run()))?;
        Ok(Self {
            addr,
            shared,
            commands: Some(sender),
            thread: Some(thread),
        })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What goes wrong from now on, on open connections too. One that has fallen silent stays so.
    pub fn set(&self, faults: Faults) {
        self.shared.with(|state| state.faults = faults);
    }

    /// Loses the reply to the next chunk that any client sends: the server gets the chunk, what it answers is
    /// swallowed until it says no more, and the connection is reset.
    pub fn lose_next_reply(&self) {
        self.shared.with(|state| state.lose_next = true);
    }

    /// Resets all connections, and returns when that is done.
    pub fn cut(&self) {
        self.command(Command::Cut);
    }

    /// Refuses new connections, or takes them again, and returns when that is so. Open ones are left alone.
    ///
    /// # Panics
    /// If somebody else took the port meanwhile.
    pub fn refuse(&self, refuse: bool) {
        self.command(Command::Refuse(refuse));
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.with(|state| state.counts)
    }

    fn command(&self, command: Command) {
        let (done, wait) = channel();
        let commands = self.commands.as_ref().expect("open until dropped");
        // An error is the thread's end, which only the port's loss brings about.
        let sent = commands.send((command, done));
        assert!(
            sent.is_ok() && wait.recv().is_ok(),
            "the proxy on {} has ended: somebody else took its port",
            self.addr
        );
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic of it was told when it happened.
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
enum Command {
    Cut,
    Refuse(bool),
}

/// What the test and the connections share.
#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    lose_next: bool,
    counts: Counts,
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, count: impl FnOnce(&mut Counts)) {
        self.with(|state| count(&mut state.counts));
    }
}

/// What lets connections in.
struct Door {
    addr: SocketAddr,
    /// None while connections are refused.
    listener: Option<TcpListener>,
    commands: UnboundedReceiver<(Command, Sender<()>)>,
    lines: JoinSet<()>,
    rng: Rng,
    shared: Arc<Shared>,
}

enum Next {
    Command(Option<(Command, Sender<()>)>),
    Connection(io::Result<TcpStream>),
}

impl Door {
    /// Until the proxy is dropped, or its port is lost.
    async fn run(mut self) {
        loop {
            match self.next().await {
                Next::Command(None) => return,
                Next::Command(Some((command, done))) => {
                    if self.obey(command).await.is_err() {
                        return;
                    }
                    // A test that panicked meanwhile does not wait.
                    let _ = done.send(());
                }
                Next::Connection(Ok(client)) => {
                    self.shared.count(|counts| counts.connections += 1);
                    let rng = Rng::new(&self.rng.fork());
                    self.lines
                        .spawn(line::run(client, rng, Arc::clone(&self.shared)));
                }
                // Out of descriptors, most likely: not at once again.
                Next::Connection(Err(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn next(&mut self) -> Next {
        poll_fn(|cx| {
            if let Poll::Ready(command) = self.commands.poll_recv(cx) {
                return Poll::Ready(Next::Command(command));
            }
            while let Poll::Ready(Some(_)) = self.lines.poll_join_next(cx) {}
            match &self.listener {
                Some(listener) if self.lines.len() < CONNECTIONS => listener
                    .poll_accept(cx)
                    .map(|taken| Next::Connection(taken.map(|(client, _)| client))),
                _ => Poll::Pending,
            }
        })
        .await
    }

    async fn obey(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Cut => {
                let cut = self.lines.len() as u64;
                self.shared.count(|counts| counts.cuts += cut);
                self.lines.shutdown().await;
            }
            Command::Refuse(true) => self.listener = None,
            Command::Refuse(false) if self.listener.is_none() => {
                self.listener = Some(TcpListener::bind(self.addr).await?);
            }
            Command::Refuse(false) => {}
        }
        Ok(())
    }
}
