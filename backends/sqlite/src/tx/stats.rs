//! The numbers of every queue, without a look at the jobs.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};
use tideway_engine::Wall;
use tideway_engine::jobs::call::{QueueStats, Stats};
use tideway_engine::jobs::{Name, State};

use super::Tx;

impl Tx<'_> {
    /// One per queue that has a record or is paused, by name.
    pub(crate) fn stats(&self) -> rusqlite::Result<Stats> {
        let mut queues: BTreeMap<Name, QueueStats> = BTreeMap::new();
        let of = |queues: &mut BTreeMap<Name, QueueStats>, name: &str| {
            let name = Name::readable(name);
            let entry = queues.entry(name.clone());
            entry.or_insert_with(|| QueueStats::empty(name));
        };
        let mut find = self
            .db
            .prepare_cached("SELECT queue, state, n FROM tally WHERE n > 0")?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_str()?;
            of(&mut queues, name);
            let state = usize::try_from(row.get::<_, i64>(1)?).ok();
            let state = state.and_then(|state| State::ALL.get(state));
            if let (Some(stats), Some(state)) = (queues.get_mut(name), state) {
                *stats.count(*state) = row.get::<_, i64>(2)?.unsigned_abs();
            }
        }
        let mut find = self.db.prepare_cached("SELECT queue FROM paused")?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_str()?;
            of(&mut queues, name);
            if let Some(stats) = queues.get_mut(name) {
                stats.paused = true;
            }
        }
        for stats in queues.values_mut().filter(|stats| stats.pending > 0) {
            stats.oldest = self.oldest(&stats.queue)?;
        }
        Ok(Stats {
            queues: queues.into_values().collect(),
            now: self.now,
        })
    }

    /// The earliest `run_at` of the queue's pending jobs: the first of each lane.
    fn oldest(&self, queue: &Name) -> rusqlite::Result<Option<Wall>> {
        let mut find = self.db.prepare_cached(
            "SELECT band, run_at FROM job WHERE state = 1 AND parked = 0 AND queue = ?1 AND band > ?2 \
             ORDER BY band, run_at LIMIT 1",
        )?;
        let mut oldest = self.oldest_parked(queue)?;
        let mut band = -1;
        while let Some((at, time)) = find
            .query_row(params![&**queue, band], |row| {
                Ok((row.get::<_, i64>(0)?, row.get(1).map(Wall)?))
            })
            .optional()?
        {
            oldest = Some(oldest.map_or(time, |oldest| oldest.min(time)));
            band = at;
        }
        Ok(oldest)
    }
}
