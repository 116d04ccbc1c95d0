//! Where handlers leave word that they are gone, and the worker finds it. A word costs no allocation, and wakes the
//! worker only if it is the first since it looked. It has no bound of its own: a handler leaves one in its life.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// The box. A clone is the same.
pub(super) struct Mail<T>(Arc<Mutex<Left<T>>>);

struct Left<T> {
    words: Vec<T>,
    /// Of the worker, if it waits.
    waker: Option<Waker>,
}

impl<T> Mail<T> {
    pub(super) fn new() -> Self {
        let (words, waker) = (Vec::new(), None);
        Self(Arc::new(Mutex::new(Left { words, waker })))
    }

    pub(super) fn leave(&self, word: T) {
        let waker = {
            let mut left = self.left();
            left.words.push(word);
            left.waker.take()
        };
        // A waker is foreign code: never called under the lock.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Moves the first words, at most so many, to `into`, which is empty. Where there are none, the next wakes.
    pub(super) fn take(&self, most: usize, into: &mut Vec<T>, cx: &Context<'_>) {
        // Cloned and dropped outside of the lock, as it is woken.
        let waker = cx.waker().clone();
        let mut left = self.left();
        let earlier = if left.words.is_empty() {
            left.waker.replace(waker)
        } else {
            if left.words.len() <= most {
                std::mem::swap(&mut left.words, into);
            } else {
                into.extend(left.words.drain(..most));
            }
            Some(waker)
        };
        drop(left);
        drop(earlier);
    }

    fn left(&self) -> MutexGuard<'_, Left<T>> {
        // No foreign code runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Mail<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn taken(mail: &Mail<u32>, most: usize, cx: &Context<'_>) -> Vec<u32> {
        let mut into = Vec::new();
        mail.take(most, &mut into, cx);
        into
    }

    #[test]
    fn words_come_in_order_and_no_more_at_once_than_asked_for() {
        let (mail, cx) = (Mail::new(), Context::from_waker(Waker::noop()));
        (0..5).for_each(|word| mail.clone().leave(word));
        assert_eq!(taken(&mail, 2, &cx), [0, 1]);
        assert_eq!(taken(&mail, 2, &cx), [2, 3]);
        mail.leave(5);
        assert_eq!(taken(&mail, 2, &cx), [4, 5]);
        assert_eq!(taken(&mail, 2, &cx), [0; 0]);
    }

    #[test]
    fn the_first_word_since_none_was_found_wakes() {
        let mail = Mail::new();
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let cx = Context::from_waker(&waker);
        for round in 1..4 {
            assert_eq!(taken(&mail, 9, &cx), [0; 0]);
            mail.leave(1);
            mail.leave(2);
            assert_eq!(count.0.load(Ordering::Relaxed), round);
            assert_eq!(taken(&mail, 1, &cx), [1]);
            assert_eq!(taken(&mail, 9, &cx), [2]);
        }
    }
}
