//! A runtime's tasks in virtual time: one clock, sleeps in order, spawned tasks polled by hand.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tideway_engine::{Mono, Now, Wall};

use crate::error::caught;
use crate::tasks::{BoxFuture, Tasks};

/// Polls without progress in time after which a test is taken for a busy loop.
pub(super) const SPIN: usize = 100_000;

/// [`Tasks`] whose time moves only when told to.
///
/// Sleeps end in the order of their deadlines, equal ones in the order in which they were first
/// polled. Spawned tasks run in [`VirtualTasks::run_ready`] and while time advances, in the order
/// of spawning. Blocking work runs at once, on the caller. Clones share everything.
///
/// ```
/// use std::time::Duration;
/// use tideway::{Tasks, testing::VirtualTasks};
///
/// let tasks = VirtualTasks::default();
/// let start = tasks.now();
/// tasks.advance(Duration::from_secs(3600));
/// assert_eq!(tasks.now().mono.since(start.mono), Duration::from_secs(3600));
/// ```
#[derive(Clone)]
pub struct VirtualTasks(Arc<Mutex<State>>);

struct State {
    now: Now,
    sleeps: BTreeMap<(Mono, u64), Waker>,
    spawned: Vec<Spawned>,
    next: u64,
}

/// A background task; its future is taken out while it is polled.
struct Spawned {
    id: u64,
    future: Option<BoxFuture<'static, ()>>,
    woken: Arc<Flag>,
}

impl Default for VirtualTasks {
    /// The clock starts at 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::new(Now::start(Wall(1_767_225_600_000)))
    }
}

impl VirtualTasks {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self(Arc::new(Mutex::new(State {
            now,
            sleeps: BTreeMap::new(),
            spawned: Vec::new(),
            next: 0,
        })))
    }

    /// When the next sleep ends, if any is awaited.
    #[must_use]
    pub fn next_sleep(&self) -> Option<Mono> {
        self.state().sleeps.keys().next().map(|&(at, _)| at)
    }

    /// How many spawned tasks have not ended.
    #[must_use]
    pub fn spawned(&self) -> usize {
        self.state().spawned.len()
    }

    /// Polls spawned tasks until each waits for something; whether any was polled.
    ///
    /// A task that panics is dropped and logged, as a runtime does.
    ///
    /// # Panics
    ///
    /// If tasks wake themselves for ever.
    pub fn run_ready(&self) -> bool {
        for polls in 0..SPIN {
            let ready = {
                let mut state = self.state();
                let ready = |task: &&mut Spawned| task.future.is_some() && task.woken.take();
                let found = state.spawned.iter_mut().find(ready);
                found.and_then(|task| Some((task.id, task.future.take()?, task.woken.clone())))
            };
            let Some((id, mut future, woken)) = ready else {
                return polls > 0;
            };
            let waker = Waker::from(woken);
            let polled = caught(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
            if let Err(panic) = &polled {
                tracing::error!(target: "tideway", "a spawned task {panic}");
            }
            let pending = polled.is_ok_and(|poll| poll.is_pending());
            let mut state = self.state();
            if let Some(at) = state.spawned.iter().position(|task| task.id == id) {
                if pending {
                    state.spawned[at].future = Some(future);
                } else {
                    state.spawned.remove(at);
                }
            }
        }
        panic!("spawned tasks wake themselves for ever: polled {SPIN} times without a pause");
    }

    /// Moves time to `at`, in one step, and wakes every sleep that ends by then. Does nothing if
    /// `at` has passed.
    pub fn jump_to(&self, at: Mono) {
        let due: Vec<Waker> = {
            let mut state = self.state();
            let step = at.since(state.now.mono);
            state.now = state.now.plus(step);
            let rest = state.sleeps.split_off(&(at, u64::MAX));
            std::mem::replace(&mut state.sleeps, rest)
                .into_values()
                .collect()
        };
        due.into_iter().for_each(Waker::wake);
    }

    /// Moves time by `duration`, stopping at the end of every sleep on the way to run what it woke.
    pub fn advance(&self, duration: Duration) {
        let end = self.now().mono.plus(duration);
        self.run_ready();
        while let Some(at) = self.next_sleep()
            && at <= end
        {
            self.jump_to(at);
            self.run_ready();
        }
        self.jump_to(end);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No user code runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Tasks for VirtualTasks {
    fn now(&self) -> Now {
        self.state().now
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        Box::pin(Sleep {
            tasks: self.clone(),
            at,
            key: None,
        })
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let mut state = self.state();
        let id = state.next_id();
        state.spawned.push(Spawned {
            id,
            future: Some(task),
            woken: Arc::new(Flag::raised()),
        });
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        if let Err(panic) = caught(work) {
            tracing::error!(target: "tideway", "blocking work {panic}");
        }
    }
}

impl std::fmt::Debug for VirtualTasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("VirtualTasks")
            .field("now", &state.now)
            .field("sleeps", &state.sleeps.len())
            .field("spawned", &state.spawned.len())
            .finish()
    }
}

struct Sleep {
    tasks: VirtualTasks,
    at: Mono,
    key: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.tasks.state();
        if state.now.mono >= this.at {
            return Poll::Ready(());
        }
        let key = *this.key.get_or_insert_with(|| state.next_id());
        let earlier = state.sleeps.insert((this.at, key), cx.waker().clone());
        // Dropping a waker may drop a task, and with it another sleep.
        drop(state);
        drop(earlier);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        // What nobody awaits any more must not move time.
        if let Some(key) = self.key {
            let waker = self.tasks.state().sleeps.remove(&(self.at, key));
            drop(waker);
        }
    }
}

/// A waker that raises a flag.
#[derive(Debug)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    pub(super) fn raised() -> Self {
        Self(AtomicBool::new(true))
    }

    pub(super) fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Lowers the flag; whether it was raised.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.raise();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_at(tasks: &VirtualTasks, log: &Arc<Mutex<Vec<u64>>>, seconds: u64) {
        let at = tasks.now().mono.plus(Duration::from_secs(seconds));
        let (sleep, log) = (tasks.sleep_until(at), log.clone());
        tasks.spawn(Box::pin(async move {
            sleep.await;
            log.lock().expect("no panic under it").push(seconds);
        }));
    }

    #[test]
    fn sleeps_end_in_order_and_never_early() {
        let tasks = VirtualTasks::default();
        let log = Arc::default();
        for seconds in [3, 1, 2, 0, 5] {
            log_at(&tasks, &log, seconds);
        }
        tasks.advance(Duration::from_millis(2_999));
        assert_eq!(*log.lock().expect("no panic"), [0, 1, 2]);
        tasks.advance(Duration::from_millis(1));
        assert_eq!(*log.lock().expect("no panic"), [0, 1, 2, 3]);
        assert_eq!(tasks.spawned(), 1);
    }

    #[test]
    fn a_nanosecond_too_early_is_too_early() {
        let tasks = VirtualTasks::default();
        let mut cx = Context::from_waker(Waker::noop());
        let at = tasks.now().mono.plus(Duration::from_nanos(2));
        for pending in [true, true, false] {
            assert_eq!(
                tasks.sleep_until(at).as_mut().poll(&mut cx).is_pending(),
                pending
            );
            tasks.advance(Duration::from_nanos(1));
        }
    }

    #[test]
    fn a_dropped_sleep_does_not_move_time() {
        let tasks = VirtualTasks::default();
        let mut sleep = tasks.sleep_until(tasks.now().mono.plus(Duration::from_secs(1)));
        assert!(
            sleep
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        assert!(tasks.next_sleep().is_some());
        drop(sleep);
        assert_eq!(tasks.next_sleep(), None);
    }

    #[test]
    fn a_task_that_panics_leaves_the_others_alone() {
        let tasks = VirtualTasks::default();
        let log = Arc::default();
        tasks.spawn(Box::pin(async { panic!("alone") }));
        log_at(&tasks, &log, 0);
        tasks.run(Box::new(|| panic!("blocking")));
        assert!(tasks.run_ready());
        assert_eq!(
            (log.lock().expect("no panic").len(), tasks.spawned()),
            (1, 0)
        );
        assert!(!tasks.run_ready());
    }

    #[test]
    fn both_clocks_move_together() {
        let tasks = VirtualTasks::new(Now::start(Wall(7)));
        tasks.advance(Duration::from_millis(1500));
        assert_eq!(
            tasks.now(),
            Now::start(Wall(7)).plus(Duration::from_millis(1500))
        );
    }
}
