//! Jobs that wait for jobs. An end is told to those that wait for it, and theirs to those behind them, by a
//! list instead of a recursion: chains may be long.

use tideway_engine::jobs::{Event, Id, Record, Spec, State, WaitFailed, Waits};
use tokio_postgres::types::Type;

use super::Tx;
use crate::error::Failed;
use crate::row::{self, links};
use crate::sql::Bits;

impl Tx<'_> {
    pub(super) async fn waits(&mut self, spec: &Spec) -> Result<Waits, Failed> {
        let mut states = Vec::with_capacity(spec.waits.len());
        for id in &spec.waits {
            states.push(self.load(*id).await?.map(|stored| stored.job.state));
        }
        Ok(spec.waits_on(states))
    }

    /// Notes what a new job waits for, at those it waits for.
    pub(super) async fn start_waiting(&mut self, job: &Record) -> Result<(), Failed> {
        if job.waits.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO {s}.waiter (awaited, id) SELECT n, $2 FROM unnest($1) AS n ON CONFLICT DO NOTHING";
        self.of_waits(sql, job).await?;
        for awaited in &job.waits {
            if let Some(mut stored) = self.load(*awaited).await?
                && stored.links & links::WAITERS == 0
            {
                stored.links |= links::WAITERS;
                self.put(stored);
            }
        }
        Ok(())
    }

    /// Forgets what a job waited for that has ended.
    pub(super) async fn stop_waiting(&self, job: &Record) -> Result<(), Failed> {
        self.of_waits(
            "DELETE FROM {s}.waiter WHERE awaited = ANY ($1) AND id = $2",
            job,
        )
        .await
    }

    async fn of_waits(&self, sql: &str, job: &Record) -> Result<(), Failed> {
        let waits: Vec<Bits> = job.waits.iter().map(|id| row::id(*id)).collect();
        self.query(
            sql,
            &[(&waits, Type::UUID_ARRAY), (&row::id(job.id()), Type::UUID)],
        )
        .await?;
        Ok(())
    }

    /// Tells those who wait for what has ended, until nothing more ends.
    pub(super) async fn tell_waiters(&mut self) -> Result<(), Failed> {
        while let Some((ended, state)) = self.ends.pop() {
            let sql = "DELETE FROM {s}.waiter WHERE awaited = $1 RETURNING id";
            let rows = self.query(sql, &[(&row::id(ended), Type::UUID)]).await?;
            let mut waiters = Self::ids(&rows)?;
            waiters.sort_unstable();
            self.load_all(waiters.iter().copied()).await?;
            for waiter in waiters {
                self.tell(waiter, ended, state == State::Succeeded).await?;
            }
        }
        Ok(())
    }

    async fn tell(&mut self, waiter: Id, ended: Id, well: bool) -> Result<(), Failed> {
        let Some(mut stored) = self.load(waiter).await? else {
            return Ok(());
        };
        if !well && stored.job.spec.wait_failed == WaitFailed::Cancel {
            let _ = self
                .apply_alone(&mut stored, &Event::WaitFailed(ended))
                .await?;
            return Ok(());
        }
        stored.job.waits.retain(|id| *id != ended);
        if stored.job.waits.is_empty() {
            let _ = self.apply_alone(&mut stored, &Event::Ready).await?;
        } else {
            self.put(stored);
        }
        Ok(())
    }
}
