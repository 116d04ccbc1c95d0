//! The first pending job of each lane of a queue, asked once per claim: of the many lanes a worker names,
//! most are empty or not due.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};
use tideway_engine::Wall;
use tideway_engine::jobs::Name;
use tideway_engine::jobs::call::Lane;

use super::Tx;

/// The first job of a band in the order of (`run_at`, id), of the first band from `?2` on that has one.
/// A band that was damaged does not hide the others.
const NEXT: &str = "SELECT CAST(band AS INTEGER), run_at FROM job \
    WHERE state = 1 AND parked = 0 AND queue = ?1 AND band BETWEEN ?2 AND 255 \
    ORDER BY band, run_at, id LIMIT 1";

/// What a claim knows of its queues. Forgets what the claim itself may have changed.
#[derive(Default)]
pub(super) struct Fronts(BTreeMap<Name, Queue>);

struct Queue {
    paused: bool,
    /// When the first job of a band is due; `None` once jobs were taken. A band that is not here has no job.
    bands: BTreeMap<u8, Option<Wall>>,
}

impl Fronts {
    /// Whether the lane's queue is paused.
    pub(super) fn paused(&mut self, tx: &Tx<'_>, lane: &Lane) -> rusqlite::Result<bool> {
        Ok(self.queue(tx, &lane.queue)?.paused)
    }

    /// Whether the lane may have a job that is due.
    pub(super) fn may_be_due(&mut self, tx: &Tx<'_>, lane: &Lane) -> rusqlite::Result<bool> {
        let bands = &self.queue(tx, &lane.queue)?.bands;
        let known = bands.get(&lane.band);
        Ok(known.is_some_and(|first| first.is_none_or(|due| due <= tx.now)))
    }

    /// When the lane's first job is due.
    pub(super) fn due(&mut self, tx: &Tx<'_>, lane: &Lane) -> rusqlite::Result<Option<Wall>> {
        let bands = &mut self.queue(tx, &lane.queue)?.bands;
        match bands.get(&lane.band) {
            Some(None) => {}
            known => return Ok(known.copied().flatten()),
        }
        let due = tx.head_due(lane)?;
        match due {
            Some(_) => bands.insert(lane.band, due),
            None => bands.remove(&lane.band),
        };
        Ok(due)
    }

    /// Jobs of the lane were taken.
    pub(super) fn taken(&mut self, lane: &Lane) {
        if let Some(queue) = self.0.get_mut(&lane.queue) {
            queue.bands.insert(lane.band, None);
        }
    }

    /// Jobs ended: any lane may have got another.
    pub(super) fn ended(&mut self) {
        self.0.clear();
    }

    fn queue(&mut self, tx: &Tx<'_>, name: &Name) -> rusqlite::Result<&mut Queue> {
        if !self.0.contains_key(name) {
            self.0.insert(name.clone(), tx.queue_fronts(name)?);
        }
        Ok(self.0.get_mut(name).expect("it was put there"))
    }
}

impl Tx<'_> {
    fn queue_fronts(&self, queue: &Name) -> rusqlite::Result<Queue> {
        let mut bands = BTreeMap::new();
        let mut next = self.db.prepare_cached(NEXT)?;
        let mut from = Some(0);
        while let Some(band) = from {
            let found = next
                .query_row(params![&**queue, band], |row| {
                    Ok((row.get(0)?, row.get(1).map(Wall)?))
                })
                .optional()?;
            from = found.and_then(|(band, due): (u8, Wall)| {
                bands.insert(band, Some(due));
                band.checked_add(1)
            });
        }
        let paused = self.paused(queue)?;
        Ok(Queue { paused, bands })
    }
}
