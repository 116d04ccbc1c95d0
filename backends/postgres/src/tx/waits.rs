//! Jobs that wait for jobs. An end is told to those that wait for it, and theirs to those behind them, by a
//! list instead of a recursion: chains may be long. Who waits is read for many ends at once, and what changes
//! of it is written at the end, so that neither takes a round trip per job.

use std::collections::{BTreeMap, BTreeSet};

use tideway_engine::jobs::{Event, Id, Record, Spec, State, WaitFailed, Waits};
use tokio_postgres::types::Type;

use super::Tx;
use crate::error::Failed;
use crate::row::{self, COLUMNS, links};
use crate::sql::{Bits, Param};

/// How many of those behind the waiters of a failed job are looked at together: they may fail with it.
const BEHIND: i64 = 1000;

/// Who waits for whom, as far as a transaction has asked.
#[derive(Default)]
pub(super) struct Waiters {
    /// By the job they wait for: of those in `met` all of them.
    of: BTreeMap<Id, BTreeSet<Id>>,
    met: BTreeSet<Id>,
    /// What the table does not have yet, as (awaited, waiter), and what it still has.
    new: BTreeSet<(Id, Id)>,
    over: BTreeSet<(Id, Id)>,
}

impl Waiters {
    fn begin(&mut self, awaited: Id, waiter: Id) {
        self.of.entry(awaited).or_default().insert(waiter);
        self.new.insert((awaited, waiter));
    }

    fn end(&mut self, awaited: Id, waiter: Id) {
        if let Some(all) = self.of.get_mut(&awaited) {
            all.remove(&waiter);
        }
        if !self.new.remove(&(awaited, waiter)) {
            self.over.insert((awaited, waiter));
        }
    }
}

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
        for awaited in &job.waits {
            self.waiters.begin(*awaited, job.id());
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
    pub(super) fn stop_waiting(&mut self, job: &Record) {
        for awaited in &job.waits {
            self.waiters.end(*awaited, job.id());
        }
    }

    /// Tells those who wait for what has ended, until nothing more ends.
    pub(super) async fn tell_waiters(&mut self) -> Result<(), Failed> {
        let mut failed = false;
        while let Some((ended, state)) = self.ends.pop() {
            let well = state == State::Succeeded;
            if !self.waiters.met.contains(&ended) {
                let mut all: Vec<Id> = self.ends.iter().map(|(id, _)| *id).collect();
                all.push(ended);
                // The second in a row that fails: it may be a long one.
                let behind = if failed && !well { BEHIND } else { 0 };
                if behind > 0 {
                    all.extend(self.waiting().map(Record::id));
                }
                self.meet(all, behind).await?;
            }
            failed |= !well;
            for waiter in self.waiters.of.remove(&ended).unwrap_or_default() {
                self.waiters.end(ended, waiter);
                self.tell(waiter, ended, well).await?;
            }
        }
        Ok(())
    }

    /// Locks and reads those who wait for these, which are locked: their end may come in this call.
    pub(super) async fn meet_waiters(
        &mut self,
        ids: impl IntoIterator<Item = Id>,
    ) -> Result<(), Failed> {
        let tied = |id: &Id| {
            let stored = self.rows.get(id).and_then(Option::as_ref);
            stored.is_some_and(|stored| {
                stored.links & links::WAITERS != 0 && !stored.job.state.ended()
            })
        };
        let tied: Vec<Id> = ids.into_iter().filter(tied).collect();
        if tied.is_empty() {
            return Ok(());
        }
        self.meet(tied, 0).await
    }

    /// Locks and reads those who wait for `awaited`, which are locked, and some of those `behind` them.
    ///
    /// Who begins to wait locks what it waits for. So of a locked job all are seen, and of those behind them perhaps
    /// not all yet: these are only locked here, and met when they end.
    async fn meet(&mut self, awaited: Vec<Id>, behind: i64) -> Result<(), Failed> {
        let asked: Vec<Bits> = awaited.iter().map(|id| row::id(*id)).collect();
        let known: Vec<Bits> = self.waiting().map(|job| row::id(job.id())).collect();
        let sql = format!(
            "WITH RECURSIVE near AS (SELECT id FROM {{s}}.waiter WHERE awaited = ANY ($1)), \
             behind AS (SELECT id FROM near \
               UNION SELECT w.id FROM behind b JOIN {{s}}.waiter w ON w.awaited = b.id), \
             far AS (SELECT id FROM behind LIMIT $2), \
             new AS (SELECT id FROM near UNION SELECT id FROM far EXCEPT SELECT unnest($3)) \
             SELECT {COLUMNS} FROM {{s}}.job WHERE id = ANY (ARRAY (SELECT id FROM new)) ORDER BY id FOR UPDATE"
        );
        let params: [Param<'_>; 3] = [
            (&asked, Type::UUID_ARRAY),
            (&behind, Type::INT8),
            (&known, Type::UUID_ARRAY),
        ];
        let rows = self.query(&sql, &params).await?;
        for row in &rows {
            let stored = row::read(row)?;
            let known = self.rows.entry(stored.job.id()).or_default();
            // What was read before may have changed here since.
            known.get_or_insert(stored);
        }
        let pairs = self.waiting().flat_map(|job| {
            let id = job.id();
            job.waits.iter().map(move |awaited| (*awaited, id))
        });
        let pairs: Vec<(Id, Id)> = pairs.collect();
        for (awaited, waiter) in pairs {
            self.waiters.of.entry(awaited).or_default().insert(waiter);
        }
        self.waiters.met.extend(awaited);
        Ok(())
    }

    /// The jobs that wait, of those that were read.
    fn waiting(&self) -> impl Iterator<Item = &Record> {
        let jobs = self.rows.values().flatten().map(|stored| &stored.job);
        jobs.filter(|job| job.state == State::Waiting)
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

    /// Writes who waits and who does no more.
    pub(super) async fn flush_waiters(&mut self) -> Result<(), Failed> {
        let new = std::mem::take(&mut self.waiters.new);
        let over = std::mem::take(&mut self.waiters.over);
        if new.is_empty() && over.is_empty() {
            return Ok(());
        }
        let columns = |pairs: &BTreeSet<(Id, Id)>| -> (Vec<Bits>, Vec<Bits>) {
            let bits = |(awaited, waiter): &(Id, Id)| (row::id(*awaited), row::id(*waiter));
            pairs.iter().map(bits).unzip()
        };
        let ((from, to), (old_from, old_to)) = (columns(&new), columns(&over));
        let sql = "WITH gone AS (DELETE FROM {s}.waiter w USING unnest($1, $2) AS n (awaited, id) \
               WHERE w.awaited = n.awaited AND w.id = n.id) \
             INSERT INTO {s}.waiter (awaited, id) SELECT * FROM unnest($3, $4) ON CONFLICT DO NOTHING";
        let params: [Param<'_>; 4] = [
            (&old_from, Type::UUID_ARRAY),
            (&old_to, Type::UUID_ARRAY),
            (&from, Type::UUID_ARRAY),
            (&to, Type::UUID_ARRAY),
        ];
        self.query(sql, &params).await?;
        Ok(())
    }
}
