//! How a file is opened. Durations are `Duration`, sizes bytes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tideway::jobs::StoreClock;
use tideway_engine::Wall;

/// How to open a job store. [`Options::default`] is right for most programs.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// What an acknowledged call survives; [`Synchronous::Full`] unless set.
    pub synchronous: Synchronous,
    /// How long a call waits for another process to finish writing, before it fails as
    /// [`Transient`](tideway::jobs::StoreError::Transient); 5 s unless set.
    pub busy_timeout: Duration,
    /// The largest the file may grow, in bytes; `None`, as large as the disk. A call that needs more
    /// fails and changes nothing.
    pub max_size: Option<u64>,
    /// The largest payload in bytes, as `caps` reports it; 1 MiB unless set.
    pub max_payload: usize,
    /// The store's clock, read once per transaction; the system's unless set. All processes that share
    /// a file must read the same time.
    pub clock: StoreClock,
}

/// When SQLite asks the disk to keep what was written (`PRAGMA synchronous`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// At every commit: an acknowledged call survives the loss of power.
    #[default]
    Full,
    /// At checkpoints: an acknowledged call survives the death of the process, not the loss of power. The
    /// file stays sound.
    Normal,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            busy_timeout: Duration::from_secs(5),
            max_size: None,
            max_payload: 1 << 20,
            clock: Arc::new(system),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("synchronous", &self.synchronous)
            .field("busy_timeout", &self.busy_timeout)
            .field("max_size", &self.max_size)
            .field("max_payload", &self.max_payload)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// With this choice between durability and speed.
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Waits at most so long for another process.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// With a file of at most so many bytes.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// With payloads of at most so many bytes.
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// With this clock instead of the system's.
    #[must_use]
    pub fn clock(mut self, clock: StoreClock) -> Self {
        self.clock = clock;
        self
    }
}

fn system() -> Wall {
    let since = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    Wall(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => since(after),
        Err(before) => -since(before.duration()),
    })
}
