//! How many sockets may keep their compressors from message to message: some 300 KiB each, and so under a cap.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A cap on sockets that compress with context takeover (RFC 7692 §7.1.1). Clones share one count; keep it beside the
/// route, and hand it to [`WebSocketUpgrade::deflate_with`](super::WebSocketUpgrade::deflate_with).
#[derive(Clone, Debug)]
pub struct Takeover(Arc<Places>);

#[derive(Debug)]
struct Places {
    most: usize,
    taken: AtomicUsize,
}

/// One socket's place; it is free again once this is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

impl Takeover {
    /// At most this many sockets at a time, each with some 300 KiB once both sides have sent something.
    #[must_use]
    pub fn at_most(sockets: usize) -> Self {
        Self(Arc::new(Places {
            most: sockets,
            taken: AtomicUsize::new(0),
        }))
    }

    /// How many there are now.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// A place, if one is free.
    pub(super) fn take(&self) -> Option<Place> {
        let more = |taken| (taken < self.0.most).then_some(taken + 1);
        // Only the count matters, nothing is published with it.
        let taken = (self.0.taken).fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Place(self.0.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_up_to_the_cap_and_come_back() {
        let cap = Takeover::at_most(2);
        let (one, two) = (cap.take(), cap.clone().take());
        assert!(one.is_some() && two.is_some() && cap.take().is_none());
        assert_eq!(cap.sockets(), 2);
        drop(one);
        assert!(cap.take().is_some());
        drop(two);
        assert_eq!(cap.sockets(), 0);
        assert!(Takeover::at_most(0).take().is_none());
    }
}
