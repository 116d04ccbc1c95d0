//! Time as an argument: monotonic nanoseconds, wall-clock milliseconds, and the pair a driver
//! reads once per wake-up. Nothing here reads a clock.

use std::num::NonZeroU64;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds on a monotonic clock whose zero is the start of the process (or simulation).
///
/// Used for deadlines only; never stored, never compared across processes. `Option<Mono>` is
/// eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(NonZeroU64);

impl Mono {
    /// The first instant: one nanosecond after the epoch of the clock.
    pub const START: Mono = Mono(NonZeroU64::MIN);

    /// The instant `nanos` after the clock's epoch; zero is rounded up to one.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        match NonZeroU64::new(nanos) {
            Some(nanos) => Self(nanos),
            None => Self::START,
        }
    }

    /// Nanoseconds since the clock's epoch; never zero.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0.get()
    }

    /// The instant `after` later, or the last representable one (some 584 years).
    #[must_use]
    pub const fn plus(self, after: Duration) -> Self {
        let nanos = after.as_nanos();
        let nanos = if nanos > u64::MAX as u128 {
            u64::MAX
        } else {
            nanos as u64
        };
        Self(self.0.saturating_add(nanos))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl std::fmt::Debug for Mono {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0.get()))
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z. Stored, shown and sent; may jump in either direction.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Wall(pub i64);

/// Both clocks, read together once per driver wake-up and handed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and durations.
    pub mono: Mono,
    /// For what people and other machines see.
    pub wall: Wall,
}

impl Now {
    /// The start of virtual time, at the given wall-clock reading.
    #[must_use]
    pub const fn start(wall: Wall) -> Self {
        Self {
            mono: Mono::START,
            wall,
        }
    }

    /// Both clocks moved forward by the same amount.
    #[must_use]
    pub const fn plus(self, after: Duration) -> Self {
        Self {
            mono: self.mono.plus(after),
            wall: Wall(self.wall.0.saturating_add(after.as_millis() as i64)),
        }
    }
}
