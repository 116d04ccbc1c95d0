//! What a connection's task and the exchange inside hyper tell each other.
//!
//! hyper owns the service and the body, and polls them when it pleases; the task around it owns the
//! timer and reads the clock. One task polls both, so the atomics never contend: they are plain loads
//! and stores that happen to be `Sync`.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tideway::pipeline::{Abort, Exchange, Input};
use tideway::ws::Upgrade;
use tideway::{Mono, Now, Wall};

/// Nobody waits for the request body.
const QUIET: u8 = 0;
/// The handler waits for more of it.
const WANTED: u8 = 1;
/// It ended, and the exchange has not heard.
const OVER: u8 = 2;

/// The shared cell: one per HTTP/1 connection, one per HTTP/2 stream.
#[derive(Debug)]
pub(crate) struct Pulse {
    mono: AtomicU64,
    wall: AtomicI64,
    /// The exchange's next deadline in nanoseconds; 0 is none.
    deadline: AtomicU64,
    begun: AtomicU32,
    ended: AtomicU32,
    /// Bytes of request body taken since the exchange was last told.
    body_in: AtomicU64,
    body: AtomicU8,
    /// hyper may hold bytes of an exchange that the wire has not seen.
    unwritten: AtomicBool,
    /// The limit for a peer that takes no bytes, in nanoseconds; 0 is the connection's own.
    body_out: AtomicU64,
    cut: AtomicU8,
    closing: AtomicBool,
    /// The next bytes from hyper are a head that lacks `Date`.
    undated: AtomicBool,
    /// The memory of the exchange before, for the next one.
    spare: Mutex<Option<Box<Exchange>>>,
    /// What becomes of the stream behind the answer that is on its way.
    upgrade: Mutex<Option<Upgrade>>,
    /// The connection's task, when streams run in tasks of their own.
    task: AtomicWaker,
    /// The connection's, for a stream's.
    parent: Option<Arc<Pulse>>,
}

impl Pulse {
    pub(crate) fn new(now: Now) -> Self {
        Self {
            mono: AtomicU64::new(now.mono.as_nanos()),
            wall: AtomicI64::new(now.wall.0),
            deadline: AtomicU64::new(0),
            begun: AtomicU32::new(0),
            ended: AtomicU32::new(0),
            body_in: AtomicU64::new(0),
            body: AtomicU8::new(QUIET),
            unwritten: AtomicBool::new(false),
            body_out: AtomicU64::new(0),
            cut: AtomicU8::new(0),
            closing: AtomicBool::new(false),
            undated: AtomicBool::new(false),
            spare: Mutex::new(None),
            upgrade: Mutex::new(None),
            task: AtomicWaker::new(),
            parent: None,
        }
    }

    #[cfg(feature = "http2")]
    /// The pulse of a stream on an HTTP/2 connection.
    pub(crate) fn of_stream(connection: &Arc<Pulse>) -> Self {
        Self {
            parent: Some(connection.clone()),
            ..Self::new(connection.now())
        }
    }

    #[cfg(feature = "http2")]
    /// One of many streams ended, perhaps on another thread.
    pub(crate) fn end_stream(&self) {
        self.ended.fetch_add(1, Relaxed);
        // Or an idle connection would not learn that it is one, and keep no deadline.
        self.task.wake();
    }

    /// The task to wake when a stream ends.
    pub(crate) fn set_task(&self, waker: &Waker) {
        self.task.register(waker);
    }

    /// The response asks for the connection to be closed.
    pub(crate) fn will_close(&self) {
        self.closing.store(true, Relaxed);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Whether the wire has to put `Date` into the head that comes next.
    pub(crate) fn is_undated(&self) -> bool {
        self.undated.load(Relaxed)
    }

    pub(crate) fn set_undated(&self, undated: bool) {
        self.undated.store(undated, Relaxed);
    }

    /// Time as read for this wake-up.
    pub(crate) fn now(&self) -> Now {
        Now {
            mono: Mono::from_nanos(self.mono.load(Relaxed)),
            wall: Wall(self.wall.load(Relaxed)),
        }
    }

    pub(crate) fn set_now(&self, now: Now) {
        self.mono.store(now.mono.as_nanos(), Relaxed);
        self.wall.store(now.wall.0, Relaxed);
    }

    pub(crate) fn deadline(&self) -> Option<Mono> {
        match self.deadline.load(Relaxed) {
            0 => None,
            at => Some(Mono::from_nanos(at)),
        }
    }

    pub(crate) fn set_deadline(&self, at: Option<Mono>) {
        self.deadline.store(at.map_or(0, Mono::as_nanos), Relaxed);
    }

    /// An exchange handed bytes to hyper.
    pub(crate) fn wrote(&self) {
        self.unwritten.store(true, Relaxed);
    }

    /// hyper has handed all its bytes to the wire.
    pub(crate) fn flushed(&self) {
        self.unwritten.store(false, Relaxed);
    }

    /// Whether bytes that come now may belong to an exchange.
    pub(crate) fn is_writing(&self) -> bool {
        self.unwritten.load(Relaxed)
    }

    pub(crate) fn begin(&self) {
        self.begun
            .store(self.begun.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub(crate) fn end(&self) {
        self.ended
            .store(self.ended.load(Relaxed).wrapping_add(1), Relaxed);
        self.deadline.store(0, Relaxed);
        self.body.store(QUIET, Relaxed);
    }

    /// How many exchanges have begun and ended, each wrapping.
    pub(crate) fn exchanges(&self) -> (u32, u32) {
        (self.begun.load(Relaxed), self.ended.load(Relaxed))
    }

    pub(crate) fn body_arrived(&self, bytes: usize) {
        self.body_in
            .store(self.body_in.load(Relaxed) + bytes as u64, Relaxed);
        self.body.store(QUIET, Relaxed);
    }

    pub(crate) fn body_wanted(&self) {
        self.body.store(WANTED, Relaxed);
    }

    /// The request body ended, broke off, or was dropped.
    pub(crate) fn body_over(&self) {
        self.body.store(OVER, Relaxed);
    }

    /// News of the request body since it was last asked for, one by one: bytes that came, then
    /// whether more are waited for.
    pub(crate) fn take_body_news(&self) -> Option<Input> {
        let bytes = self.body_in.load(Relaxed);
        if bytes > 0 {
            self.body_in.store(0, Relaxed);
            return Some(Input::BodyIn(usize::try_from(bytes).unwrap_or(usize::MAX)));
        }
        match self.body.load(Relaxed) {
            WANTED => {
                // Told once: the exchange times the wait from here.
                self.body.store(QUIET, Relaxed);
                Some(Input::BodyIn(0))
            }
            OVER => {
                self.body.store(QUIET, Relaxed);
                Some(Input::BodyEnd)
            }
            _ => None,
        }
    }

    pub(crate) fn set_body_out(&self, limit: Option<Duration>) {
        let nanos = limit.map_or(0, |limit| {
            u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)
        });
        self.body_out.store(nanos, Relaxed);
    }

    /// A new limit for a peer that takes no bytes, if an exchange set one.
    pub(crate) fn take_body_out(&self) -> Option<Duration> {
        match self.body_out.load(Relaxed) {
            0 => None,
            nanos => {
                self.body_out.store(0, Relaxed);
                Some(Duration::from_nanos(nanos))
            }
        }
    }

    /// Keeps an exchange that is over, for its memory.
    pub(crate) fn keep(&self, exchange: Box<Exchange>) {
        // A stream has one exchange only.
        if self.parent.is_none() {
            *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(exchange);
        }
    }

    /// What was kept.
    pub(crate) fn take_kept(&self) -> Option<Box<Exchange>> {
        self.spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// The answer that is on its way is the last of HTTP.
    pub(crate) fn will_upgrade(&self, upgrade: Upgrade) {
        *self.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
    }

    pub(crate) fn take_upgrade(&self) -> Option<Upgrade> {
        self.upgrade
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Says why what is left will be dropped.
    pub(crate) fn cut(&self, why: Abort) {
        let code = match why {
            Abort::Stop => 2,
            Abort::Deadline("body out") => 3,
            Abort::Deadline("drain") => 4,
            _ => 1,
        };
        self.cut.store(code, Relaxed);
    }

    /// Why an exchange that is dropped now was dropped.
    pub(crate) fn why_dropped(&self) -> Abort {
        match self.cut.load(Relaxed) {
            2 => Abort::Stop,
            3 => Abort::Deadline("body out"),
            4 => Abort::Deadline("drain"),
            _ => self
                .parent
                .as_ref()
                .map_or(Abort::Client, |parent| parent.why_dropped()),
        }
    }
}
