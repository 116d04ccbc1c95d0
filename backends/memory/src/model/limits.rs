//! Limits: how many may run, and how many claims fit in any window. Counts, in milliseconds.
//!
//! The rate is a log of claims. A claim at `t` counts until `t + window`, excluded: whichever half-open
//! window of that length one looks at, no more than `n` claims are in it. Claims count from when the
//! limit was set, and whatever becomes of the job.

use std::collections::VecDeque;
use std::time::Duration;

use tideway_engine::Wall;
use tideway_engine::jobs::call::{Limit, Room};
use tideway_engine::jobs::later;

/// Whether one more may start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Gate {
    /// It may.
    #[default]
    Open,
    /// Not before this time.
    Until(Wall),
    /// Not before one that runs ends, or somebody changes the limit.
    Shut,
}

/// The claims that count against a rate.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Log {
    /// When, and how many then; the oldest first.
    runs: VecDeque<(Wall, u32)>,
    /// The sum of `runs`.
    total: u32,
}

/// The most entries of a log.
const RUNS: u32 = 1 << 16;

impl Log {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// One more claim.
    pub(super) fn note(&mut self, (n, window): (u32, Duration), now: Wall) {
        self.trim(window, now);
        let at = round(n, window, now);
        match self.runs.back_mut() {
            Some((time, count)) if *time == at => *count += 1,
            _ => self.runs.push_back((at, 1)),
        }
        self.total = self.total.saturating_add(1);
    }

    /// Forgets what has left the window.
    pub(super) fn trim(&mut self, window: Duration, now: Wall) {
        while let Some((time, count)) = self.runs.front().copied()
            && later(time, window) <= now
        {
            self.runs.pop_front();
            self.total = self.total.saturating_sub(count);
        }
    }

    /// The clock went back to `now`: claims noted later than that were made before it.
    pub(super) fn rewind(&mut self, now: Wall) {
        let mut ahead = 0;
        while let Some((time, count)) = self.runs.back().copied()
            && time > now
        {
            self.runs.pop_back();
            ahead += count;
        }
        if ahead > 0 {
            self.runs.push_back((now, ahead));
        }
    }

    /// When the newest claim leaves the window.
    pub(super) fn end(&self, window: Duration) -> Option<Wall> {
        self.runs.back().map(|(time, _)| later(*time, window))
    }

    /// When the `over` oldest claims have left the window.
    fn left_at(&self, mut over: u64, window: Duration) -> Option<Wall> {
        for (time, count) in &self.runs {
            match over.checked_sub(u64::from(*count)) {
                Some(left) if left > 0 => over = left,
                _ => return Some(later(*time, window)),
            }
        }
        None
    }
}

/// A log of many claims over a long time notes them up to 1/65 536 of the window late, which keeps its
/// size bounded and the rate within the limit. Others are exact.
fn round(n: u32, window: Duration, now: Wall) -> Wall {
    let grain = i64::try_from(window.as_millis()).unwrap_or(i64::MAX) / i64::from(RUNS / 2);
    if n <= RUNS || grain <= 1 {
        return now;
    }
    let over = now.0.rem_euclid(grain);
    if over == 0 {
        now
    } else {
        Wall(now.0.saturating_add(grain - over))
    }
}

/// Whether one more may start beside `running` others. Knows no time: a log that is not trimmed may say
/// [`Gate::Until`] a time that has come.
pub(super) fn gate(limit: &Limit, running: u64, log: &Log) -> Gate {
    let window = limit.rate.map(|(_, window)| window).unwrap_or_default();
    match limit.room(running, u64::from(log.total)) {
        Room::Open(_) => Gate::Open,
        Room::After(over) => log.left_at(over, window).map_or(Gate::Open, Gate::Until),
        Room::Shut => Gate::Shut,
    }
}
