//! Which slots fire now, and what becomes of those that passed while nobody looked. Asks the
//! schedule only, so workers that look at different times agree on the slots.

use std::time::Duration;

use super::Schedule;
use crate::time::Wall;

/// The most jobs one look at a schedule makes, whatever [`Missed::All`] asks for.
pub const MAX_AT_ONCE: u32 = 100;

/// Under [`Missed::Skip`], a slot at most this old is late, not missed.
pub const LATE: Duration = Duration::from_secs(60);

/// What becomes of slots that passed while no worker ran. A slot that has just come always fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missed {
    /// They never fire: the newest one fires if it is at most [`LATE`], the others do not.
    #[default]
    Skip,
    /// The newest one fires for all of them, however old.
    RunOnce,
    /// Each fires, but only so many of the newest; at most [`MAX_AT_ONCE`].
    All(u32),
}

/// An answer of [`due`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The slots to fire, oldest first; at most [`MAX_AT_ONCE`].
    pub slots: Vec<Wall>,
    /// When to look again: the first slot that is still to come.
    pub next: Option<Wall>,
}

/// The slots after `last` and up to `now` that fire.
///
/// `last` is the newest slot that is settled, fired or not. Without one nothing fires: a schedule
/// begins with its first slot after it was first seen.
#[must_use]
pub fn due(schedule: &Schedule, last: Option<Wall>, now: Wall, missed: Missed) -> Due {
    let last = last.unwrap_or(now);
    let slots = match missed {
        Missed::Skip => {
            let late = i64::try_from(LATE.as_millis()).unwrap_or(i64::MAX);
            let since = last.max(Wall(now.0.saturating_sub(late + 1)));
            newest(schedule, since, now, 1)
        }
        Missed::RunOnce => newest(schedule, last, now, 1),
        Missed::All(most) => newest(schedule, last, now, most.min(MAX_AT_ONCE)),
    };
    let next = schedule.after(now.max(last));
    Due { slots, next }
}

/// The newest `most` slots after `last` and up to `until`, oldest first.
fn newest(schedule: &Schedule, last: Wall, until: Wall, most: u32) -> Vec<Wall> {
    let mut slots = Vec::new();
    let mut until = until;
    while (slots.len() as u32) < most
        && let Some(slot) = latest(schedule, last, until)
    {
        slots.push(slot);
        until = Wall(slot.0.saturating_sub(1));
    }
    slots.reverse();
    slots
}

/// The newest slot after `last` and up to `until`, by bisection: a schedule of seconds that was
/// not looked at for a year has 31 million.
fn latest(schedule: &Schedule, last: Wall, until: Wall) -> Option<Wall> {
    let first_after = |instant| schedule.after(instant).filter(|slot| *slot <= until);
    // A slot up to `until` is found; there is none after `none_after`.
    let (mut found, mut none_after) = (first_after(last)?, until);
    while found < none_after {
        let sum = i128::from(found.0) + i128::from(none_after.0);
        let middle = Wall((sum >> 1) as i64);
        match first_after(middle) {
            Some(slot) => found = slot,
            None => none_after = middle,
        }
    }
    Some(found)
}
