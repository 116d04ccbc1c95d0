//! Retention: ended jobs whose time is over go, jobs that are too late to start end. Bounded per call.

use tideway_engine::jobs::call::ClaimReq;
use tideway_engine::jobs::{Event, Name, State, forgettable};
use tokio_postgres::types::Type;

use super::{Call, Tx};
use crate::error::Failed;
use crate::row::{self, COLUMNS};

/// Forgets at most so many jobs whose retention is over and ends pending ones that have expired; how many
/// there were.
pub(crate) struct Prune(pub(crate) u32);

impl Call for Prune {
    type Out = u64;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Failed> {
        let mut left = self.0;
        tx.lock_limits(None).await?;
        while left > 0 {
            let ended = tx.end_late(left).await?;
            if ended == 0 {
                break;
            }
            left -= ended;
        }
        left -= tx.forget_over(left).await?;
        tx.tidy(self.0).await?;
        Ok(u64::from(self.0 - left))
    }
}

impl Tx<'_> {
    /// Ends some that are too late to start. The end of one may be that of others which wait for it.
    async fn end_late(&mut self, limit: u32) -> Result<u32, Failed> {
        self.flush().await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM {{s}}.job WHERE state < 2 AND expires_at IS NOT NULL AND expires_at <= $1 \
             ORDER BY expires_at, id LIMIT $2 FOR UPDATE SKIP LOCKED"
        );
        let params = [
            (&self.now.0 as _, Type::INT8),
            (&i64::from(limit) as _, Type::INT8),
        ];
        let rows = self.query(&sql, &params).await?;
        let ids = self.keep(&rows)?;
        self.meet_waiters(ids.iter().copied()).await?;
        let mut ended = 0;
        for id in ids {
            if let Some(mut stored) = self.load(id).await?
                && self.apply(&mut stored, &Event::Expire).await?.is_ok()
            {
                ended += 1;
            }
        }
        Ok(ended)
    }

    async fn forget_over(&mut self, limit: u32) -> Result<u32, Failed> {
        self.flush().await?;
        let sql = "DELETE FROM {s}.job WHERE id IN (SELECT id FROM {s}.job WHERE state >= 3 AND prune_at <= $1 \
                   ORDER BY prune_at, id LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id, queue, state";
        let params = [
            (&self.now.0 as _, Type::INT8),
            (&i64::from(limit) as _, Type::INT8),
        ];
        let rows = self.query(sql, &params).await?;
        for row in &rows {
            let state = usize::try_from(row.try_get::<_, i16>(2)?).ok();
            let state = state.and_then(|code| State::ALL.get(code)).copied();
            let queue = Name::readable(row.try_get(1)?);
            self.count(&queue, state.unwrap_or(State::Dead), -1);
        }
        for id in Self::ids(&rows)? {
            self.rows.insert(id, None);
        }
        Ok(rows.len() as u32)
    }

    /// What is kept by time beside the jobs, and the counts; counts for nobody.
    async fn tidy(&mut self, limit: u32) -> Result<(), Failed> {
        let limit = i64::from(limit);
        let old = self.now.0.saturating_sub(row::millis(ClaimReq::REMEMBERED));
        let past = forgettable(self.now);
        let sql = "DELETE FROM {s}.claimer WHERE owner IN \
                   (SELECT owner FROM {s}.claimer WHERE at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";
        self.query(sql, &[(&old, Type::INT8), (&limit, Type::INT8)])
            .await?;
        let sql = "DELETE FROM {s}.hold WHERE (queue, key) IN (SELECT queue, key FROM {s}.hold \
                   WHERE until IS NOT NULL AND until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)";
        self.query(sql, &[(&past.0, Type::INT8), (&limit, Type::INT8)])
            .await?;
        let sql = "DELETE FROM {s}.deleted WHERE id IN (SELECT id FROM {s}.deleted WHERE until <= $1 \
                   ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)";
        self.query(sql, &[(&past.0, Type::INT8), (&limit, Type::INT8)])
            .await?;
        self.tidy_rates(limit).await?;
        self.flush_tally().await?;
        // Whoever else adds up is not waited for.
        let sql = "WITH old AS (DELETE FROM {s}.tally WHERE ctid = ANY (ARRAY( \
                     SELECT ctid FROM {s}.tally FOR UPDATE SKIP LOCKED)) RETURNING *), \
                   sums AS (SELECT queue, sum(waiting)::int8 AS waiting, sum(pending)::int8 AS pending, \
                     sum(running)::int8 AS running, sum(succeeded)::int8 AS succeeded, sum(dead)::int8 AS dead, \
                     sum(cancelled)::int8 AS cancelled FROM old GROUP BY queue) \
                   INSERT INTO {s}.tally SELECT * FROM sums \
                   WHERE (waiting, pending, running, succeeded, dead, cancelled) <> (0, 0, 0, 0, 0, 0)";
        self.query(sql, &[]).await?;
        Ok(())
    }
}
