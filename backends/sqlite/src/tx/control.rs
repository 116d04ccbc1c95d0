//! What people and programs ask for.

use rusqlite::params;
use tideway_engine::jobs::call::{Control, ControlOut, Left, Select};
use tideway_engine::jobs::{Event, Name, Record, Start, State};

use super::Tx;
use crate::row::{self, Stored};

impl Tx<'_> {
    /// Does what is asked.
    pub(crate) fn control(&mut self, control: &Control) -> rusqlite::Result<Option<ControlOut>> {
        let none = ControlOut::default();
        let out = match control {
            Control::Cancel(select) => {
                self.each(select, |tx, job| tx.event(job, &Event::Cancel))?
            }
            Control::Reschedule(select, start) => {
                let event = Event::Reschedule(*start);
                self.each(select, |tx, job| tx.event(job, &event))?
            }
            Control::Revive(select, start) => {
                self.each(select, |tx, job| tx.revive(job, *start))?
            }
            Control::Delete(select) => self.each(select, |tx, job| tx.delete(job))?,
            Control::Pause(queue) => {
                self.db
                    .prepare_cached("INSERT OR IGNORE INTO paused (queue) VALUES (?1)")?
                    .execute([&**queue])?;
                none
            }
            Control::Resume(queue) => {
                self.resume(queue)?;
                none
            }
            Control::Limit(scope, limit) => {
                self.limit(scope, limit)?;
                none
            }
            _ => return Ok(None),
        };
        Ok(Some(out))
    }

    fn resume(&mut self, queue: &Name) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("DELETE FROM paused WHERE queue = ?1")?
            .execute([&**queue])?;
        self.hints.queue(queue);
        Ok(())
    }

    fn each(
        &mut self,
        select: &Select,
        change: impl Fn(&mut Self, &mut Stored) -> rusqlite::Result<Result<(), Left>>,
    ) -> rusqlite::Result<ControlOut> {
        let (ids, next) = match select {
            Select::Ids(ids) => (ids.clone(), None),
            Select::Filter {
                filter,
                after,
                limit,
            } => self.matching(filter, after, *limit)?,
        };
        let mut out = ControlOut {
            next,
            ..ControlOut::default()
        };
        for id in ids {
            let done = match self.load(id)? {
                Some(mut stored) => change(self, &mut stored)?,
                None => Err(Left::NotFound),
            };
            match done {
                Ok(()) => out.done.push(id),
                Err(left) => out.left.push((id, left)),
            }
        }
        Ok(out)
    }

    fn event(
        &mut self,
        stored: &mut Stored,
        event: &Event<'_>,
    ) -> rusqlite::Result<Result<(), Left>> {
        Ok(match self.apply(stored, event)? {
            Ok(_) => Ok(()),
            Err(_) => Err(Left::State(stored.job.state)),
        })
    }

    fn revive(&mut self, stored: &mut Stored, start: Start) -> rusqlite::Result<Result<(), Left>> {
        let job = &stored.job;
        let unique = job.spec.unique.clone();
        if let Some(unique) = &unique
            && matches!(job.state, State::Dead | State::Cancelled)
            && let Some(holder) = self.holder(&job.spec.queue, &unique.key)?
            && holder != job.id()
        {
            return Ok(Err(Left::UniqueHit(holder)));
        }
        let done = self.event(stored, &Event::Revive(start))?;
        if let (Ok(()), Some(unique)) = (done, &unique) {
            self.take(&stored.job, unique)?;
        }
        Ok(done)
    }

    fn delete(&mut self, stored: &mut Stored) -> rusqlite::Result<Result<(), Left>> {
        if !stored.job.state.ended() {
            return Ok(Err(Left::State(stored.job.state)));
        }
        self.remember(&stored.job)?;
        self.forget(stored.n, &stored.job.spec.queue, stored.job.state)?;
        Ok(Ok(()))
    }

    /// Keeps the id of a job that ended a short time ago: its enqueue may be repeated.
    fn remember(&mut self, job: &Record) -> rusqlite::Result<()> {
        if let Some(until) = job.known_until().filter(|until| *until > self.now) {
            self.db
                .prepare_cached(
                    "INSERT OR REPLACE INTO deleted (id, digest, until) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![row::id(job.id()), job.digest as i64, until.0])?;
            self.deleted = Some(true);
        }
        Ok(())
    }

    /// Removes the row of an ended job.
    pub(super) fn forget(&mut self, n: i64, queue: &Name, state: State) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("DELETE FROM job WHERE n = ?1")?
            .execute(params![n])?;
        if state != State::Succeeded {
            self.drop_body(n)?;
        }
        self.tally.add(queue, state, -1);
        Ok(())
    }
}
