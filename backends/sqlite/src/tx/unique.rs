//! The hold set: which job has which unique key of a queue. A key is taken at enqueue or revival alone.

use rusqlite::{OptionalExtension, params};
use tideway_engine::jobs::{Hold, Id, Kind, Name, Record, State, Unique};

use super::Tx;
use crate::row;

impl Tx<'_> {
    /// Who holds the key now.
    pub(super) fn holder(&self, queue: &Name, key: &Name) -> rusqlite::Result<Option<Id>> {
        self.db
            .prepare_cached(
                "SELECT id FROM hold WHERE queue = ?1 AND key = ?2 AND (until IS NULL OR until > ?3)",
            )?
            .query_row(params![&**queue, &**key, self.now.0], |row| row.get(0))
            .optional()
            .map(|id| id.map(|bits| Id::from_u128(u128::from_be_bytes(bits))))
    }

    /// Gives the key to `job`.
    pub(super) fn take(&self, job: &Record, unique: &Unique) -> rusqlite::Result<()> {
        let (hold, until) = (unique.hold.code(), unique.hold.until(self.now));
        let until = until.map(|time| time.0);
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO hold (queue, key, id, hold, until) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![&*job.spec.queue, &*unique.key, row::id(job.id()), hold, until])?;
        Ok(())
    }

    /// Frees what the job held until `kind` was applied to it, which led to `state`.
    pub(super) fn release(&self, id: Id, kind: Kind, state: State) -> rusqlite::Result<()> {
        let Some(most) = Hold::ends(kind, state) else {
            return Ok(());
        };
        self.db
            .prepare_cached("DELETE FROM hold WHERE id = ?1 AND hold <= ?2")?
            .execute(params![row::id(id), most])?;
        Ok(())
    }
}
