//! One call inside of a transaction: the rules of more than one record. The rule of one is
//! [`step`]; what it changed is written back here, with everything that follows from it.

mod audit;
mod claim;
mod control;
mod cron;
mod enqueue;
mod expired;
mod fronts;
mod limits;
mod pages;
mod prune;
mod settle;
mod stats;
mod tally;
mod unique;
mod waits;

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use tideway_engine::Wall;
use tideway_engine::jobs::{Event, Id, Kind, Name, Refused, State, step};

use crate::row::{self, Stored, columns, links};
use tally::Tally;
use tideway::jobs::hints::Hints;

/// A call at one time of the store's clock.
pub(crate) struct Tx<'c> {
    db: &'c Connection,
    pub(crate) now: Wall,
    hints: Hints,
    /// How the counts of queues change.
    tally: Tally,
    /// Whether there are limits; `None` until somebody asks.
    limited: Option<bool>,
    /// Whether ids of deleted jobs are kept; `None` until somebody asks.
    deleted: Option<bool>,
    /// Jobs that have ended and whose waiters have not been told.
    ends: Vec<(Id, State)>,
    /// Groups that may have room for a parked job.
    roomy: BTreeSet<(Name, Name)>,
    /// Claims in the window, of a queue or a group of it, as far as somebody asked.
    taken: BTreeMap<(Name, Option<Name>), u64>,
    /// Where specifications are packed, one after the other.
    packed: Vec<u8>,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(db: &'c Connection, now: Wall) -> Self {
        Self {
            db,
            now,
            hints: Hints::default(),
            tally: Tally::default(),
            limited: None,
            deleted: None,
            ends: Vec::new(),
            roomy: BTreeSet::new(),
            taken: BTreeMap::new(),
            packed: Vec::new(),
        }
    }

    /// Writes what was put off. The hints may be sent once the transaction is committed.
    pub(crate) fn finish(mut self) -> rusqlite::Result<Hints> {
        self.unpark()?;
        self.tally.write(self.db)?;
        Ok(self.hints)
    }

    /// The job of `id`.
    fn load(&self, id: Id) -> rusqlite::Result<Option<Stored>> {
        self.db
            .prepare_cached(concat!("SELECT ", columns!(), " FROM job WHERE id = ?1"))?
            .query_row([row::id(id)], row::read)
            .optional()
    }

    /// The row `n`, which is there.
    fn load_row(&self, n: i64) -> rusqlite::Result<Stored> {
        self.db
            .prepare_cached(concat!("SELECT ", columns!(), " FROM job WHERE n = ?1"))?
            .query_row([n], row::read)
    }

    /// Applies `event` to a row that was loaded, and everything that follows from it.
    fn apply(
        &mut self,
        stored: &mut Stored,
        event: &Event<'_>,
    ) -> rusqlite::Result<Result<Kind, Refused>> {
        let done = self.apply_alone(stored, event)?;
        self.tell_waiters()?;
        Ok(done)
    }

    /// As [`apply`](Self::apply), but others are told by a later call.
    fn apply_alone(
        &mut self,
        stored: &mut Stored,
        event: &Event<'_>,
    ) -> rusqlite::Result<Result<Kind, Refused>> {
        let from = stored.job.state;
        match step(&mut stored.job, event, self.now) {
            Ok(kind) => {
                self.save(stored, from, kind)?;
                Ok(Ok(kind))
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Writes back a job that was in `from` before `kind` was applied to it.
    fn save(&mut self, stored: &mut Stored, from: State, kind: Kind) -> rusqlite::Result<()> {
        // Whatever changed, its place in the lane may be another one: let a claim look at it.
        stored.parked = false;
        let job = &stored.job;
        let errors = (!job.errors.is_empty())
            .then(|| row::json(&job.errors))
            .transpose()?;
        let payload = (kind == Kind::Succeed).then_some(&*job.payload);
        self.db
            .prepare_cached(
                "UPDATE job SET state = ?2, band = ?3, run_at = ?4, parked = 0, token = ?5, owner = ?6, \
                 seq = ?7, lease_until = ?8, lease = ?9, attempt = ?10, failures = ?11, crashes = ?12, \
                 strikes = ?13, snoozes = ?14, returns = ?15, delay = ?16, settled = ?17, flags = ?18, \
                 started_at = ?19, ended_at = ?20, prune_at = ?21, reason = ?22, errors = ?23, \
                 waits = ?24, payload = ifnull(?25, payload), progress = ?26, result = ?27 WHERE n = ?1",
            )?
            .execute(params![
                stored.n,
                job.state.code(),
                job.band(),
                job.run_at.0,
                job.token as i64,
                job.owner.map(row::owner),
                job.seq as i64,
                job.lease_until.0,
                row::millis(job.lease),
                job.attempt,
                job.failures,
                job.crashes,
                job.strikes,
                job.snoozes,
                job.returns,
                row::millis(job.delay),
                job.settled.and_then(Kind::code),
                row::flags(job),
                job.started_at.map(|time| time.0),
                job.ended_at.map(|time| time.0),
                row::prune_at(job),
                row::reason(job.reason)?,
                errors,
                row::ids(&job.waits),
                payload,
                row::bytes(&job.progress),
                row::bytes(&job.result),
            ])?;
        if kind == Kind::Revive {
            self.db
                .prepare_cached("UPDATE job SET enqueued_at = ?2, expires_at = ?3 WHERE n = ?1")?
                .execute(params![
                    stored.n,
                    job.enqueued_at.0,
                    job.expires_at().map(|time| time.0)
                ])?;
        }
        self.saved(stored, from, kind)
    }

    fn drop_body(&self, n: i64) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("DELETE FROM body WHERE n = ?1")?
            .execute([n])?;
        Ok(())
    }

    /// What follows from a row that was written.
    fn saved(&mut self, stored: &Stored, from: State, kind: Kind) -> rusqlite::Result<()> {
        let job = &stored.job;
        if from != job.state {
            self.tally.moved(&job.spec.queue, from, job.state);
        }
        self.hints.after(job, kind);
        if kind == Kind::Succeed && stored.links & links::BODY != 0 {
            self.drop_body(stored.n)?;
        }
        if stored.links & links::UNIQUE != 0 {
            self.release(job.id(), kind, job.state)?;
        }
        if job.state.ended() {
            if from == State::Waiting {
                self.stop_waiting(job)?;
            }
            if stored.links & links::WAITERS != 0 {
                self.ends.push((job.id(), job.state));
            }
        }
        if self.limited()? {
            self.left(job, from)?;
        }
        Ok(())
    }
}
