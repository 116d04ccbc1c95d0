//! Limits: how many of a queue or a group may run, and how many claims fit in any window.
//!
//! A claim at `t` counts against a rate until `t + window`, excluded, from when the limit was set and
//! whatever becomes of the job. A job met in its lane whose group may start none is *parked*: it leaves the
//! lane. As many of a group's parked jobs as may start return, per band, whenever one of the group
//! ends or its window has room. So every parking is paid for by an insert, an end or a window.
//!
//! Whatever looks at a gate holds a lock on the limits of its queue, so that one transaction at a time does.

use std::collections::BTreeMap;
use std::time::Duration;

use tideway_engine::Wall;
use tideway_engine::jobs::call::{Lane, Limit, Room, Scope};
use tideway_engine::jobs::{Name, Record, State};
use tokio_postgres::types::Type;

use super::Tx;
use crate::error::Failed;
use crate::row::{self, Stored};
use crate::sql::Param;

/// A look for the next due job parks at most this many; then it says that more is due now.
const ASIDE: usize = 1000;

/// Heads of a lane that are looked at together.
const HEADS: i64 = 100;

/// Whether one more may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// So many may.
    Open(Option<u64>),
    /// Not before this time.
    Until(Wall),
    /// Not before one that runs ends, or somebody changes the limit.
    Shut,
}

impl Gate {
    pub(super) fn is_open(self) -> bool {
        matches!(self, Gate::Open(_))
    }
}

/// A queue, or a group of it.
type Place = (Name, Option<Name>);

/// What counts against the limit of a place.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    limit: Limit,
    running: u64,
    /// Claims in the window.
    taken: u64,
    /// Those of them that are not yet in the tables.
    noted: u64,
}

impl Count {
    /// That of the rate, in milliseconds.
    fn window(&self) -> Option<i64> {
        self.limit.rate.map(|(_, window)| row::millis(window))
    }
}

/// The counts that this transaction asked for.
#[derive(Default)]
pub(super) struct Known(BTreeMap<Place, Count>);

impl Known {
    /// A job was in `from` before.
    pub(super) fn moved(&mut self, job: &Record, from: State) {
        let by = i64::from(job.state == State::Running) - i64::from(from == State::Running);
        if by == 0 || self.0.is_empty() {
            return;
        }
        for place in places(job) {
            if let Some(count) = self.0.get_mut(&place) {
                count.running = count.running.saturating_add_signed(by);
            }
        }
    }
}

/// The limits a job counts against.
fn places(job: &Record) -> impl Iterator<Item = Place> {
    let queue = &job.spec.queue;
    let group = job
        .spec
        .group
        .as_ref()
        .map(|group| (queue.clone(), Some(group.clone())));
    std::iter::once((queue.clone(), None)).chain(group)
}

/// A group, as the tables have it.
fn grp(group: Option<&Name>) -> &str {
    group.map_or("", |group| &**group)
}

impl Tx<'_> {
    /// Whether there is any limit.
    pub(super) fn limited(&self) -> bool {
        self.limited
    }

    /// Locks the limits of these queues, or all, against other transactions that look at them. Before any row
    /// of a job is locked.
    pub(super) async fn lock_limits(&mut self, queues: Option<&[Name]>) -> Result<(), Failed> {
        if !self.limited {
            return Ok(());
        }
        let names = queues.map(|queues| {
            queues
                .iter()
                .map(|queue| queue.to_string())
                .collect::<Vec<_>>()
        });
        let sql = "SELECT FROM {s}.lim WHERE $1::text[] IS NULL OR queue = ANY ($1) \
                   ORDER BY queue, scope, grp FOR UPDATE";
        self.query(sql, &[(&names, Type::TEXT_ARRAY)]).await?;
        Ok(())
    }

    /// Replaces a limit; one that says nothing is removed.
    pub(super) async fn limit(&mut self, scope: &Scope, limit: &Limit) -> Result<(), Failed> {
        let (queue, code, group) = match scope {
            Scope::Queue(queue) => (queue, 0_i16, None),
            Scope::EachGroup(queue) => (queue, 1, None),
            Scope::Group(queue, group) => (queue, 2, Some(group)),
        };
        let group = grp(group);
        let key: [Param<'_>; 3] = [
            (&&**queue, Type::TEXT),
            (&code, Type::INT2),
            (&group, Type::TEXT),
        ];
        self.query(
            "DELETE FROM {s}.lim WHERE queue = $1 AND scope = $2 AND grp = $3",
            &key,
        )
        .await?;
        if *limit != Limit::default() {
            let sql = "INSERT INTO {s}.lim (queue, scope, grp, running, rate, every) VALUES ($1, $2, $3, $4, $5, $6)";
            let running = limit.running.map(i64::from);
            let rate = limit.rate.map(|(n, _)| i64::from(n));
            let every = limit.rate.map(|(_, every)| row::millis(every));
            let values: [Param<'_>; 3] = [
                (&running, Type::INT8),
                (&rate, Type::INT8),
                (&every, Type::INT8),
            ];
            let all: Vec<Param<'_>> = key.into_iter().chain(values).collect();
            self.query(sql, &all).await?;
        }
        self.limited = true;
        self.known = Known::default();
        self.hints.queue(queue);
        if code == 0 {
            return self.forget_taken(queue, None).await;
        }
        let sql = "SELECT grp FROM {s}.blocked WHERE queue = $1 \
                   UNION SELECT grp FROM {s}.taken WHERE queue = $1 AND grp <> ''";
        for row in &self.query(sql, &[(&&**queue, Type::TEXT)]).await? {
            let group = Name::readable(row.try_get(0)?);
            self.forget_taken(queue, Some(&group)).await?;
            self.roomy.insert((queue.clone(), group));
        }
        Ok(())
    }

    /// Forgets the claims that no rate counts any more.
    async fn forget_taken(&mut self, queue: &Name, group: Option<&Name>) -> Result<(), Failed> {
        if self.counted(queue, group).await?.limit.rate.is_none() {
            let sql = "DELETE FROM {s}.taken WHERE queue = $1 AND grp = $2";
            self.query(sql, &[(&&**queue, Type::TEXT), (&grp(group), Type::TEXT)])
                .await?;
        }
        Ok(())
    }

    /// Brings parked jobs back whose window has room since; those too that a clock parked which was ahead.
    pub(super) async fn open_gates(&mut self, queues: &[Name]) -> Result<(), Failed> {
        let names: Vec<String> = queues.iter().map(|queue| queue.to_string()).collect();
        let sql = "SELECT queue, grp FROM {s}.blocked WHERE queue = ANY ($1) AND until IS NOT NULL \
                   AND (until <= $2 OR at > $2)";
        for row in &self
            .query(
                sql,
                &[(&names, Type::TEXT_ARRAY), (&self.now.0, Type::INT8)],
            )
            .await?
        {
            self.roomy.insert((
                Name::readable(row.try_get(0)?),
                Name::readable(row.try_get(1)?),
            ));
        }
        self.unpark().await
    }

    /// Whether one more of the queue, or of the group as far as the queue lets it, may start.
    pub(super) async fn gate(
        &mut self,
        queue: &Name,
        group: Option<&Name>,
    ) -> Result<Gate, Failed> {
        let count = self.counted(queue, group).await?;
        Ok(match count.limit.room(count.running, count.taken) {
            Room::Open(room) => Gate::Open(room),
            Room::After(over) => {
                self.flush_notes().await?;
                let window = count.window().unwrap_or_default();
                Gate::Until(self.room_at(queue, group, window, over).await?)
            }
            Room::Shut => Gate::Shut,
        })
    }

    async fn counted(&mut self, queue: &Name, group: Option<&Name>) -> Result<Count, Failed> {
        let place = (queue.clone(), group.cloned());
        if let Some(known) = self.known.0.get(&place) {
            return Ok(*known);
        }
        self.flush().await?;
        // Claims of a clock that was ahead count as of now.
        let sql = "SELECT l.running, l.rate, l.every, \
              CASE WHEN l.running IS NULL THEN 0 \
                   WHEN $2 = '' THEN (SELECT count(*) FROM {s}.job WHERE state = 2 AND queue = $1) \
                   ELSE (SELECT count(*) FROM {s}.job WHERE state = 2 AND queue = $1 AND grp = $2 AND grp IS NOT NULL) END, \
              (SELECT sum(n)::int8 FROM {s}.taken WHERE queue = $1 AND grp = $2 AND at > $3 - l.every) \
              FROM {s}.lim l WHERE queue = $1 AND CASE WHEN $2 = '' THEN scope = 0 \
                   ELSE scope = 2 AND grp = $2 OR scope = 1 END ORDER BY scope DESC LIMIT 1";
        let params: [Param<'_>; 3] = [
            (&&**queue, Type::TEXT),
            (&grp(group), Type::TEXT),
            (&self.now.0, Type::INT8),
        ];
        let rows = self.query(sql, &params).await?;
        let mut count = Count::default();
        if let Some(row) = rows.first() {
            let number = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
            count.limit.running = row.try_get::<_, Option<i64>>(0)?.map(number);
            let rate = row.try_get::<_, Option<i64>>(1)?.map(number);
            let window = row.try_get::<_, Option<i64>>(2)?.map(i64::unsigned_abs);
            count.limit.rate = rate.zip(window.map(Duration::from_millis));
            count.running = row.try_get::<_, i64>(3)?.unsigned_abs();
            count.taken = row
                .try_get::<_, Option<i64>>(4)?
                .unwrap_or_default()
                .unsigned_abs();
        }
        self.known.0.insert(place, count);
        Ok(count)
    }

    /// When the `over` oldest claims in the window have left it.
    async fn room_at(
        &self,
        queue: &Name,
        group: Option<&Name>,
        window: i64,
        over: u64,
    ) -> Result<Wall, Failed> {
        let sql = "SELECT at FROM (SELECT at, sum(n) OVER (ORDER BY at) AS upto FROM {s}.taken \
                   WHERE queue = $1 AND grp = $2 AND at > $3) AS t WHERE upto >= $4 ORDER BY at LIMIT 1";
        let since = self.now.0.saturating_sub(window);
        let over = i64::try_from(over).unwrap_or(i64::MAX);
        let params: [Param<'_>; 4] = [
            (&&**queue, Type::TEXT),
            (&grp(group), Type::TEXT),
            (&since, Type::INT8),
            (&over, Type::INT8),
        ];
        let rows = self.query(sql, &params).await?;
        let at: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?;
        Ok(at.map_or(self.now, |at| {
            Wall(at.min(self.now.0).saturating_add(window))
        }))
    }

    /// Counts a claim against the rates it falls under.
    pub(super) async fn note_claim(&mut self, job: &Record) -> Result<(), Failed> {
        for (queue, group) in places(job) {
            if self
                .counted(&queue, group.as_ref())
                .await?
                .limit
                .rate
                .is_some()
                && let Some(count) = self.known.0.get_mut(&(queue.clone(), group.clone()))
            {
                count.taken += 1;
                count.noted += 1;
            }
            if let Some(group) = group {
                self.roomy.insert((queue, group));
            }
        }
        Ok(())
    }

    /// Writes the claims that were counted.
    pub(super) async fn flush_notes(&mut self) -> Result<(), Failed> {
        let (mut queues, mut groups, mut sinces, mut counts) = (vec![], vec![], vec![], vec![]);
        for ((queue, group), count) in &mut self.known.0 {
            if let (Some(window), 1..) = (count.window(), count.noted) {
                queues.push(queue.to_string());
                groups.push(grp(group.as_ref()).to_owned());
                sinces.push(self.now.0.saturating_sub(window));
                counts.push(std::mem::take(&mut count.noted) as i64);
            }
        }
        if queues.is_empty() {
            return Ok(());
        }
        let sql = "WITH n AS (SELECT * FROM unnest($1, $2, $3, $4) AS n (queue, grp, since, n)), \
             old AS (DELETE FROM {s}.taken t USING n WHERE t.queue = n.queue AND t.grp = n.grp AND t.at <= n.since) \
             INSERT INTO {s}.taken (queue, grp, at, n) SELECT queue, grp, $5, n FROM n \
             ON CONFLICT (queue, grp, at) DO UPDATE SET n = taken.n + excluded.n";
        let params: [Param<'_>; 5] = [
            (&queues, Type::TEXT_ARRAY),
            (&groups, Type::TEXT_ARRAY),
            (&sinces, Type::INT8_ARRAY),
            (&counts, Type::INT8_ARRAY),
            (&self.now.0, Type::INT8),
        ];
        self.query(sql, &params).await?;
        Ok(())
    }

    /// A job left `from`: another of its group may start in its place.
    pub(super) fn left(&mut self, job: &Record, from: State) {
        let slot = from == State::Running && job.state != State::Running;
        if slot {
            self.hints.queue(&job.spec.queue);
        }
        if (slot || from == State::Pending)
            && let Some(group) = &job.spec.group
        {
            self.roomy.insert((job.spec.queue.clone(), group.clone()));
        }
    }

    /// Takes a job out of its lane until its group may start one.
    pub(super) async fn park(&mut self, mut stored: Stored, gate: Gate) -> Result<(), Failed> {
        let Some(group) = stored.job.spec.group.clone() else {
            return Ok(());
        };
        let queue = stored.job.spec.queue.clone();
        stored.parked = true;
        self.put(stored);
        self.block(&queue, &group, gate).await
    }

    async fn block(&self, queue: &Name, group: &Name, gate: Gate) -> Result<(), Failed> {
        let until = match gate {
            Gate::Until(time) => Some(time.0),
            Gate::Open(_) | Gate::Shut => None,
        };
        let sql = "INSERT INTO {s}.blocked (queue, grp, until, at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (queue, grp) DO UPDATE SET until = excluded.until, at = excluded.at";
        let params: [Param<'_>; 4] = [
            (&&**queue, Type::TEXT),
            (&&**group, Type::TEXT),
            (&until, Type::INT8),
            (&self.now.0, Type::INT8),
        ];
        self.query(sql, &params).await?;
        Ok(())
    }

    /// Looks whether groups that may have room have, and brings as many of their jobs back.
    pub(super) async fn unpark(&mut self) -> Result<(), Failed> {
        let roomy = std::mem::take(&mut self.roomy);
        if roomy.is_empty() {
            return Ok(());
        }
        self.flush().await?;
        let queues: Vec<&str> = roomy.iter().map(|(queue, _)| &**queue).collect();
        let groups: Vec<&str> = roomy.iter().map(|(_, group)| &**group).collect();
        let sql = "SELECT b.queue, b.grp FROM {s}.blocked b JOIN unnest($1, $2) AS n (queue, grp) USING (queue, grp)";
        let rows = self
            .query(
                sql,
                &[(&queues, Type::TEXT_ARRAY), (&groups, Type::TEXT_ARRAY)],
            )
            .await?;
        for row in &rows {
            let (queue, group) = (
                Name::readable(row.try_get(0)?),
                Name::readable(row.try_get(1)?),
            );
            let gate = self.gate(&queue, Some(&group)).await?;
            if let Gate::Open(room) = gate {
                self.bring_back(&queue, &group, room).await?;
                self.hints.queue(&queue);
            }
            if self.next_parked(&queue, &group, -1).await?.is_some() {
                self.block(&queue, &group, gate).await?;
            } else {
                let sql = "DELETE FROM {s}.blocked WHERE queue = $1 AND grp = $2";
                self.query(sql, &[(&&*queue, Type::TEXT), (&&*group, Type::TEXT)])
                    .await?;
            }
        }
        Ok(())
    }

    /// Puts up to `room` of each band back into their lanes.
    async fn bring_back(
        &mut self,
        queue: &Name,
        group: &Name,
        room: Option<u64>,
    ) -> Result<(), Failed> {
        let room = room.map(|room| i64::try_from(room).unwrap_or(i64::MAX));
        let mut after = -1;
        while let Some((band, _)) = self.next_parked(queue, group, after).await? {
            let sql = "UPDATE {s}.job SET parked = false WHERE id IN (SELECT id FROM {s}.job \
                       WHERE state = 1 AND parked AND queue = $1 AND grp = $2 AND band = $3 \
                       ORDER BY run_at, id LIMIT $4 FOR UPDATE) RETURNING id";
            let params: [Param<'_>; 4] = [
                (&&**queue, Type::TEXT),
                (&&**group, Type::TEXT),
                (&band, Type::INT2),
                (&room, Type::INT8),
            ];
            let rows = self.query(sql, &params).await?;
            for id in Self::ids(&rows)? {
                if let Some(Some(stored)) = self.rows.get_mut(&id) {
                    stored.parked = false;
                }
            }
            self.dry.retain(|lane| lane.queue != *queue);
            after = band;
        }
        Ok(())
    }

    /// The first band after `after` in which the group has parked jobs, and when the first of them is due.
    async fn next_parked(
        &self,
        queue: &Name,
        group: &Name,
        after: i16,
    ) -> Result<Option<(i16, Wall)>, Failed> {
        let sql = "SELECT band, run_at FROM {s}.job WHERE state = 1 AND parked AND queue = $1 AND grp = $2 \
                   AND band > $3 ORDER BY band, run_at LIMIT 1";
        let params: [Param<'_>; 3] = [
            (&&**queue, Type::TEXT),
            (&&**group, Type::TEXT),
            (&after, Type::INT2),
        ];
        let rows = self.query(sql, &params).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        Ok(Some((row.try_get(0)?, Wall(row.try_get(1)?))))
    }

    /// When time alone makes a job of the lane claimable.
    pub(super) async fn next_due_limited(&mut self, lane: &Lane) -> Result<Option<Wall>, Failed> {
        let queue = self.gate(&lane.queue, None).await?;
        if queue == Gate::Shut {
            return Ok(None);
        }
        let mut due = self.head_due_limited(lane).await?;
        self.flush().await?;
        let sql = "SELECT grp, until FROM {s}.blocked WHERE queue = $1 AND until IS NOT NULL ORDER BY until";
        for row in &self.query(sql, &[(&&*lane.queue, Type::TEXT)]).await? {
            let until = Wall(row.try_get(1)?);
            if due.is_some_and(|due| due <= until) {
                break;
            }
            let group = Name::readable(row.try_get(0)?);
            let band = i16::from(lane.band);
            let parked = self.next_parked(&lane.queue, &group, band - 1).await?;
            if let Some((_, run_at)) = parked.filter(|(at, _)| *at == band) {
                let time = until.max(run_at);
                due = Some(due.map_or(time, |due| due.min(time)));
            }
        }
        Ok(match queue {
            Gate::Until(time) => due.map(|due| due.max(time)),
            _ => due,
        })
    }

    /// When the lane's first job falls due whose group may start one; parks what is before it.
    async fn head_due_limited(&mut self, lane: &Lane) -> Result<Option<Wall>, Failed> {
        let mut aside = 0;
        while aside < ASIDE {
            let heads = self.later_heads(lane, HEADS).await?;
            for id in &heads {
                let Some(stored) = self.load(*id).await? else {
                    continue;
                };
                let due = stored.job.run_at;
                let Some(group) = stored.job.spec.group.clone() else {
                    return Ok(Some(due));
                };
                let gate = self.gate(&lane.queue, Some(&group)).await?;
                if gate.is_open() {
                    return Ok(Some(due));
                }
                self.park(stored, gate).await?;
                aside += 1;
            }
            if (heads.len() as i64) < HEADS {
                return Ok(None);
            }
        }
        Ok(Some(self.now))
    }

    /// Forgets claims that left every window.
    pub(super) async fn tidy_rates(&self, limit: i64) -> Result<(), Failed> {
        let sql = "DELETE FROM {s}.taken WHERE (queue, grp, at) IN (SELECT queue, grp, at FROM {s}.taken \
                   WHERE at <= $1 - (SELECT max(every) FROM {s}.lim) LIMIT $2 FOR UPDATE SKIP LOCKED)";
        self.query(sql, &[(&self.now.0, Type::INT8), (&limit, Type::INT8)])
            .await?;
        Ok(())
    }
}
