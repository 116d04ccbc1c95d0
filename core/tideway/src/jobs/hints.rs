//! Hints for the authors of stores: what a call gives workers to look at, and the workers of this process who are
//! told. A subscriber has a small set of pending hints, in which equal ones are one; when it is full, more are dropped, as
//! hints may be. Nothing here waits, and nothing knows how hints travel between processes.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use tideway_engine::jobs::call::Wake;
use tideway_engine::jobs::{Id, Kind, Name, Owner, Record, State};

/// What a call gives workers to look at: queues that got something to do, and running jobs that shall stop. Collected
/// while the call is done, sent once others can see what it did.
///
/// ```
/// use tideway::jobs::Name;
/// use tideway::jobs::hints::{Hints, Wakes};
/// use tideway_engine::jobs::Owner;
///
/// let wakes = Wakes::default();
/// let worker = wakes.subscribe(Owner(1)); // what `JobStore::wakeups` returns
/// let mut hints = Hints::default();
/// hints.queue(&Name::new("mail").unwrap());
/// wakes.send(&hints); // `worker` yields `Wake::Queue("mail")`
/// # drop(worker);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Jobs of these may be due, now or at some time.
    pub queues: BTreeSet<Name>,
    /// These are asked to stop, and these run them.
    pub cancels: Vec<(Owner, Id)>,
}

impl Hints {
    /// Jobs of `queue` may be due, now or at some time.
    pub fn queue(&mut self, queue: &Name) {
        if !self.queues.contains(queue) {
            self.queues.insert(queue.clone());
        }
    }

    /// What `job` gives to look at after the row `kind` was applied to it. Every way into a lane hints, whether or not the
    /// lane was empty: a worker that has just seen it empty may be on its way to sleep.
    pub fn after(&mut self, job: &Record, kind: Kind) {
        match (job.state, kind, job.owner) {
            (State::Pending, _, _) => self.queue(&job.spec.queue),
            (State::Running, Kind::Cancel, Some(owner)) => self.cancels.push((owner, job.id())),
            _ => {}
        }
    }

    /// Those of another call too.
    pub fn append(&mut self, mut other: Self) {
        self.queues.append(&mut other.queues);
        self.cancels.append(&mut other.cancels);
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.cancels.is_empty()
    }

    /// Of the call that begins now.
    pub fn clear(&mut self) {
        self.queues.clear();
        self.cancels.clear();
    }
}

/// A subscriber has no more than this many queues, and this many cancelled jobs, pending.
const PENDING: usize = 4096;

/// All subscribers of a store. When it goes, their streams end.
#[derive(Default)]
pub struct Wakes(Mutex<Vec<Weak<Subscriber>>>);

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
    #[must_use]
    pub fn subscribe(&self, owner: Owner) -> Hearing {
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
    #[must_use]
    pub fn owners(&self) -> Vec<Owner> {
        let all = lock(&self.0);
        let here = all.iter().filter_map(Weak::upgrade);
        here.map(|one| one.owner).collect()
    }

    /// Passes hints on. Not to be called under a lock that a woken worker may want.
    pub fn send(&self, hints: &Hints) {
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

impl fmt::Debug for Wakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wakes").field(&self.owners()).finish()
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

/// The hints of one subscriber; ends when the store goes.
pub struct Hearing(Arc<Subscriber>);

impl fmt::Debug for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hearing").field(&self.0.owner).finish()
    }
}

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
