//! What a running job and its worker share: the newest checkpoint, the result, the follow-up jobs, the wish
//! that it stop. Knows no clock and no store.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tideway_engine::jobs::NewJob;
use tideway_engine::jobs::pool::End;

/// The worker's hold on one running job. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct JobState(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    /// The newest, until the worker takes it.
    unsaved: Option<Bytes>,
    /// The newest, taken or not.
    progress: Bytes,
    /// What is stored if the job succeeds, and what is inserted then.
    result: Bytes,
    then: Vec<NewJob>,
    cancelled: bool,
    /// One per future that waits for the cancellation and is alive.
    watchers: BTreeMap<u64, Waker>,
    next: u64,
}

impl JobState {
    /// The most futures that may wait for the cancellation of one job at a time; one more panics.
    pub const MAX_WATCHERS: usize = 1024;

    pub(super) fn new(progress: Bytes) -> Self {
        let state = Self::default();
        state.shared().progress = progress;
        state
    }

    /// The newest checkpoint, if it was not taken before. Whoever takes it sends it with a beat or a
    /// settle, and repeats that until the store has answered.
    #[must_use]
    pub fn take_checkpoint(&self) -> Option<Bytes> {
        self.shared().unsaved.take()
    }

    /// Asks the job to stop: [`JobCx::cancelled`](super::JobCx::cancelled) completes.
    pub fn cancel(&self) {
        let watchers = {
            let mut shared = self.shared();
            shared.cancelled = true;
            std::mem::take(&mut shared.watchers)
        };
        // A waker is foreign code: never called under the lock.
        watchers.into_values().for_each(Waker::wake);
    }

    /// Whether it was asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared().cancelled
    }

    pub(super) fn progress(&self) -> Bytes {
        self.shared().progress.clone()
    }

    pub(super) fn checkpoint(&self, progress: Bytes) {
        let mut shared = self.shared();
        shared.progress = progress.clone();
        shared.unsaved = Some(progress);
    }

    /// Adds a follow-up job; `false` if there are `most` already.
    pub(super) fn then(&self, job: NewJob, most: usize) -> bool {
        let then = &mut self.shared().then;
        let room = then.len() < most;
        if room {
            then.push(job);
        }
        room
    }

    pub(super) fn result(&self, result: Bytes) {
        self.shared().result = result;
    }

    /// How a success ends.
    pub(super) fn succeeded(&self) -> End {
        let mut shared = self.shared();
        End::Succeeded {
            result: std::mem::take(&mut shared.result),
            then: std::mem::take(&mut shared.then),
        }
    }

    pub(super) fn cancelled(&self) -> Cancelled {
        Cancelled {
            state: self.clone(),
            key: None,
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // No user code runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Completes when the job is asked to stop. See [`JobCx::cancelled`](super::JobCx::cancelled).
#[derive(Debug)]
pub struct Cancelled {
    state: JobState,
    key: Option<u64>,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Cloned and dropped outside of the lock, as it is woken.
        let waker = cx.waker().clone();
        let earlier = {
            let mut shared = this.state.shared();
            if shared.cancelled {
                return Poll::Ready(());
            }
            let key = *this.key.get_or_insert_with(|| {
                shared.next += 1;
                shared.next
            });
            let full = shared.watchers.len() >= JobState::MAX_WATCHERS;
            if full && !shared.watchers.contains_key(&key) {
                None
            } else {
                Some(shared.watchers.insert(key, waker))
            }
        };
        assert!(
            earlier.is_some(),
            "more than {} futures wait for the cancellation of one job: share one of them",
            JobState::MAX_WATCHERS
        );
        Poll::Pending
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let waker = self.state.shared().watchers.remove(&key);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Count(AtomicUsize);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_checkpoint_is_taken_once_and_the_latest_wins() {
        let state = JobState::new(Bytes::from_static(b"old"));
        assert_eq!(state.take_checkpoint(), None);
        state.checkpoint(Bytes::from_static(b"1"));
        state.checkpoint(Bytes::from_static(b"2"));
        assert_eq!(state.take_checkpoint().as_deref(), Some(&b"2"[..]));
        assert_eq!(state.take_checkpoint(), None);
        assert_eq!(state.progress(), "2");
    }

    #[test]
    fn every_watcher_alive_is_woken_once_and_no_dropped_one_is_kept() {
        let state = JobState::default();
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        let mut kept: Vec<_> = (0..3).map(|_| Box::pin(state.cancelled())).collect();
        for _ in 0..2 {
            for future in &mut kept {
                assert!(future.as_mut().poll(&mut cx).is_pending());
            }
        }
        for _ in 0..2 * JobState::MAX_WATCHERS {
            assert!(
                Box::pin(state.cancelled())
                    .as_mut()
                    .poll(&mut cx)
                    .is_pending()
            );
        }
        assert_eq!(state.shared().watchers.len(), 3);
        state.cancel();
        state.cancel();
        assert_eq!(count.0.load(Ordering::Relaxed), 3);
        for mut future in kept {
            assert!(future.as_mut().poll(&mut cx).is_ready());
        }
    }

    #[test]
    #[should_panic(expected = "more than 1024 futures wait")]
    fn there_is_a_cap_on_watchers() {
        let state = JobState::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut kept: Vec<_> = (0..=JobState::MAX_WATCHERS)
            .map(|_| Box::pin(state.cancelled()))
            .collect();
        for future in &mut kept {
            let _ = future.as_mut().poll(&mut cx);
        }
    }
}
