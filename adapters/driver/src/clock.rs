//! The system's clocks, for the [`Runtime::now`](crate::Runtime::now) of every adapter that has no
//! other. The driver itself never calls them: a simulator brings its own.
//!
//! Monotonic time counts from the first reading in this process, so every runtime in it shares one
//! axis. The wall clock is read again when its last reading on this thread is older than 10 ms; in
//! between it is counted on, so that a wake-up costs one reading, not two.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use tideway::{Mono, Now, Wall};

/// What `Mono` counts from.
fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// How late a jump of the wall clock may be seen, in nanoseconds.
const FRESH: u64 = 10_000_000;

thread_local! {
    /// When the wall clock was last read, in monotonic nanoseconds, and what it said.
    static READ: Cell<Option<(u64, Wall)>> = const { Cell::new(None) };
}

/// Both clocks.
#[must_use]
pub fn now() -> Now {
    let elapsed = epoch().elapsed();
    // In 64 bits: enough for 584 years, and `as_nanos` would multiply in 128.
    let mono = elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos());
    let wall = match READ.get() {
        Some((at, wall)) if mono - at < FRESH => Wall(wall.0 + ((mono - at) / 1_000_000) as i64),
        _ => {
            let wall = wall(SystemTime::now());
            READ.set(Some((mono, wall)));
            wall
        }
    };
    Now {
        mono: Mono::from_nanos(mono),
        wall,
    }
}

/// The instant at `mono`, for timers that go by std's clock.
#[must_use]
pub fn instant(mono: Mono) -> Instant {
    epoch() + Duration::from_nanos(mono.as_nanos())
}

fn wall(time: SystemTime) -> Wall {
    Wall(match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_millis() as i64,
        Err(before) => -(before.duration().as_millis() as i64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_runs_before_1970_too() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(wall(epoch + Duration::from_millis(5)), Wall(5));
        assert_eq!(wall(epoch - Duration::from_millis(5)), Wall(-5));
    }

    #[test]
    fn the_last_instant_can_be_slept_until() {
        let _ = instant(Mono::from_nanos(u64::MAX));
    }
}
