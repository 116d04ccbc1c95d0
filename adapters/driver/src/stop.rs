//! One coordinator for stopping: graceful at the first call, forced at the second.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Stops a server: [`Stop::stop`] from a signal, a test, an endpoint. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    phase: AtomicU8,
    waiting: Mutex<Slots>,
}

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Serving.
    Running,
    /// No new connections, no new requests on old ones; what runs may end.
    Draining,
    /// What is left is being cut.
    Forced,
}

impl Stop {
    /// A coordinator nobody has asked to stop.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a graceful stop; called again, cuts whatever is left.
    pub fn stop(&self) {
        let next = match self.phase() {
            Phase::Running => Phase::Draining,
            Phase::Draining | Phase::Forced => Phase::Forced,
        };
        self.advance(next);
    }

    /// Cuts whatever is left.
    pub fn force(&self) {
        self.advance(Phase::Forced);
    }

    fn advance(&self, to: Phase) {
        let before = self.0.phase.fetch_max(to as u8, Ordering::AcqRel);
        if before < to as u8 {
            let wakers: Vec<Waker> = self.slots().wakers.iter().flatten().cloned().collect();
            for waker in wakers {
                waker.wake();
            }
        }
    }

    /// How far it has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Forced,
        }
    }

    /// Whether a stop has begun.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.phase() > Phase::Running
    }

    /// Completes when the stop has come as far as `phase`.
    pub async fn reached(&self, phase: Phase) {
        let mut seat = self.seat();
        poll_fn(|cx| {
            seat.register(cx);
            if self.phase() >= phase {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// A place to wait at, for one task.
    pub(crate) fn seat(&self) -> Seat {
        Seat {
            stop: self.clone(),
            place: None,
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// As many as there are tasks that wait: one per connection, capped with them.
#[derive(Debug, Default)]
struct Slots {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// A task's place; wakes it at every phase. Frees itself.
pub(crate) struct Seat {
    stop: Stop,
    place: Option<(usize, Waker)>,
}

impl Seat {
    /// Makes sure the current task is the one woken; takes the lock only when it was not, and then
    /// says true.
    #[inline]
    pub(crate) fn register(&mut self, cx: &Context<'_>) -> bool {
        match &self.place {
            Some((_, waker)) if waker.will_wake(cx.waker()) => false,
            _ => self.sit(cx),
        }
    }

    fn sit(&mut self, cx: &Context<'_>) -> bool {
        match &mut self.place {
            Some((place, waker)) => {
                waker.clone_from(cx.waker());
                self.stop.slots().wakers[*place] = Some(waker.clone());
            }
            None => {
                let waker = cx.waker().clone();
                let mut slots = self.stop.slots();
                let place = match slots.free.pop() {
                    Some(place) => place,
                    None => {
                        slots.wakers.push(None);
                        slots.wakers.len() - 1
                    }
                };
                slots.wakers[place] = Some(waker.clone());
                drop(slots);
                self.place = Some((place, waker));
            }
        }
        true
    }

    pub(crate) fn phase(&self) -> Phase {
        self.stop.phase()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some((place, _)) = self.place.take() {
            let mut slots = self.stop.slots();
            slots.wakers[place] = None;
            slots.free.push(place);
        }
    }
}
