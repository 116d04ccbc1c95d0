//! Cron cells: each slot fires once, whoever asks first.

use rusqlite::{OptionalExtension, params};
use tideway_engine::Wall;
use tideway_engine::jobs::call::{CronCas, CronOut};
use tideway_engine::jobs::cron::Cell;
use tideway_engine::jobs::{Id, Name};

use super::Tx;
use crate::row;

impl Tx<'_> {
    /// Moves a cell and inserts what falls due with it, if the cell is as the caller last saw it.
    pub(crate) fn cron_cas(&mut self, cas: &CronCas) -> rusqlite::Result<CronOut> {
        let cell = self.cell(&cas.key)?;
        if !cas.fits(cell.as_ref()) {
            return Ok(self.cron_out(false, cell));
        }
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO cron (key, slot, rev, spec, last_job) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                &*cas.key,
                cas.next.slot.0,
                cas.next.rev,
                cas.next.spec,
                cas.next.last_job.map(row::id),
            ])?;
        self.enqueue(&cas.jobs)?;
        Ok(self.cron_out(true, Some(cas.next.clone())))
    }

    /// The cell of an entry.
    pub(crate) fn cron_cell(&self, key: &Name) -> rusqlite::Result<CronOut> {
        let cell = self.cell(key)?;
        Ok(self.cron_out(false, cell))
    }

    fn cron_out(&self, won: bool, cell: Option<Cell>) -> CronOut {
        let now = self.now;
        CronOut { won, cell, now }
    }

    fn cell(&self, key: &Name) -> rusqlite::Result<Option<Cell>> {
        self.db
            .prepare_cached("SELECT slot, rev, spec, last_job FROM cron WHERE key = ?1")?
            .query_row([&**key], |row| {
                let last: Option<[u8; 16]> = row.get(3)?;
                Ok(Cell {
                    slot: Wall(row.get(0)?),
                    rev: row.get(1)?,
                    spec: row.get(2)?,
                    last_job: last.map(|bits| Id::from_u128(u128::from_be_bytes(bits))),
                })
            })
            .optional()
    }
}
