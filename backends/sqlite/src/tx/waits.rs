//! Jobs that wait for jobs. An end is told to those that wait for it, and theirs to those behind them, by a
//! list instead of a recursion: chains may be long.

use rusqlite::{OptionalExtension, params};
use tideway_engine::jobs::{Event, Id, Record, Spec, State, WaitFailed, Waits};

use super::Tx;
use crate::row::{self, links};

impl Tx<'_> {
    pub(super) fn waits(&self, spec: &Spec) -> rusqlite::Result<Waits> {
        if spec.waits.is_empty() {
            return Ok(Waits::default());
        }
        let mut look = self
            .db
            .prepare_cached("SELECT state FROM job WHERE id = ?1")?;
        let states = spec.waits.iter().map(|id| {
            let code: Option<i64> = look
                .query_row([row::id(*id)], |row| row.get(0))
                .optional()?;
            let state = |code| u8::try_from(code).ok().and_then(State::of);
            Ok(code.map(|code| state(code).unwrap_or(State::Dead)))
        });
        let states: Vec<Option<State>> = states.collect::<rusqlite::Result<_>>()?;
        Ok(spec.waits_on(states))
    }

    /// Notes what a new job waits for, at those it waits for.
    pub(super) fn start_waiting(&self, job: &Record) -> rusqlite::Result<()> {
        let mut add = self
            .db
            .prepare_cached("INSERT OR IGNORE INTO waiter (awaited, id) VALUES (?1, ?2)")?;
        let mut mark = self
            .db
            .prepare_cached("UPDATE job SET links = links | ?2 WHERE id = ?1 AND links & ?2 = 0")?;
        for awaited in &job.waits {
            add.execute([row::id(*awaited), row::id(job.id())])?;
            mark.execute(params![row::id(*awaited), links::WAITERS])?;
        }
        Ok(())
    }

    /// Forgets what a job waited for that has ended.
    pub(super) fn stop_waiting(&self, job: &Record) -> rusqlite::Result<()> {
        let mut remove = self
            .db
            .prepare_cached("DELETE FROM waiter WHERE awaited = ?1 AND id = ?2")?;
        for awaited in &job.waits {
            remove.execute([row::id(*awaited), row::id(job.id())])?;
        }
        Ok(())
    }

    /// Tells those who wait for what has ended, until nothing more ends.
    pub(super) fn tell_waiters(&mut self) -> rusqlite::Result<()> {
        while let Some((ended, state)) = self.ends.pop() {
            while let Some(waiter) = self.first_waiter(ended)? {
                self.tell(waiter, ended, state == State::Succeeded)?;
            }
        }
        Ok(())
    }

    fn first_waiter(&self, ended: Id) -> rusqlite::Result<Option<Id>> {
        self.db
            .prepare_cached(
                "DELETE FROM waiter WHERE awaited = ?1 AND id = \
                 (SELECT min(id) FROM waiter WHERE awaited = ?1) RETURNING id",
            )?
            .query_row([row::id(ended)], |row| row.get(0))
            .optional()
            .map(|id| id.map(|bits| Id::from_u128(u128::from_be_bytes(bits))))
    }

    fn tell(&mut self, waiter: Id, ended: Id, well: bool) -> rusqlite::Result<()> {
        let Some(mut stored) = self.load(waiter)? else {
            return Ok(());
        };
        if !well && stored.job.spec.wait_failed == WaitFailed::Cancel {
            let _ = self.apply_alone(&mut stored, &Event::WaitFailed(ended))?;
            return Ok(());
        }
        stored.job.waits.retain(|id| *id != ended);
        if stored.job.waits.is_empty() {
            let _ = self.apply_alone(&mut stored, &Event::Ready)?;
            return Ok(());
        }
        self.db
            .prepare_cached("UPDATE job SET waits = ?2 WHERE n = ?1")?
            .execute(params![stored.n, row::ids(&stored.job.waits)])?;
        Ok(())
    }
}
