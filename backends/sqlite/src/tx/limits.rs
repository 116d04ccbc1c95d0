//! Limits: how many of a queue or a group may run, and how many claims fit in any window.
//!
//! A claim at `t` counts against a rate until `t + window`, excluded, from when the limit was set and
//! whatever becomes of the job. A job met in its lane whose group may start none is *parked*: it leaves the
//! lane. As many of a group's parked jobs as may start return, per band, whenever one of the group
//! ends or its window has room. So every parking is paid for by an insert, an end or a window.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use tideway_engine::Wall;
use tideway_engine::jobs::call::{Lane, Limit, Room, Scope};
use tideway_engine::jobs::{Name, Record, State};

use super::Tx;
use crate::row::{self, Stored};

/// A look for the next due job parks at most this many; then it says that more is due now.
const ASIDE: usize = 1000;

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

impl Tx<'_> {
    /// Whether there is any limit.
    pub(super) fn limited(&mut self) -> rusqlite::Result<bool> {
        if let Some(known) = self.limited {
            return Ok(known);
        }
        let any = self.db.prepare_cached("SELECT 1 FROM lim")?.exists([])?;
        self.limited = Some(any);
        Ok(any)
    }

    /// Replaces a limit; one that says nothing is removed.
    pub(super) fn limit(&mut self, scope: &Scope, limit: &Limit) -> rusqlite::Result<()> {
        let (queue, code, group) = match scope {
            Scope::Queue(queue) => (queue, 0, None),
            Scope::EachGroup(queue) => (queue, 1, None),
            Scope::Group(queue, group) => (queue, 2, Some(group)),
        };
        let key = params![&**queue, code, group.map_or("", |group| &**group)];
        self.db
            .prepare_cached("DELETE FROM lim WHERE queue = ?1 AND scope = ?2 AND grp = ?3")?
            .execute(key)?;
        if *limit != Limit::default() {
            self.db
                .prepare_cached(
                    "INSERT INTO lim (queue, scope, grp, running, rate, every) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    &**queue,
                    code,
                    group.map_or("", |group| &**group),
                    limit.running,
                    limit.rate.map(|(n, _)| n),
                    limit.rate.map(|(_, every)| row::millis(every)),
                ])?;
        }
        self.limited = None;
        self.taken.clear();
        self.hints.queue(queue);
        if code == 0 {
            return self.forget_taken(queue, None);
        }
        for group in self.groups(queue)? {
            self.forget_taken(queue, Some(&group))?;
            self.roomy.insert((queue.clone(), group));
        }
        Ok(())
    }

    /// Groups of which a claim counts, or a job is parked.
    fn groups(&self, queue: &Name) -> rusqlite::Result<Vec<Name>> {
        let mut find = self.db.prepare_cached(
            "SELECT grp FROM blocked WHERE queue = ?1 \
             UNION SELECT grp FROM taken WHERE queue = ?1 AND grp <> ''",
        )?;
        let rows = find.query_map([&**queue], |row| {
            Ok(Name::readable(row.get_ref(0)?.as_str()?))
        })?;
        rows.collect()
    }

    /// Forgets the claims that no rate counts any more.
    fn forget_taken(&self, queue: &Name, group: Option<&Name>) -> rusqlite::Result<()> {
        if self.bound(queue, group)?.rate.is_none() {
            self.db
                .prepare_cached("DELETE FROM taken WHERE queue = ?1 AND grp = ?2")?
                .execute([&**queue, group.map_or("", |group| &**group)])?;
        }
        Ok(())
    }

    /// Brings parked jobs back whose window has room since; those too that a clock parked which was ahead.
    pub(super) fn open_gates<'l>(
        &mut self,
        lanes: impl Iterator<Item = &'l Lane>,
    ) -> rusqlite::Result<()> {
        if !self.limited()? {
            return Ok(());
        }
        for lane in lanes {
            let mut find = self.db.prepare_cached(
                "SELECT grp FROM blocked WHERE queue = ?1 AND until IS NOT NULL AND until <= ?2 \
                 UNION ALL \
                 SELECT grp FROM blocked WHERE queue = ?1 AND until IS NOT NULL AND at > ?2",
            )?;
            let mut rows = find.query(params![&*lane.queue, self.now.0])?;
            while let Some(row) = rows.next()? {
                let group = Name::readable(row.get_ref(0)?.as_str()?);
                self.roomy.insert((lane.queue.clone(), group));
            }
        }
        self.unpark()
    }

    /// Whether one more of the queue, of whatever group, may start.
    pub(super) fn queue_gate(&mut self, queue: &Name) -> rusqlite::Result<Gate> {
        let bound = self.bound(queue, None)?;
        let running = match bound.running {
            Some(_) => self.running(queue)?,
            None => 0,
        };
        self.gate(queue, None, bound, running)
    }

    /// Whether one more of the group may start, as far as the queue lets it.
    pub(super) fn group_gate(&mut self, queue: &Name, group: &Name) -> rusqlite::Result<Gate> {
        let bound = self.bound(queue, Some(group))?;
        let running = match bound.running {
            Some(_) => self
                .db
                .prepare_cached(
                    "SELECT count(*) FROM job WHERE state = 2 AND queue = ?1 AND grp = ?2 \
                     AND grp IS NOT NULL",
                )?
                .query_row([&**queue, &**group], |row| row.get::<_, i64>(0))?
                .unsigned_abs(),
            None => 0,
        };
        self.gate(queue, Some(group), bound, running)
    }

    fn gate(
        &mut self,
        queue: &Name,
        group: Option<&Name>,
        bound: Limit,
        running: u64,
    ) -> rusqlite::Result<Gate> {
        let window = bound.rate.map(|(_, window)| row::millis(window));
        let taken = match window {
            Some(window) => self.taken(queue, group, window)?,
            None => 0,
        };
        Ok(match bound.room(running, taken) {
            Room::Open(room) => Gate::Open(room),
            Room::After(over) => {
                Gate::Until(self.room_at(queue, group, window.unwrap_or_default(), over)?)
            }
            Room::Shut => Gate::Shut,
        })
    }

    /// The limit of a queue, or of a group.
    fn bound(&self, queue: &Name, group: Option<&Name>) -> rusqlite::Result<Limit> {
        let sql = match group {
            None => {
                "SELECT running, rate, every FROM lim WHERE queue = ?1 AND scope = 0 AND ?2 IS NULL"
            }
            Some(_) => {
                "SELECT running, rate, every FROM lim WHERE queue = ?1 \
                 AND (scope = 2 AND grp = ?2 OR scope = 1) ORDER BY scope DESC LIMIT 1"
            }
        };
        let found = self
            .db
            .prepare_cached(sql)?
            .query_row(params![&**queue, group.map(|group| &**group)], |row| {
                let rate: Option<u32> = row.get(1)?;
                let every: Option<i64> = row.get(2)?;
                let window = every.map(|every| Duration::from_millis(every.unsigned_abs()));
                Ok(Limit {
                    running: row.get(0)?,
                    rate: rate.zip(window),
                })
            })
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// How many of the queue run, those of this call included.
    fn running(&self, queue: &Name) -> rusqlite::Result<u64> {
        let state = State::Running.code();
        let stored: Option<i64> = self
            .db
            .prepare_cached("SELECT n FROM tally WHERE queue = ?1 AND state = ?2")?
            .query_row(params![&**queue, state], |row| row.get(0))
            .optional()?;
        let all = stored.unwrap_or_default() + self.tally.get(queue, State::Running);
        Ok(u64::try_from(all).unwrap_or_default())
    }

    /// How many claims are in the window; those of a clock that was ahead count as of now.
    fn taken(&mut self, queue: &Name, group: Option<&Name>, window: i64) -> rusqlite::Result<u64> {
        let key = (queue.clone(), group.cloned());
        if let Some(known) = self.taken.get(&key) {
            return Ok(*known);
        }
        let taken: i64 = self
            .db
            .prepare_cached(
                "SELECT ifnull(sum(n), 0) FROM taken WHERE queue = ?1 AND grp = ?2 AND at > ?3",
            )?
            .query_row(
                params![
                    &**queue,
                    group.map_or("", |group| &**group),
                    self.now.0.saturating_sub(window)
                ],
                |row| row.get(0),
            )?;
        let taken = taken.unsigned_abs();
        self.taken.insert(key, taken);
        Ok(taken)
    }

    /// When the `over` oldest claims in the window have left it.
    fn room_at(
        &self,
        queue: &Name,
        group: Option<&Name>,
        window: i64,
        mut over: u64,
    ) -> rusqlite::Result<Wall> {
        let mut find = self.db.prepare_cached(
            "SELECT at, n FROM taken WHERE queue = ?1 AND grp = ?2 AND at > ?3 ORDER BY at",
        )?;
        let group = group.map_or("", |group| &**group);
        let since = self.now.0.saturating_sub(window);
        let mut rows = find.query(params![&**queue, group, since])?;
        while let Some(row) = rows.next()? {
            let (at, n): (i64, i64) = (row.get(0)?, row.get(1)?);
            over = over.saturating_sub(n.unsigned_abs());
            if over == 0 {
                return Ok(Wall(at.min(self.now.0).saturating_add(window)));
            }
        }
        Ok(self.now)
    }

    /// Counts a claim against the rates it falls under.
    pub(super) fn note_claim(&mut self, job: &Record) -> rusqlite::Result<()> {
        let queue = &job.spec.queue;
        self.note(queue, None)?;
        if let Some(group) = &job.spec.group {
            self.note(queue, Some(group))?;
            self.roomy.insert((queue.clone(), group.clone()));
        }
        Ok(())
    }

    fn note(&mut self, queue: &Name, group: Option<&Name>) -> rusqlite::Result<()> {
        let Some((_, window)) = self.bound(queue, group)?.rate else {
            return Ok(());
        };
        let window = row::millis(window);
        let before = self.taken(queue, group, window)?;
        self.taken
            .insert((queue.clone(), group.cloned()), before + 1);
        let group = group.map_or("", |group| &**group);
        self.db
            .prepare_cached("DELETE FROM taken WHERE queue = ?1 AND grp = ?2 AND at <= ?3")?
            .execute(params![&**queue, group, self.now.0.saturating_sub(window)])?;
        self.db
            .prepare_cached(
                "INSERT INTO taken (queue, grp, at, n) VALUES (?1, ?2, ?3, 1) \
                 ON CONFLICT DO UPDATE SET n = n + 1",
            )?
            .execute(params![&**queue, group, self.now.0])?;
        Ok(())
    }

    /// A job left `from`: another of its group may start in its place.
    pub(super) fn left(&mut self, job: &Record, from: State) -> rusqlite::Result<()> {
        let slot = from == State::Running && job.state != State::Running;
        if slot {
            self.hints.queue(&job.spec.queue);
        }
        if (slot || from == State::Pending)
            && let Some(group) = &job.spec.group
        {
            self.roomy.insert((job.spec.queue.clone(), group.clone()));
        }
        Ok(())
    }

    /// Takes a job out of its lane until its group may start one.
    pub(super) fn park(&self, stored: &Stored, gate: Gate) -> rusqlite::Result<()> {
        let Some(group) = &stored.job.spec.group else {
            return Ok(());
        };
        self.db
            .prepare_cached("UPDATE job SET parked = 1 WHERE n = ?1")?
            .execute([stored.n])?;
        self.block(&stored.job.spec.queue, group, gate)
    }

    fn block(&self, queue: &Name, group: &Name, gate: Gate) -> rusqlite::Result<()> {
        let until = match gate {
            Gate::Until(time) => Some(time.0),
            Gate::Open(_) | Gate::Shut => None,
        };
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO blocked (queue, grp, until, at) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![&**queue, &**group, until, self.now.0])?;
        Ok(())
    }

    /// Looks whether groups that may have room have, and brings as many of their jobs back.
    pub(super) fn unpark(&mut self) -> rusqlite::Result<()> {
        while let Some((queue, group)) = self.roomy.pop_first() {
            let blocked = self
                .db
                .prepare_cached("SELECT 1 FROM blocked WHERE queue = ?1 AND grp = ?2")?
                .exists([&*queue, &*group])?;
            if !blocked {
                continue;
            }
            let gate = self.group_gate(&queue, &group)?;
            if let Gate::Open(room) = gate {
                self.bring_back(&queue, &group, room)?;
                self.hints.queue(&queue);
            }
            if self.next_parked(&queue, &group, -1)?.is_some() {
                self.block(&queue, &group, gate)?;
            } else {
                self.db
                    .prepare_cached("DELETE FROM blocked WHERE queue = ?1 AND grp = ?2")?
                    .execute([&*queue, &*group])?;
            }
        }
        Ok(())
    }

    /// Puts up to `room` of each band back into their lanes.
    fn bring_back(&self, queue: &Name, group: &Name, room: Option<u64>) -> rusqlite::Result<()> {
        let room = room.map_or(-1, |room| i64::try_from(room).unwrap_or(i64::MAX));
        let mut after = -1;
        while let Some((band, _)) = self.next_parked(queue, group, after)? {
            self.db
                .prepare_cached(
                    "UPDATE job SET parked = 0 WHERE n IN (SELECT n FROM job \
                     WHERE state = 1 AND parked = 1 AND queue = ?1 AND grp = ?2 AND band = ?3 \
                     ORDER BY run_at, id LIMIT ?4)",
                )?
                .execute(params![&**queue, &**group, band, room])?;
            after = band;
        }
        Ok(())
    }

    /// The first band after `after` in which the group has parked jobs, and when the first of them is due.
    fn next_parked(
        &self,
        queue: &Name,
        group: &Name,
        after: i64,
    ) -> rusqlite::Result<Option<(i64, Wall)>> {
        self.db
            .prepare_cached(
                "SELECT band, run_at FROM job WHERE state = 1 AND parked = 1 AND queue = ?1 AND grp = ?2 \
                 AND band > ?3 ORDER BY band, run_at LIMIT 1",
            )?
            .query_row(params![&**queue, &**group, after], |row| {
                Ok((row.get(0)?, row.get(1).map(Wall)?))
            })
            .optional()
    }

    /// When time alone makes a job of the lane claimable.
    pub(super) fn next_due_limited(&mut self, lane: &Lane) -> rusqlite::Result<Option<Wall>> {
        let queue = self.queue_gate(&lane.queue)?;
        if queue == Gate::Shut {
            return Ok(None);
        }
        let mut due = self.head_due_limited(lane)?;
        let mut find = self.db.prepare_cached(
            "SELECT grp, until FROM blocked WHERE queue = ?1 AND until IS NOT NULL ORDER BY until",
        )?;
        let mut rows = find.query([&*lane.queue])?;
        while let Some(row) = rows.next()? {
            let until = Wall(row.get(1)?);
            if due.is_some_and(|due| due <= until) {
                break;
            }
            let group = Name::readable(row.get_ref(0)?.as_str()?);
            let band = i64::from(lane.band);
            let parked = self.next_parked(&lane.queue, &group, band - 1)?;
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
    fn head_due_limited(&mut self, lane: &Lane) -> rusqlite::Result<Option<Wall>> {
        for _ in 0..ASIDE {
            let Some((n, due, group)) = self.head(lane)? else {
                return Ok(None);
            };
            let Some(group) = group else {
                return Ok(Some(due));
            };
            let gate = self.group_gate(&lane.queue, &group)?;
            if gate.is_open() {
                return Ok(Some(due));
            }
            self.db
                .prepare_cached("UPDATE job SET parked = 1 WHERE n = ?1")?
                .execute([n])?;
            self.block(&lane.queue, &group, gate)?;
        }
        Ok(Some(self.now))
    }

    fn head(&self, lane: &Lane) -> rusqlite::Result<Option<(i64, Wall, Option<Name>)>> {
        self.db
            .prepare_cached(
                "SELECT n, run_at, grp FROM job \
                 WHERE state = 1 AND parked = 0 AND queue = ?1 AND band = ?2 ORDER BY run_at, id LIMIT 1",
            )?
            .query_row(params![&*lane.queue, lane.band], |row| {
                let group = row.get_ref(2)?.as_str_or_null()?.map(Name::readable);
                Ok((row.get(0)?, Wall(row.get(1)?), group))
            })
            .optional()
    }

    /// The earliest `run_at` of the queue's parked jobs.
    pub(super) fn oldest_parked(&self, queue: &Name) -> rusqlite::Result<Option<Wall>> {
        self.db
            .prepare_cached(
                "SELECT min(run_at) FROM job WHERE state = 1 AND parked = 1 AND queue = ?1",
            )?
            .query_row([&**queue], |row| row.get::<_, Option<i64>>(0))
            .map(|time| time.map(Wall))
    }

    /// Forgets claims that left every window.
    pub(super) fn tidy_rates(&self, limit: u32) -> rusqlite::Result<()> {
        self.db
            .prepare_cached(
                "DELETE FROM taken WHERE (queue, grp, at) IN (SELECT queue, grp, at FROM taken \
                 WHERE at <= ?1 - (SELECT max(every) FROM lim) LIMIT ?2)",
            )?
            .execute(params![self.now.0, limit])?;
        Ok(())
    }
}
