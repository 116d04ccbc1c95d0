//! Both clocks. Monotonic time counts from the first reading in this process, so every runtime in
//! it shares one axis.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use tideway::{Mono, Now, Wall};

/// What `Mono` counts from.
fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

pub(crate) fn now() -> Now {
    Now {
        mono: Mono::from_nanos(epoch().elapsed().as_nanos() as u64),
        wall: wall(SystemTime::now()),
    }
}

/// The tokio instant at `mono`.
pub(crate) fn instant(mono: Mono) -> tokio::time::Instant {
    (epoch() + Duration::from_nanos(mono.as_nanos())).into()
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
