//! One connection through the proxy: two directions, each passing on one chunk at a time or doing it harm.

use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join;
use rustix::net::{Shutdown, shutdown, sockopt};
use tideway_engine::{Rng, Seed};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{Shared, State};

/// The most bytes of one chunk.
const CHUNK: usize = 16 * 1024;
/// The most pieces of a chopped chunk.
const PIECES: u64 = 8;
/// The time between two pieces, for the other end to read the first.
const APART: Duration = Duration::from_millis(1);
/// How long a server says nothing after its reply ended. A reply in several parts is lost whole as long as
/// its parts are closer than this.
const QUIET: Duration = Duration::from_millis(30);

/// The connection is to be reset.
struct Reset;

impl From<io::Error> for Reset {
    /// What happened to one end happens to the other.
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// Which way chunks go: from the client to the server, or back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Reply,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Forward,
    /// What the server says next is swallowed, then the connection is reset.
    Losing,
    /// Nothing is passed on, and nobody is told.
    Silent,
}

struct Line {
    client: TcpStream,
    server: TcpStream,
    mode: Mutex<Mode>,
    shared: Arc<Shared>,
}

/// Serves `client` until both ends have closed, or resets the connection; dropped, it resets it too.
pub(super) async fn run(client: TcpStream, mut rng: Rng, shared: Arc<Shared>) {
    // From the first: a line that is cut is only dropped.
    resets(&client, true);
    let Ok(server) = TcpStream::connect(shared.upstream).await else {
        shared.count(|counts| counts.unreached += 1);
        return;
    };
    resets(&server, true);
    for stream in [&client, &server] {
        // Pieces shall arrive as such. A stream that cannot be told so is one that is gone.
        let _ = stream.set_nodelay(true);
    }
    let line = Line {
        client,
        server,
        mode: Mutex::new(Mode::Forward),
        shared,
    };
    let (requests, replies) = (Rng::new(&rng.fork()), Rng::new(&rng.fork()));
    let ended = try_join(
        line.pass(Direction::Request, requests),
        line.pass(Direction::Reply, replies),
    );
    if ended.await.is_ok() {
        resets(&line.client, false);
        resets(&line.server, false);
    }
}

/// What chance says to one chunk. All of it is drawn for each chunk, whichever faults are on, so that the
/// chunks after it meet what they would have met.
struct Draw {
    reset: f64,
    half_open: f64,
    drop_reply: f64,
    delay: f64,
    chop: f64,
    pieces: Seed,
}

impl Draw {
    fn next(rng: &mut Rng) -> Self {
        // 53 bits: what fits between 0 and 1, without 1.
        let mut unit = || (rng.u64() >> 11) as f64 / (1_u64 << 53) as f64;
        Self {
            reset: unit(),
            half_open: unit(),
            drop_reply: unit(),
            delay: unit(),
            chop: unit(),
            pieces: rng.fork(),
        }
    }
}

/// What becomes of one chunk.
enum Fate {
    Pass {
        delay: Option<Duration>,
        chop: bool,
    },
    Swallow,
    /// The first of the reply that is lost.
    Lose,
    Reset,
}

impl Line {
    /// Passes one direction on until its end.
    async fn pass(&self, direction: Direction, mut rng: Rng) -> Result<(), Reset> {
        let (from, to) = match direction {
            Direction::Request => (&self.client, &self.server),
            Direction::Reply => (&self.server, &self.client),
        };
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = read(from, &mut chunk).await?;
            if length == 0 {
                return self.close(direction, to).await;
            }
            let chunk = &chunk[..length];
            let draw = Draw::next(&mut rng);
            match self
                .shared
                .with(|state| self.decide(state, direction, &draw))
            {
                Fate::Swallow => {}
                Fate::Reset => return Err(Reset),
                Fate::Lose => return self.lose().await,
                Fate::Pass { delay, chop } => {
                    if let Some(delay) = delay {
                        sleep(delay).await;
                    }
                    if chop {
                        self.chop(to, chunk, &draw.pieces).await?;
                    } else {
                        write(to, chunk).await?;
                    }
                    self.shared.count(|counts| counts.chunks += 1);
                }
            }
        }
    }

    fn decide(&self, state: &mut State, direction: Direction, draw: &Draw) -> Fate {
        let (faults, counts) = (&state.faults, &mut state.counts);
        let mut mode = self.mode.lock().unwrap_or_else(PoisonError::into_inner);
        if *mode == Mode::Silent {
            return Fate::Swallow;
        }
        if draw.reset < faults.reset {
            counts.resets += 1;
            return Fate::Reset;
        }
        if draw.half_open < faults.half_open {
            counts.half_opens += 1;
            *mode = Mode::Silent;
            return Fate::Swallow;
        }
        match direction {
            Direction::Reply if *mode == Mode::Losing => return Fate::Lose,
            Direction::Request if draw.drop_reply < faults.drop_reply || state.lose_next => {
                state.lose_next = false;
                *mode = Mode::Losing;
            }
            _ => {}
        }
        let delay = faults.delay.as_ref().map(|range| {
            let width = range.end.saturating_sub(range.start);
            range.start + width.mul_f64(draw.delay)
        });
        counts.delays += u64::from(delay.is_some());
        Fate::Pass {
            delay,
            chop: draw.chop < faults.chop,
        }
    }

    /// One end has said its last.
    async fn close(&self, direction: Direction, to: &TcpStream) -> Result<(), Reset> {
        let mode = *self.mode.lock().unwrap_or_else(PoisonError::into_inner);
        match (mode, direction) {
            // The client would learn of the end; and if it is the one that ends, nobody is left to fool.
            (Mode::Silent, Direction::Reply) => pending().await,
            (Mode::Silent, Direction::Request) => Err(Reset),
            (Mode::Losing, Direction::Reply) => self.lose().await,
            _ => {
                shutdown(to, Shutdown::Write).map_err(io::Error::from)?;
                Ok(())
            }
        }
    }

    /// Swallows what the server says until it says no more.
    async fn lose(&self) -> Result<(), Reset> {
        let mut chunk = vec![0; CHUNK];
        while let Ok(Ok(1..)) = timeout(QUIET, read(&self.server, &mut chunk)).await {}
        self.shared.count(|counts| counts.lost_replies += 1);
        Err(Reset)
    }

    /// Passes a chunk on in pieces, cut where chance says.
    async fn chop(&self, to: &TcpStream, chunk: &[u8], seed: &Seed) -> io::Result<()> {
        let mut rng = Rng::new(seed);
        let pieces = (2 + rng.below(PIECES - 1) as usize).min(chunk.len());
        let mut rest = chunk;
        // Each of those to come is left a byte at least.
        for to_come in (1..pieces).rev() {
            let most = rest.len() - to_come;
            let (piece, more) = rest.split_at(1 + rng.below(most as u64) as usize);
            write(to, piece).await?;
            sleep(APART).await;
            rest = more;
        }
        write(to, rest).await?;
        let chopped = u64::from(pieces > 1);
        self.shared.count(|counts| counts.chopped += chopped);
        Ok(())
    }
}

/// Whether a stream that is dropped resets its connection, or closes it in order.
fn resets(stream: &TcpStream, yes: bool) {
    // A stream that cannot be told so is one that is gone.
    let _ = sockopt::set_socket_linger(stream, yes.then_some(Duration::ZERO));
}

async fn read(from: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        from.readable().await?;
        match from.try_read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

async fn write(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => bytes = &bytes[done?..],
        }
    }
    Ok(())
}
