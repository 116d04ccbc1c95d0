//! Jobs come in. Checked in this order: the id, what it waits for, the unique key.

use std::collections::BTreeSet;

use tideway_engine::jobs::call::Enqueued;
use tideway_engine::jobs::{Conflict, Event, Id, Name, NewJob, Record, State};
use tokio_postgres::types::Type;

use super::{Call, Tx};
use crate::error::Failed;
use crate::row::{self, Stored, links};
use crate::sql::Bits;

/// Inserts jobs, in order; one outcome each.
pub(crate) struct Enqueue<'a>(pub(crate) &'a [NewJob]);

impl Call for Enqueue<'_> {
    type Out = Vec<Enqueued>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Enqueued>, Failed> {
        tx.prepare(self.0, &[]).await?;
        tx.enqueue(self.0).await
    }
}

impl Tx<'_> {
    /// Reads which ids are known, in the tables or as those of deleted jobs. Without a lock: what is looked at never
    /// changes, and a claim shall not miss a job that somebody enqueues again.
    async fn load_digests(&mut self, ids: &[Id]) -> Result<(), Failed> {
        let wanted: Vec<Bits> = ids.iter().map(|id| row::id(*id)).collect();
        let sql = "SELECT id, digest FROM {s}.job WHERE id = ANY ($1) \
                   UNION ALL SELECT id, digest FROM {s}.deleted WHERE id = ANY ($1) AND until > $2";
        let rows = self
            .query(
                sql,
                &[(&wanted, Type::UUID_ARRAY), (&self.now.0, Type::INT8)],
            )
            .await?;
        for row in &rows {
            let id = Id::from_u128(row.try_get::<_, Bits>(0)?.0);
            self.digests.insert(id, row.try_get::<_, i64>(1)? as u64);
        }
        Ok(())
    }

    /// Locks and reads, in this order, what an [`enqueue`](Self::enqueue) of `jobs` looks at, and the rows of `ids`.
    pub(super) async fn prepare(&mut self, jobs: &[NewJob], ids: &[Id]) -> Result<(), Failed> {
        let specs = || jobs.iter().map(|job| &*job.spec);
        let uniques = || specs().filter_map(|spec| Some((spec, spec.unique.as_ref()?)));
        if uniques().any(|(_, unique)| unique.conflict != Conflict::Keep) {
            // The end of a holder may let another of its group start.
            self.lock_limits(None).await?;
        }
        let keys = uniques().map(|(spec, unique)| (spec.queue.clone(), unique.key.clone()));
        let keys: BTreeSet<(Name, Name)> = keys.collect();
        self.lock_keys(&keys).await?;
        let new: Vec<Id> = specs().map(|spec| spec.id).collect();
        if !new.is_empty() {
            self.load_digests(&new).await?;
        }
        let waits = specs().flat_map(|spec| spec.waits.iter().copied());
        let all: Vec<Id> = waits.chain(ids.iter().copied()).collect();
        // Also those that will stay: who says that a key is held must be before the claim that frees it.
        self.load_holders(&keys, &all).await
    }

    pub(super) async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, Failed> {
        let mut out = Vec::with_capacity(jobs.len());
        for job in jobs {
            out.push(self.insert(job).await?);
        }
        Ok(out)
    }

    async fn insert(&mut self, new: &NewJob) -> Result<Enqueued, Failed> {
        let spec = &*new.spec;
        let fresh = self
            .rows
            .get(&spec.id)
            .and_then(Option::as_ref)
            .map(|stored| stored.job.digest);
        if let Some(known) = fresh.or_else(|| self.digests.get(&spec.id).copied()) {
            return Ok(new.met(known));
        }
        let waits = self.waits(spec).await?;
        if let Some(id) = waits.unknown {
            return Ok(Enqueued::UnknownWait(id));
        }
        let mut out = Enqueued::Inserted;
        let mut payload = None;
        if let Some(unique) = &spec.unique
            && let Some(holder) = self.holder(&spec.queue, &unique.key).await?
        {
            if unique.conflict == Conflict::Keep {
                return Ok(Enqueued::UniqueHit(holder));
            }
            let held = self.load(holder).await?;
            let held = held.filter(|held| held.job.state == State::Pending);
            let Some(mut held) = held else {
                return Ok(Enqueued::UniqueHit(holder));
            };
            if unique.conflict == Conflict::Reschedule {
                payload = Some(held.job.payload.clone());
            }
            let _ = self.apply(&mut held, &Event::Supersede(spec.id)).await?;
            out = Enqueued::Superseded(holder);
        }
        // Once more: what it waits for may have ended with the holder.
        let waits = self.waits(spec).await?;
        let mut job = Record::accepted(new, waits.left, self.now);
        // The digest stays that of the job as given, so that a repeat of it is known again.
        if let Some(payload) = payload {
            job.payload = payload;
        }
        let mut stored = self.add(job);
        if let Some(unique) = &spec.unique {
            self.take(&stored.job, unique);
        }
        self.start_waiting(&stored.job).await?;
        if let Some(failed) = waits.failed {
            let _ = self.apply(&mut stored, &Event::WaitFailed(failed)).await?;
        }
        Ok(out)
    }

    /// Notes a new row.
    fn add(&mut self, job: Record) -> Stored {
        let mut bits = 0;
        if job.spec.unique.is_some() {
            bits |= links::UNIQUE;
        }
        if job.spec.group.is_some() {
            bits |= links::GROUP;
        }
        self.count(&job.spec.queue, job.state, 1);
        if job.state == State::Pending {
            self.hints.queue(&job.spec.queue);
        }
        let stored = Stored {
            job,
            parked: false,
            links: bits,
            flaw: None,
        };
        self.fresh.insert(stored.job.id());
        self.rows.insert(stored.job.id(), Some(stored.clone()));
        stored
    }
}
