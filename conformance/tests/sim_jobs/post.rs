//! A queue between tasks of one simulation; the receiver is one task.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Clones share the queue.
pub(crate) struct Post<T>(Arc<Mutex<Queue<T>>>);

struct Queue<T> {
    items: VecDeque<T>,
    waker: Option<Waker>,
}

impl<T> Clone for Post<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Post<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Queue {
            items: VecDeque::new(),
            waker: None,
        })))
    }

    pub(crate) fn send(&self, item: T) {
        let waker = {
            let mut queue = lock(&self.0);
            queue.items.push_back(item);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<T> {
        let mut queue = lock(&self.0);
        if let Some(item) = queue.items.pop_front() {
            return Poll::Ready(item);
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) async fn next(&self) -> T {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Whether the receiver has given up its clone.
    pub(crate) fn alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// A panic of a task ends the simulation anyway.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
