//! A clock that stands still until a test moves it. For stores that read time through a
//! [`StoreClock`]; it never moves by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tideway::jobs::StoreClock;
use tideway_engine::Wall;

/// Milliseconds since 1970 that a test moves. Clones share them.
///
/// ```
/// use std::time::Duration;
/// use tideway_conformance::jobs::TestClock;
///
/// let clock = TestClock::default();
/// let store_reads = clock.store_clock();
/// let before = store_reads();
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(store_reads().0 - before.0, 1000);
/// ```
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicI64>);

impl Default for TestClock {
    /// Some time in 2023.
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(1_700_000_000_000)))
    }
}

impl TestClock {
    /// What it reads.
    #[must_use]
    pub fn now(&self) -> Wall {
        Wall(self.0.load(Ordering::SeqCst))
    }

    /// Moves it forward by `time`, in whole milliseconds.
    pub fn advance(&self, time: Duration) {
        self.0.fetch_add(millis(time), Ordering::SeqCst);
    }

    /// Moves it back by `time`, as an operator or a time server might.
    pub fn set_back(&self, time: Duration) {
        self.0.fetch_sub(millis(time), Ordering::SeqCst);
    }

    /// The same clock, as stores take it.
    #[must_use]
    pub fn store_clock(&self) -> StoreClock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
