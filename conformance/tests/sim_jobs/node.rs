//! A host of the simulator that can stand still, has tasks that block their thread, and whose wall clock may be
//! wrong.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tideway::{Mono, Now, Seed, Wall};
use tideway_driver::{Bound, Runtime};
use tideway_sim::{Host, SimListener, SimSleep, SimStream};

/// One incarnation of a process on a host.
#[derive(Clone)]
pub(crate) struct Node {
    host: Host,
    /// No task of it is polled before this, in nanoseconds.
    frozen: Arc<AtomicU64>,
    /// By how many milliseconds its wall clock is wrong.
    skew: i64,
}

impl Node {
    pub(crate) fn new(host: Host, skew: i64) -> Self {
        Self {
            host,
            frozen: Arc::default(),
            skew,
        }
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn freeze(&self, until: Mono) {
        self.frozen.fetch_max(until.as_nanos(), Ordering::Relaxed);
    }

    /// Whether it stood still at some time after `since`.
    pub(crate) fn froze_since(&self, since: Mono) -> bool {
        self.frozen.load(Ordering::Relaxed) >= since.as_nanos()
    }
}

impl Runtime for Node {
    type Stream = SimStream;
    type Listener = SimListener;
    type Sleep = SimSleep;

    fn now(&self) -> Now {
        let now = self.host.now();
        notice_spin(now.mono);
        Now {
            mono: now.mono,
            wall: Wall(now.wall.0 + self.skew),
        }
    }

    fn seed(&self) -> Seed {
        self.host.seed()
    }

    fn sleep_until(&self, at: Mono) -> SimSleep {
        self.host.sleep_until(at)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.host.spawn(Process {
            task: Box::pin(task),
            node: self.clone(),
            blocked: Arc::default(),
            nap: None,
        });
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        work()
    }

    fn listen(&self, on: Bound) -> io::Result<SimListener> {
        self.host.listen(on)
    }

    async fn connect(&self, host: &str, port: u16) -> io::Result<SimStream> {
        self.host.connect(host, port).await
    }
}

/// So many readings of the clock without time passing are a loop inside of one poll, which the simulator cannot
/// notice.
const SPIN: u32 = 500_000;

fn notice_spin(now: Mono) {
    let (at, count) = READINGS.get();
    let count = if at == now.as_nanos() { count + 1 } else { 0 };
    READINGS.set((now.as_nanos(), count));
    assert!(count < SPIN, "a task spins at {now:?}");
}

thread_local! {
    /// How often the clock was read at this nanosecond.
    static READINGS: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
    /// Until when the task being polled blocks its thread.
    static BLOCKED: RefCell<Option<(Node, Arc<AtomicU64>)>> = const { RefCell::new(None) };
}

/// Called by a task in a poll: it is not polled, nor dropped by its worker, for so long.
pub(crate) fn block_thread(time: Duration) {
    BLOCKED.with_borrow(|current| {
        if let Some((node, blocked)) = current {
            let until = node.now().mono.plus(time).as_nanos();
            blocked.fetch_max(until, Ordering::Relaxed);
        }
    });
}

/// A task that stands still with its node.
struct Process {
    task: Pin<Box<dyn Future<Output = ()> + Send>>,
    node: Node,
    blocked: Arc<AtomicU64>,
    nap: Option<Pin<Box<SimSleep>>>,
}

impl Future for Process {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let frozen = this.node.frozen.load(Ordering::Relaxed);
        let until = Mono::from_nanos(frozen.max(this.blocked.load(Ordering::Relaxed)));
        if this.node.now().mono < until {
            let mut nap = Box::pin(this.node.sleep_until(until));
            if nap.as_mut().poll(cx).is_pending() {
                this.nap = Some(nap);
                return Poll::Pending;
            }
        }
        this.nap = None;
        let current = (this.node.clone(), this.blocked.clone());
        BLOCKED.with_borrow_mut(|place| *place = Some(current));
        let polled = this.task.as_mut().poll(cx);
        BLOCKED.with_borrow_mut(|place| *place = None);
        if polled.is_pending() && this.blocked.load(Ordering::Relaxed) > until.as_nanos() {
            // Wakes it when it blocks no more.
            cx.waker().wake_by_ref();
        }
        polled
    }
}
