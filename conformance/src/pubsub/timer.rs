//! Waiting without a runtime: one thread that wakes whoever's time has come. A case runs on a runtime it does not know, and
//! waits many times.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

/// Done `time` from now.
pub(super) fn sleep(time: Duration) -> Sleep {
    Sleep {
        at: Instant::now() + time,
        number: None,
    }
}

/// What `task` gives, or `None` after `limit`.
pub(super) async fn within<T>(limit: Duration, task: impl Future<Output = T> + Unpin) -> Option<T> {
    match select(task, sleep(limit)).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

pub(super) struct Sleep {
    at: Instant,
    number: Option<u64>,
}

#[derive(Default)]
struct Waits {
    wakers: BTreeMap<(Instant, u64), Waker>,
    next: u64,
}

struct Timer {
    waits: Mutex<Waits>,
    changed: Condvar,
}

static TIMER: LazyLock<&Timer> = LazyLock::new(|| {
    let timer: &Timer = Box::leak(Box::new(Timer {
        waits: Mutex::default(),
        changed: Condvar::new(),
    }));
    thread::spawn(|| timer.run());
    timer
});

impl Timer {
    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut waits = self.lock();
        loop {
            let now = Instant::now();
            let rest = waits.wakers.split_off(&(now, u64::MAX));
            let due = std::mem::replace(&mut waits.wakers, rest);
            if !due.is_empty() {
                drop(waits);
                due.into_values().for_each(Waker::wake);
                waits = self.lock();
                continue;
            }
            let first = waits.wakers.keys().next();
            let pause = first.map_or(Duration::MAX, |(at, _)| *at - now);
            let waited = self
                .changed
                .wait_timeout(waits, pause.min(Duration::from_secs(60)));
            waits = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        let mut waits = TIMER.lock();
        let number = *self.number.get_or_insert_with(|| {
            waits.next += 1;
            waits.next
        });
        waits.wakers.insert((self.at, number), cx.waker().clone());
        drop(waits);
        TIMER.changed.notify_one();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            TIMER.lock().wakers.remove(&(self.at, number));
        }
    }
}
