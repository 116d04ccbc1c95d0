//! Waiting without a runtime: futures that a thread of the suite completes. A case runs on a runtime
//! it does not know, so it cannot use that one's timers.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_util::future::{Either, select};

/// Done `time` from now.
pub(super) async fn sleep(time: Duration) {
    let (done, wait) = latch();
    thread::spawn(move || {
        thread::sleep(time);
        done.open();
    });
    wait.await;
}

/// What `task` gives, or `None` after `limit`.
pub(super) async fn within<T>(limit: Duration, task: impl Future<Output = T>) -> Option<T> {
    match select(Box::pin(task), Box::pin(sleep(limit))).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

/// Something to wait for, and the way to end the wait. It ends too if `Done` is dropped: a client
/// that panics must not leave the others waiting.
pub(super) fn latch() -> (Done, Latch) {
    let state: Arc<Mutex<State>> = Arc::default();
    (Done(state.clone()), Latch(state))
}

#[derive(Default)]
struct State {
    open: bool,
    waker: Option<Waker>,
}

pub(super) struct Done(Arc<Mutex<State>>);

impl Done {
    pub(super) fn open(self) {}
}

impl Drop for Done {
    fn drop(&mut self) {
        let waker = {
            let mut state = lock(&self.0);
            state.open = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

pub(super) struct Latch(Arc<Mutex<State>>);

impl Future for Latch {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.0);
        if state.open {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
