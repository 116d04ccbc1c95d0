//! Hints from a call to the workers of this process, and from other processes. Each subscriber has a small set of pending hints, in which
//! equal ones are one; when it is full, more are dropped, as hints may be.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use tideway_engine::jobs::call::Wake;
use tideway_engine::jobs::{Id, Name, Owner};

/// One subscriber has no more than this many queues, and this many cancelled jobs, pending.
const PENDING: usize = 4096;

/// What one call gives workers to look at; sent after the commit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    pub(crate) queues: BTreeSet<Name>,
    pub(crate) cancels: Vec<(Owner, Id)>,
}

impl Hints {
    /// Jobs of `queue` may be due, now or at some time.
    pub(crate) fn queue(&mut self, queue: &Name) {
        if !self.queues.contains(queue) {
            self.queues.insert(queue.clone());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.cancels.is_empty()
    }
}

/// All subscribers of a store. When it goes, their streams end.
#[derive(Default)]
pub(crate) struct Wakes(Mutex<Vec<Weak<Subscriber>>>);

struct Subscriber {
    owner: Owner,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    queues: BTreeSet<Name>,
    cancels: BTreeSet<Id>,
    closed: bool,
    waker: Option<Waker>,
}

impl Wakes {
    /// Hints for `owner` from now on.
    pub(crate) fn subscribe(&self, owner: Owner) -> Hearing {
        let subscriber = Arc::new(Subscriber {
            owner,
            pending: Mutex::default(),
        });
        let mut all = lock(&self.0);
        // Those who left without a hint since are found here.
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(&subscriber));
        Hearing(subscriber)
    }

    /// Who is subscribed.
    pub(crate) fn owners(&self) -> Vec<Owner> {
        let all = lock(&self.0);
        all.iter()
            .filter_map(Weak::upgrade)
            .map(|one| one.owner)
            .collect()
    }

    /// Passes hints on. Not to be called under the store's lock.
    pub(crate) fn send(&self, hints: &Hints) {
        if hints.is_empty() {
            return;
        }
        let mut wakers = Vec::new();
        lock(&self.0).retain(|one| {
            let Some(one) = one.upgrade() else {
                return false;
            };
            wakers.extend(one.add(hints));
            true
        });
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        for one in lock(&self.0).iter().filter_map(Weak::upgrade) {
            let mut pending = lock(&one.pending);
            pending.closed = true;
            let waker = pending.waker.take();
            drop(pending);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl Subscriber {
    /// Adds what concerns it; whom to wake for it.
    fn add(&self, hints: &Hints) -> Option<Waker> {
        let mut pending = lock(&self.pending);
        let before = pending.queues.len() + pending.cancels.len();
        for queue in &hints.queues {
            if pending.queues.len() < PENDING && !pending.queues.contains(queue) {
                pending.queues.insert(queue.clone());
            }
        }
        for (owner, id) in &hints.cancels {
            if *owner == self.owner && pending.cancels.len() < PENDING {
                pending.cancels.insert(*id);
            }
        }
        if pending.queues.len() + pending.cancels.len() > before {
            pending.waker.take()
        } else {
            None
        }
    }
}

/// The hints of one subscriber.
pub(crate) struct Hearing(Arc<Subscriber>);

impl Stream for Hearing {
    type Item = Wake;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Wake>> {
        let mut pending = lock(&self.0.pending);
        if !pending.cancels.is_empty() {
            let ids = std::mem::take(&mut pending.cancels);
            return Poll::Ready(Some(Wake::Cancel(ids.into_iter().collect())));
        }
        if let Some(queue) = pending.queues.pop_first() {
            return Poll::Ready(Some(Wake::Queue(queue)));
        }
        if pending.closed {
            return Poll::Ready(None);
        }
        pending.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Sets of hints are whole after every step: a panic of a waker elsewhere leaves nothing half-done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
