//! Tasks, and the loop that runs them and waits. Wakers may be called from any thread.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use tideway::{BoxFuture, Mono};
use tideway_driver::clock;

use super::locked;
use super::socket::Readiness;

/// A handle to the runtime of one [`block_on`].
#[derive(Clone)]
pub struct Own(Arc<Tables>);

struct Tables {
    thread: ThreadId,
    epoll: OwnedFd,
    /// Written to when a task is woken while the loop may be waiting.
    bell: OwnedFd,
    ringing: AtomicBool,
    woken: Mutex<VecDeque<Arc<Task>>>,
    /// All tasks that have not ended, so that the end of `block_on` can drop them.
    tasks: Mutex<BTreeMap<u64, Arc<Task>>>,
    sockets: Mutex<BTreeMap<u64, Arc<Readiness>>>,
    timers: Mutex<BTreeMap<(Mono, u64), Waker>>,
    ids: Mutex<u64>,
}

struct Task {
    id: u64,
    rt: Own,
    future: Mutex<Option<BoxFuture<'static, ()>>>,
    queued: AtomicBool,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            let tables = self.rt.0.clone();
            locked(&tables.woken).push_back(self);
            tables.ring();
        }
    }
}

impl Tables {
    /// Ends the loop's wait. The loop's own thread need not: it looks at all tables before it waits.
    fn ring(&self) {
        if thread::current().id() != self.thread && !self.ringing.swap(true, Ordering::AcqRel) {
            // Fails only when the counter is full, and then the bell rings already.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }
}

const BELL: u64 = 0;
/// Tasks polled before readiness is asked for again: a busy task cannot starve the sockets.
const BUDGET: usize = 128;

thread_local! {
    static CURRENT: RefCell<Option<Own>> = const { RefCell::new(None) };
}

/// Runs `main`, and every task it spawns, on this thread until `main` ends; what still runs then is
/// dropped.
pub fn block_on(main: BoxFuture<'static, ()>) {
    let rt = Own::new().expect("epoll and eventfd are there");
    CURRENT.set(Some(rt.clone()));
    let main = rt.start(main);
    loop {
        for _ in 0..BUDGET {
            let Some(task) = locked(&rt.0.woken).pop_front() else {
                break;
            };
            rt.run(&task);
        }
        if !locked(&rt.0.tasks).contains_key(&main) {
            break;
        }
        rt.turn();
    }
    CURRENT.set(None);
    let left = std::mem::take(&mut *locked(&rt.0.tasks));
    for task in left.into_values() {
        drop(locked(&task.future).take());
    }
    locked(&rt.0.woken).clear();
}

impl Own {
    fn new() -> std::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let on = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &bell, epoll::EventData::new_u64(BELL), on)?;
        Ok(Self(Arc::new(Tables {
            thread: thread::current().id(),
            epoll,
            bell,
            ringing: AtomicBool::new(false),
            woken: Mutex::default(),
            tasks: Mutex::default(),
            sockets: Mutex::default(),
            timers: Mutex::default(),
            ids: Mutex::new(BELL),
        })))
    }

    /// The runtime whose `block_on` this runs in.
    ///
    /// # Panics
    ///
    /// Outside of one.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.with_borrow(|own| own.clone().expect("called inside of `block_on`"))
    }

    pub(super) fn id(&self) -> u64 {
        let mut last = locked(&self.0.ids);
        *last += 1;
        *last
    }

    pub(super) fn start(&self, future: BoxFuture<'static, ()>) -> u64 {
        let id = self.id();
        let task = Arc::new(Task {
            id,
            rt: self.clone(),
            future: Mutex::new(Some(future)),
            queued: AtomicBool::new(false),
        });
        locked(&self.0.tasks).insert(id, task.clone());
        task.wake();
        id
    }

    fn run(&self, task: &Arc<Task>) {
        // Before the poll: a wake during it queues the task again.
        task.queued.swap(false, Ordering::AcqRel);
        let waker = Waker::from(task.clone());
        let mut slot = locked(&task.future);
        let Some(future) = slot.as_mut() else {
            return;
        };
        let mut cx = Context::from_waker(&waker);
        // A task that panics ends; the panic hook has printed why.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
        if !matches!(polled, Ok(Poll::Pending)) {
            let ended = slot.take();
            drop(slot);
            locked(&self.0.tasks).remove(&task.id);
            drop(ended);
        }
    }

    /// Waits for events or the next timer, not at all if a task is woken, and wakes whom it concerns.
    fn turn(&self) {
        let tables = &*self.0;
        let wait = if locked(&tables.woken).is_empty() {
            let first = locked(&tables.timers).keys().next().map(|(at, _)| *at);
            first.map(|at| at.since(clock::now().mono))
        } else {
            Some(Duration::ZERO)
        };
        let wait = wait.map(|wait| Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()),
        });
        let mut events = Vec::with_capacity(256);
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&tables.epoll, spare, wait.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("epoll_wait: {error}"),
        }
        for event in events {
            let id = event.data.u64();
            if id == BELL {
                // In this order: a wake in between has queued its task, and the queue comes next.
                let _ = rustix::io::read(&tables.bell, &mut [0; 8]);
                tables.ringing.swap(false, Ordering::AcqRel);
                continue;
            }
            let ready = locked(&tables.sockets).get(&id).cloned();
            if let Some(ready) = ready {
                ready.happened(event.flags);
            }
        }
        let now = clock::now().mono;
        let later = locked(&tables.timers).split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut *locked(&tables.timers), later);
        due.into_values().for_each(Waker::wake);
    }

    /// Watches `fd` by edge until `forget`.
    pub(super) fn watch(&self, fd: BorrowedFd<'_>) -> std::io::Result<(u64, Arc<Readiness>)> {
        use epoll::EventFlags as On;
        let (id, ready) = (self.id(), Arc::new(Readiness::default()));
        locked(&self.0.sockets).insert(id, ready.clone());
        let on = On::IN | On::OUT | On::RDHUP | On::ET;
        epoll::add(&self.0.epoll, fd, epoll::EventData::new_u64(id), on)?;
        Ok((id, ready))
    }

    pub(super) fn forget(&self, id: u64) {
        locked(&self.0.sockets).remove(&id);
    }

    pub(super) fn set_timer(&self, key: (Mono, u64), waker: Waker) {
        let before = locked(&self.0.timers).insert(key, waker);
        drop(before);
        self.0.ring();
    }

    pub(super) fn unset_timer(&self, key: (Mono, u64)) {
        let waker = locked(&self.0.timers).remove(&key);
        drop(waker);
    }
}
