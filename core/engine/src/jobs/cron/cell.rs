//! How workers without a leader fire each slot once: all of them plan from the same stored cell,
//! and the store lets one of them replace it. Never reads a clock and never writes the cell.
//!
//! | cell | this entry | plan |
//! |---|---|---|
//! | none | first seen | [`Plan::Swap`] to `now`, fires nothing |
//! | lower `rev` | newer | [`Plan::Swap`] to `now`, fires nothing: the old one ends here |
//! | higher `rev` | older | [`Plan::Outdated`] |
//! | same `rev`, other spec | changed without a new `rev` | [`Plan::Conflict`] |
//! | same, slot more than a day ahead | the store's clock went back | [`Plan::Swap`] to `now`, fires nothing |
//! | same | a slot is due | [`Plan::Swap`] to the slot, fires |
//! | same | none is due | [`Plan::Wait`] |
//! | same | none ever comes | [`Plan::Never`] |

use std::time::Duration;

use super::{Due, Missed, Schedule, due};
use crate::jobs::{Id, Name, shard_of};
use crate::time::Wall;

/// A cell's slot this far ahead cannot come from the clock as it is now.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// A schedule and what it enqueues: one entry of an application's crontab.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Names the cell. Another key is another schedule, with a history of its own.
    pub key: Name,
    /// Raised by one with every change of the schedule, so that in a rollout the old and the new
    /// one do not both fire. A lower one than the cell's never fires.
    pub rev: u32,
    /// When.
    pub schedule: Schedule,
    /// What becomes of slots that passed while no worker ran.
    pub missed: Missed,
    /// What happens if the job of the slot before has not ended.
    pub overlap: Overlap,
    /// The one queue it enqueues to. Part of every job's id, so a change of it needs a new `rev`.
    pub queue: Name,
}

/// Whether jobs of two slots may run at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overlap {
    /// They may.
    #[default]
    Allow,
    /// A slot makes no job while that of an earlier one has not ended (a unique hold until done).
    Skip,
    /// One at a time, and one more waits (a unique hold until start, and a limit of one running).
    BufferOne,
}

/// What the store keeps per key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Every slot up to and including this one is settled: fired, or passed over by policy.
    pub slot: Wall,
    /// Of the entry that wrote it.
    pub rev: u32,
    /// [`Schedule::spec`] of the entry that wrote it.
    pub spec: String,
    /// The job of the newest slot that fired.
    pub last_job: Option<Id>,
}

/// What a worker does next about an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plan {
    /// Ask the store, in one step, to replace the cell and insert the jobs. It does so if the cell's
    /// slot is still `prev` (`None`: there is no cell) and its `rev` is not higher; otherwise the
    /// answer has the cell to plan from again. A repeat after a lost reply loses, and finds `next`.
    Swap {
        /// The slot of the cell this was planned from.
        prev: Option<Wall>,
        /// The new cell.
        next: Cell,
        /// The jobs, oldest first. Each is enqueued to start at its slot.
        fire: Vec<Firing>,
    },
    /// Nothing before this time; plan again then.
    Wait {
        /// The next slot.
        until: Wall,
    },
    /// No slot comes any more: all dates lie in gaps that the rule skips, or behind the year 9999.
    Never,
    /// A newer entry has taken over; this one never fires again.
    Outdated {
        /// The `rev` that did.
        rev: u32,
    },
    /// Another schedule has the same `rev`. Neither may win, so this one does not fire until
    /// somebody raises its `rev`.
    Conflict {
        /// The other schedule.
        spec: String,
    },
}

/// One slot that fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firing {
    /// When it was due; the job's `run_at`.
    pub slot: Wall,
    /// The job's id, the same from every worker.
    pub id: Id,
}

/// What to do about `entry` when its cell is `cell` and the store's clock reads `now`.
#[must_use]
pub fn plan(entry: &Entry, cell: Option<&Cell>, now: Wall) -> Plan {
    let spec = entry.schedule.spec();
    let begin = |prev: Option<&Cell>, slot| Plan::Swap {
        prev: prev.map(|cell| cell.slot),
        next: Cell {
            slot,
            rev: entry.rev,
            spec: spec.clone(),
            last_job: prev.and_then(|cell| cell.last_job),
        },
        fire: Vec::new(),
    };
    let Some(cell) = cell else {
        return begin(None, now);
    };
    if cell.rev > entry.rev {
        return Plan::Outdated { rev: cell.rev };
    }
    let ahead = i64::try_from(AHEAD.as_millis()).unwrap_or(i64::MAX);
    if cell.slot.0 > now.0.saturating_add(ahead) {
        return begin(Some(cell), now);
    }
    if cell.rev < entry.rev {
        // The slot is settled even if a slightly faster clock did it; and a take-over moves the cell,
        // so that a second one from the same cell loses.
        return begin(Some(cell), now.max(Wall(cell.slot.0.saturating_add(1))));
    }
    if cell.spec != spec {
        let spec = cell.spec.clone();
        return Plan::Conflict { spec };
    }
    let Due { slots, next } = due(&entry.schedule, Some(cell.slot), now, entry.missed);
    let Some(newest) = slots.last().copied() else {
        return next.map_or(Plan::Never, |until| Plan::Wait { until });
    };
    let fire = |slot| Firing {
        slot,
        id: job_id(&entry.key, &entry.queue, slot),
    };
    let fire: Vec<Firing> = slots.into_iter().map(fire).collect();
    let last_job = fire.last().map(|firing| firing.id);
    let (prev, rev) = (Some(cell.slot), entry.rev);
    let next = Cell {
        slot: newest,
        rev,
        spec,
        last_job,
    };
    Plan::Swap { prev, next, fire }
}

/// The id of the job that `key` enqueues to `queue` for `slot`: the same on every worker, so that
/// a slot enqueued twice is one job.
///
/// A UUID version 7 whose time is the slot and whose random bits are a hash, but for the twelve
/// that every [`Id`] takes from its queue. So only keys with the same slot can collide, and they
/// do so at chances of 1 in 2⁶². Part of what is stored: it never changes.
#[must_use]
pub fn job_id(key: &str, queue: &str, slot: Wall) -> Id {
    let hash = hash(key, slot);
    let millis = slot.0.clamp(0, (1 << 48) - 1) as u128;
    let (twelve, fifty) = (hash >> 64 & 0xfff, hash & ((1 << 50) - 1));
    let shard = u128::from(shard_of(queue));
    Id::from_u128(millis << 80 | 0x7 << 76 | twelve << 64 | 0b10 << 62 | shard << 50 | fifty)
}

/// FNV-1a of 128 bits over the key, a 0xff (which no UTF-8 text holds) and the slot, big-endian;
/// then MurmurHash3's last step, as FNV hardly mixes the last bytes.
fn hash(key: &str, slot: Wall) -> u128 {
    let mut sum = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    let bytes = key.bytes().chain([0xff]).chain(slot.0.to_be_bytes());
    for byte in bytes {
        sum = (sum ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    let (mut high, mut low) = ((sum >> 64) as u64, sum as u64);
    high = high.wrapping_add(low);
    low = low.wrapping_add(high);
    (high, low) = (mix(high), mix(low));
    high = high.wrapping_add(low);
    low = low.wrapping_add(high);
    u128::from(high) << 64 | u128::from(low)
}

/// MurmurHash3's `fmix64`: one flipped bit flips about half of the others.
fn mix(mut word: u64) -> u64 {
    word = (word ^ word >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ word >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ word >> 33
}

#[cfg(test)]
mod tests;
