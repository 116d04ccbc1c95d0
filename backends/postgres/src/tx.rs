//! One call inside of a transaction: the rules of more than one record, for whatever the functions of
//! `schema.sql` do not do in one go. The rule of one record is [`step`].
//!
//! Rows are locked in the order of their ids, read once, changed in memory and written back together. A
//! statement that looks for rows by anything but their id is therefore preceded by a [`flush`](Tx::flush).

pub(crate) mod audit;
pub(crate) mod claim;
pub(crate) mod control;
pub(crate) mod cron;
pub(crate) mod enqueue;
pub(crate) mod limits;
pub(crate) mod pages;
pub(crate) mod prune;
pub(crate) mod settle;
pub(crate) mod unique;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use tideway::jobs::StoreError;
use tideway::jobs::hints::Hints;
use tideway_engine::Wall;
use tideway_engine::jobs::call::Lane;
use tideway_engine::jobs::{Event, Id, Kind, Name, Refused, State, step};
use tokio_postgres::types::Type;
use tokio_postgres::{Row, Transaction};

use crate::error::Failed;
use crate::row::{self, COLUMNS, Rows, Stored, firsts, links};
use crate::schema;
use crate::sql::{Bits, Param, Schema};
use unique::Held;

/// A call that takes a transaction. Run again from the beginning when another one is in its way.
pub(crate) trait Call: Sync {
    /// Its answer.
    type Out: Send;

    /// Whether it changes what every claim reads: pauses, limits.
    fn exclusive(&self) -> bool {
        false
    }

    /// Does it.
    fn run(&self, tx: &mut Tx<'_>) -> impl Future<Output = Result<Self::Out, Failed>> + Send;
}

/// What a transaction is told about the store.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'t> {
    pub(crate) schema: &'t Schema,
    /// The clock's time, if it is not the server's.
    pub(crate) clock: Option<Wall>,
    /// A job's record goes with its success.
    pub(crate) forget: bool,
}

/// A call at one time of the store's clock.
pub(crate) struct Tx<'t> {
    db: &'t Transaction<'t>,
    terms: Terms<'t>,
    pub(crate) now: Wall,
    /// Rows that were read and locked; `None` where there is none.
    rows: BTreeMap<Id, Option<Stored>>,
    /// Those that changed, and those that are new.
    dirty: BTreeSet<Id>,
    fresh: BTreeSet<Id>,
    /// Those to remove, with what an enqueue must still find of them: the digest, and until when.
    gone: BTreeMap<Id, Option<(u64, Wall)>>,
    /// Of the ids that are known, as far as an enqueue asked.
    digests: BTreeMap<Id, u64>,
    /// Unique keys that were looked at, and those of them that changed.
    holds: BTreeMap<(Name, Name), Option<Held>>,
    moved: BTreeSet<(Name, Name)>,
    pub(crate) hints: Hints,
    /// How the counts of queues change.
    tally: BTreeMap<Name, [i64; State::ALL.len()]>,
    /// Whether there are limits.
    limited: bool,
    /// Jobs that have ended and whose waiters have not been told.
    ends: Vec<(Id, State)>,
    waiters: waits::Waiters,
    /// Groups that may have room for a parked job.
    roomy: BTreeSet<(Name, Name)>,
    known: limits::Known,
    /// Lanes of which a claim has taken all that was due.
    dry: BTreeSet<Lane>,
}

impl<'t> Tx<'t> {
    /// Begins: the time, and whether this program knows the tables.
    pub(crate) async fn begin(
        db: &'t Transaction<'t>,
        terms: Terms<'t>,
        exclusive: bool,
    ) -> Result<Self, Failed> {
        if exclusive {
            // Before anything else is locked: what holds one of these waits for no row of ours.
            let lock = "LOCK TABLE {s}.lim, {s}.paused IN ACCESS EXCLUSIVE MODE";
            db.batch_execute(&terms.schema.sql(lock)).await?;
        }
        let sql = "SELECT {s}.now_1($1), (SELECT max(version) FROM {s}.migration), EXISTS (SELECT FROM {s}.lim), \
                   EXISTS (SELECT FROM {s}.paused)";
        let clock = terms.clock.map(|time| time.0);
        let row = db
            .query_typed_one(&terms.schema.sql(sql), &[(&clock, Type::INT8)])
            .await?;
        schema::check(row.try_get(1)?, terms.schema)?;
        Ok(Self {
            db,
            terms,
            now: Wall(row.try_get(0)?),
            rows: BTreeMap::new(),
            dirty: BTreeSet::new(),
            fresh: BTreeSet::new(),
            gone: BTreeMap::new(),
            digests: BTreeMap::new(),
            holds: BTreeMap::new(),
            moved: BTreeSet::new(),
            hints: Hints::default(),
            tally: BTreeMap::new(),
            limited: row.try_get(2)?,
            ends: Vec::new(),
            waiters: waits::Waiters::default(),
            roomy: BTreeSet::new(),
            known: limits::Known::default(),
            dry: BTreeSet::new(),
        })
    }

    /// Writes what was put off. The hints may be sent once the transaction is committed.
    pub(crate) async fn finish(mut self) -> Result<Hints, Failed> {
        self.unpark().await?;
        self.flush().await?;
        self.flush_waiters().await?;
        self.flush_holds().await?;
        self.flush_tally().await?;
        Ok(self.hints)
    }

    async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Failed> {
        Ok(self
            .db
            .query_typed(&self.terms.schema.sql(sql), params)
            .await?)
    }

    fn count(&mut self, queue: &Name, state: State, by: i64) {
        if self.terms.forget && state == State::Succeeded {
            return;
        }
        if !self.tally.contains_key(queue) {
            self.tally.insert(queue.clone(), Default::default());
        }
        if let Some(counts) = self.tally.get_mut(queue) {
            counts[usize::from(state.code())] += by;
        }
    }

    /// Locks and reads the rows of `ids`, those apart that are known already.
    async fn load_all(&mut self, ids: impl IntoIterator<Item = Id>) -> Result<(), Failed> {
        let new: BTreeSet<Id> = ids
            .into_iter()
            .filter(|id| !self.rows.contains_key(id))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let wanted: Vec<Bits> = new.iter().map(|id| row::id(*id)).collect();
        let sql =
            format!("SELECT {COLUMNS} FROM {{s}}.job WHERE id = ANY ($1) ORDER BY id FOR UPDATE");
        let rows = self.query(&sql, &[(&wanted, Type::UUID_ARRAY)]).await?;
        self.rows.extend(new.into_iter().map(|id| (id, None)));
        self.keep(&rows)?;
        Ok(())
    }

    /// Notes rows that were locked and read; their ids in order.
    fn keep(&mut self, rows: &[Row]) -> Result<Vec<Id>, Failed> {
        let mut ids = Vec::with_capacity(rows.len());
        for row in rows {
            let stored = row::read(row)?;
            ids.push(stored.job.id());
            self.rows.insert(stored.job.id(), Some(stored));
        }
        Ok(ids)
    }

    /// The job of `id`.
    async fn load(&mut self, id: Id) -> Result<Option<Stored>, Failed> {
        if !self.rows.contains_key(&id) {
            self.load_all([id]).await?;
        }
        Ok(self.rows.get(&id).cloned().flatten())
    }

    /// Notes a changed row.
    fn put(&mut self, stored: Stored) {
        let id = stored.job.id();
        if !self.fresh.contains(&id) {
            self.dirty.insert(id);
        }
        self.rows.insert(id, Some(stored));
    }

    /// Applies `event` to a row that was loaded, and everything that follows from it.
    async fn apply(
        &mut self,
        stored: &mut Stored,
        event: &Event<'_>,
    ) -> Result<Result<Kind, Refused>, Failed> {
        let done = self.apply_alone(stored, event).await?;
        self.tell_waiters().await?;
        Ok(done)
    }

    /// As [`apply`](Self::apply), but others are told by a later call.
    async fn apply_alone(
        &mut self,
        stored: &mut Stored,
        event: &Event<'_>,
    ) -> Result<Result<Kind, Refused>, Failed> {
        let from = stored.job.state;
        match step(&mut stored.job, event, self.now) {
            Ok(kind) => {
                self.save(stored, from, kind).await?;
                Ok(Ok(kind))
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Writes back a job that was in `from` before `kind` was applied to it, and does what follows from that.
    async fn save(&mut self, stored: &mut Stored, from: State, kind: Kind) -> Result<(), Failed> {
        // Whatever changed, its place in the lane may be another one: let a claim look at it.
        stored.parked = false;
        self.put(stored.clone());
        let job = &stored.job;
        if from != job.state {
            self.count(&job.spec.queue, from, -1);
            self.count(&job.spec.queue, job.state, 1);
            self.known.moved(job, from);
        }
        self.hints.after(job, kind);
        if job.state == State::Pending {
            self.dry.remove(&job.lane());
        }
        if stored.links & links::UNIQUE != 0 {
            self.release(job, kind).await?;
        }
        if job.state.ended() {
            if from == State::Waiting {
                self.stop_waiting(job);
            }
            if stored.links & links::WAITERS != 0 {
                self.ends.push((job.id(), job.state));
            }
        }
        if self.limited {
            self.left(job, from);
        }
        Ok(())
    }

    /// Writes the rows that changed.
    async fn flush(&mut self) -> Result<(), Failed> {
        let fresh = std::mem::take(&mut self.fresh);
        let dirty = std::mem::take(&mut self.dirty);
        if fresh.is_empty() && dirty.is_empty() {
            return self.remove().await;
        }
        let gone = |stored: &Stored| self.terms.forget && stored.job.state == State::Succeeded;
        let rows = |of: &BTreeSet<Id>| -> Vec<&Stored> {
            let all = of.iter().filter_map(|id| self.rows.get(id)?.as_ref());
            all.filter(|stored| !gone(stored)).collect()
        };
        let new = rows(&fresh);
        if !new.is_empty() {
            let mut columns = Rows::default();
            new.iter().for_each(|stored| columns.push(stored));
            if self.query(&row::insert(), &columns.params()).await?.len() < new.len() {
                // Another transaction has inserted one of them since: it is known by now.
                return Err(Failed::Again);
            }
        }
        let old = rows(&dirty);
        if !old.is_empty() {
            let mut columns = Rows::default();
            old.iter().for_each(|stored| columns.push(stored));
            self.query(&row::update(), &columns.params()).await?;
        }
        let over = dirty
            .iter()
            .filter(|id| self.rows.get(id).and_then(Option::as_ref).is_some_and(gone));
        let over: Vec<Id> = over.copied().collect();
        for id in over {
            self.rows.insert(id, None);
            self.gone.insert(id, None);
        }
        self.remove().await
    }

    /// Removes rows.
    async fn remove(&mut self) -> Result<(), Failed> {
        let gone = std::mem::take(&mut self.gone);
        if gone.is_empty() {
            return Ok(());
        }
        let (mut ids, mut digests, mut untils) = (vec![], vec![], vec![]);
        for (id, known) in &gone {
            ids.push(row::id(*id));
            digests.push(known.map(|(digest, _)| digest as i64));
            untils.push(known.map(|(_, until)| until.0));
        }
        let sql = "WITH n AS (SELECT * FROM unnest($1, $2, $3) AS n (id, digest, until)), \
             gone AS (DELETE FROM {s}.job j USING n WHERE j.id = n.id) \
             INSERT INTO {s}.deleted SELECT id, digest, until FROM n WHERE until IS NOT NULL \
             ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, until = excluded.until";
        let params: [Param<'_>; 3] = [
            (&ids, Type::UUID_ARRAY),
            (&digests, Type::INT8_ARRAY),
            (&untils, Type::INT8_ARRAY),
        ];
        self.query(sql, &params).await?;
        Ok(())
    }

    async fn flush_tally(&mut self) -> Result<(), Failed> {
        let mut queues = Vec::new();
        let mut counts: [Vec<i64>; State::ALL.len()] = Default::default();
        for (queue, by) in std::mem::take(&mut self.tally) {
            if by.iter().any(|n| *n != 0) {
                queues.push(queue.to_string());
                counts.iter_mut().zip(by).for_each(|(all, n)| all.push(n));
            }
        }
        if queues.is_empty() {
            return Ok(());
        }
        let mut params: Vec<Param<'_>> = vec![(&queues, Type::TEXT_ARRAY)];
        params.extend(
            counts
                .iter()
                .map(|all| -> Param<'_> { (all, Type::INT8_ARRAY) }),
        );
        self.query(
            "INSERT INTO {s}.tally SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)",
            &params,
        )
        .await?;
        Ok(())
    }

    /// Ids of the first column.
    fn ids(rows: &[Row]) -> Result<Vec<Id>, Failed> {
        let bits: Vec<Bits> = firsts(rows)?;
        Ok(bits.into_iter().map(|bits| Id::from_u128(bits.0)).collect())
    }
}

/// Something a transaction asks that no transaction can.
pub(crate) fn unsupported(what: &'static str) -> Failed {
    Failed::Store(StoreError::Unsupported(what))
}
