//! Retention: ended jobs whose time is over go, jobs that are too late to start end. Bounded per call.

use rusqlite::{OptionalExtension, params};
use tideway_engine::jobs::call::ClaimReq;
use tideway_engine::jobs::{Event, Name, State, forgettable};

use super::Tx;
use crate::row::{self, Stored, columns};

impl Tx<'_> {
    /// Forgets at most `limit` jobs whose retention is over and ends pending ones that have expired; how many
    /// there were.
    pub(crate) fn prune(&mut self, limit: u32) -> rusqlite::Result<u64> {
        let mut left = limit;
        // One by one: the end of one may be that of others which wait for it.
        while left > 0
            && let Some(mut stored) = self.too_late()?
        {
            if self.apply(&mut stored, &Event::Expire)?.is_err() {
                break;
            }
            left -= 1;
        }
        let over = self.over(left)?;
        left -= over.len() as u32;
        for (n, queue, state) in over {
            self.forget(n, &queue, state)?;
        }
        self.tidy(limit)?;
        Ok(u64::from(limit - left))
    }

    fn over(&self, limit: u32) -> rusqlite::Result<Vec<(i64, Name, State)>> {
        let mut find = self.db.prepare_cached(
            "SELECT n, queue, state FROM job WHERE state >= 3 AND prune_at <= ?1 \
             ORDER BY prune_at, id LIMIT ?2",
        )?;
        let rows = find.query_map(params![self.now.0, limit], |row| {
            let state = usize::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
            let state = State::ALL.get(state).copied().unwrap_or(State::Dead);
            Ok((
                row.get(0)?,
                Name::readable(row.get_ref(1)?.as_str()?),
                state,
            ))
        })?;
        rows.collect()
    }

    fn too_late(&self) -> rusqlite::Result<Option<Stored>> {
        self.db
            .prepare_cached(concat!(
                "SELECT ",
                columns!(),
                " FROM job WHERE state < 2 AND expires_at IS NOT NULL AND expires_at <= ?1 \
                 ORDER BY expires_at, id LIMIT 1"
            ))?
            .query_row([self.now.0], row::read)
            .optional()
    }

    /// What is kept by time beside the jobs; counts for nobody.
    fn tidy(&self, limit: u32) -> rusqlite::Result<()> {
        let old = self.now.0.saturating_sub(row::millis(ClaimReq::REMEMBERED));
        let past = forgettable(self.now);
        self.db
            .prepare_cached(
                "DELETE FROM claimer WHERE owner IN \
                 (SELECT owner FROM claimer WHERE at <= ?1 ORDER BY at LIMIT ?2)",
            )?
            .execute(params![old, limit])?;
        self.db
            .prepare_cached(
                "DELETE FROM hold WHERE (queue, key) IN (SELECT queue, key FROM hold \
                 WHERE until IS NOT NULL AND until <= ?1 ORDER BY until LIMIT ?2)",
            )?
            .execute(params![past.0, limit])?;
        self.db
            .prepare_cached(
                "DELETE FROM deleted WHERE id IN \
                 (SELECT id FROM deleted WHERE until <= ?1 ORDER BY until LIMIT ?2)",
            )?
            .execute(params![past.0, limit])?;
        self.tidy_rates(limit)
    }
}
