//! Jobs come in. Checked in this order: the id, what it waits for, the unique key.

use rusqlite::{CachedStatement, OptionalExtension, params};
use tideway_engine::jobs::call::Enqueued;
use tideway_engine::jobs::{Conflict, Event, NewJob, Record, State};

use super::Tx;
use crate::row::{self, Stored, links};

const INSERT: &str = "INSERT INTO job (id, state, queue, band, kind, grp, run_at, links, digest, \
    enqueued_at, keep, expires_at, waits, spec, payload) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
    ON CONFLICT (id) DO NOTHING";

/// Payloads up to this size, in bytes, are kept in the row.
const INLINE: usize = 2048;

impl Tx<'_> {
    /// Inserts `jobs`, in order; one outcome each.
    pub(crate) fn enqueue(&mut self, jobs: &[NewJob]) -> rusqlite::Result<Vec<Enqueued>> {
        let db = self.db;
        let mut statement = db.prepare_cached(INSERT)?;
        jobs.iter()
            .map(|job| self.insert(job, &mut statement))
            .collect()
    }

    fn insert(
        &mut self,
        new: &NewJob,
        statement: &mut CachedStatement<'_>,
    ) -> rusqlite::Result<Enqueued> {
        let spec = &*new.spec;
        if self.keeps_deleted()?
            && let Some(known) = self.deleted(new)?
        {
            return Ok(known);
        }
        if spec.waits.is_empty() && spec.unique.is_none() {
            let job = Record::accepted(new, Vec::new(), self.now);
            return if self.add(&job, statement)?.is_some() {
                Ok(Enqueued::Inserted)
            } else {
                self.known(new)
                    .map(|known| known.unwrap_or(Enqueued::IdConflict))
            };
        }
        if let Some(known) = self.known(new)? {
            return Ok(known);
        }
        let waits = self.waits(spec)?;
        if let Some(id) = waits.unknown {
            return Ok(Enqueued::UnknownWait(id));
        }
        let mut out = Enqueued::Inserted;
        let mut payload = None;
        if let Some(unique) = &spec.unique
            && let Some(holder) = self.holder(&spec.queue, &unique.key)?
        {
            let held = self
                .load(holder)?
                .filter(|held| held.job.state == State::Pending);
            let Some(mut held) = held.filter(|_| unique.conflict != Conflict::Keep) else {
                return Ok(Enqueued::UniqueHit(holder));
            };
            if unique.conflict == Conflict::Reschedule {
                payload = Some(held.job.payload.clone());
            }
            let _ = self.apply(&mut held, &Event::Supersede(spec.id))?;
            out = Enqueued::Superseded(holder);
        }
        // Once more: what it waits for may have ended with the holder.
        let waits = self.waits(spec)?;
        let mut job = Record::accepted(new, waits.left, self.now);
        // The digest stays that of the job as given, so that a repeat of it is known again.
        if let Some(payload) = payload {
            job.payload = payload;
        }
        let Some((n, links)) = self.add(&job, statement)? else {
            return Ok(Enqueued::IdConflict);
        };
        if let Some(unique) = &spec.unique {
            self.take(&job, unique)?;
        }
        self.start_waiting(&job)?;
        if let Some(failed) = waits.failed {
            let mut stored = Stored {
                n,
                job,
                parked: false,
                links,
                flaw: None,
            };
            let _ = self.apply(&mut stored, &Event::WaitFailed(failed))?;
        }
        Ok(out)
    }

    /// Whether the job's id is in the store, and whose it is.
    fn known(&self, new: &NewJob) -> rusqlite::Result<Option<Enqueued>> {
        let digest: Option<i64> = self
            .db
            .prepare_cached("SELECT digest FROM job WHERE id = ?1")?
            .query_row([row::id(new.spec.id)], |row| row.get(0))
            .optional()?;
        Ok(digest.map(|digest| new.met(digest as u64)))
    }

    /// Whether an id may be known though there is no record: seldom, so that an enqueue need not look for its own.
    fn keeps_deleted(&mut self) -> rusqlite::Result<bool> {
        if let Some(known) = self.deleted {
            return Ok(known);
        }
        let any = self
            .db
            .prepare_cached("SELECT 1 FROM deleted LIMIT 1")?
            .exists([])?;
        self.deleted = Some(any);
        Ok(any)
    }

    /// Whether the job's id is that of a deleted one, and whose it was.
    fn deleted(&self, new: &NewJob) -> rusqlite::Result<Option<Enqueued>> {
        let digest: Option<i64> = self
            .db
            .prepare_cached("SELECT digest FROM deleted WHERE id = ?1 AND until > ?2")?
            .query_row(params![row::id(new.spec.id), self.now.0], |row| row.get(0))
            .optional()?;
        Ok(digest.map(|digest| new.met(digest as u64)))
    }

    /// Writes a new row; its row id and links, or `None` if there is one of this id.
    fn add(
        &mut self,
        job: &Record,
        statement: &mut CachedStatement<'_>,
    ) -> rusqlite::Result<Option<(i64, i64)>> {
        let spec = &*job.spec;
        let mut bits = 0;
        if spec.unique.is_some() {
            bits |= links::UNIQUE;
        }
        if spec.group.is_some() {
            bits |= links::GROUP;
        }
        let large = job.payload.len() > INLINE;
        if large {
            bits |= links::BODY;
        }
        self.packed.clear();
        spec.pack(&mut self.packed);
        let added = statement.execute(params![
            row::id(spec.id),
            job.state.code(),
            &*spec.queue,
            spec.band,
            &*spec.kind,
            spec.group.as_deref(),
            job.run_at.0,
            bits,
            job.digest as i64,
            job.enqueued_at.0,
            row::keep(spec, State::Succeeded),
            job.expires_at().map(|time| time.0),
            row::ids(&job.waits),
            &*self.packed,
            (!large).then_some(&*job.payload),
        ])?;
        if added == 0 {
            return Ok(None);
        }
        let n = self.db.last_insert_rowid();
        if large {
            self.db
                .prepare_cached("INSERT INTO body (n, payload) VALUES (?1, ?2)")?
                .execute(params![n, &*job.payload])?;
        }
        self.tally.add(&spec.queue, job.state, 1);
        if job.state == State::Pending {
            self.hints.queue(&spec.queue);
        }
        Ok(Some((n, bits)))
    }
}
