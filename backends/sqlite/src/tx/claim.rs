//! Jobs go out, in the order of (`run_at`, id) of each lane. What a limit blocks is moved out of its lane
//! when it is met, so that no claim meets it again before there is room.

use rusqlite::{CachedStatement, OptionalExtension, params};
use tideway_engine::Wall;
use tideway_engine::jobs::call::{ClaimReq, Claimed, Lane};
use tideway_engine::jobs::{Event, Kind, Name, Record, State, Unreadable, step};

use super::Tx;
use super::fronts::Fronts;
use super::limits::Gate;
use crate::row::{self, Stored, columns, links, unclaimed_columns};

/// A claim ends or parks at most this many jobs; then it returns and says that more is due.
const ASIDE: usize = 1000;

/// The row Pending → Claim of the table.
const LEASE: &str = "UPDATE job SET state = 2, attempt = ?2, token = ?3, owner = ?4, seq = ?5, lease = ?6, \
    lease_until = ?7, settled = NULL, started_at = ?8 WHERE n = ?1";

/// What is left of what was asked.
struct Room {
    jobs: usize,
    bytes: usize,
    aside: usize,
}

/// Where to go on after some rows of a lane.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// With more of this lane.
    More,
    /// With the next lane.
    Lane,
    /// Not at all.
    Stop,
}

/// How a claim stands to the newest of its owner.
enum Seq {
    New,
    Same,
    Old,
}

impl Tx<'_> {
    /// Leases due jobs to the owner.
    pub(crate) fn claim(&mut self, req: &ClaimReq) -> rusqlite::Result<Claimed> {
        self.open_gates(req.lanes.iter().map(|(lane, _)| lane))?;
        let mut fronts = Fronts::default();
        let jobs = match self.begin(req)? {
            Seq::New => self.take_jobs(req, &mut fronts)?,
            Seq::Same => self.still(req)?,
            Seq::Old => Vec::new(),
        };
        self.unpark()?;
        Ok(Claimed {
            jobs,
            next_due: self.next_due(req, &mut fronts)?,
            now: self.now,
        })
    }

    /// Notes the claim.
    fn begin(&self, req: &ClaimReq) -> rusqlite::Result<Seq> {
        let owner = row::owner(req.owner);
        let newest: Option<i64> = self
            .db
            .prepare_cached("SELECT seq FROM claimer WHERE owner = ?1 AND at > ?2")?
            .query_row(
                params![
                    owner,
                    self.now.0.saturating_sub(row::millis(ClaimReq::REMEMBERED))
                ],
                |row| row.get(0),
            )
            .optional()?;
        let newest = newest.unwrap_or_default() as u64;
        self.db
            .prepare_cached("INSERT OR REPLACE INTO claimer (owner, seq, at) VALUES (?1, ?2, ?3)")?
            .execute(params![owner, req.seq.max(newest) as i64, self.now.0])?;
        Ok(match req.seq.cmp(&newest) {
            std::cmp::Ordering::Less => Seq::Old,
            std::cmp::Ordering::Equal => Seq::Same,
            std::cmp::Ordering::Greater => Seq::New,
        })
    }

    /// What still runs of the owner's newest claim.
    fn still(&self, req: &ClaimReq) -> rusqlite::Result<Vec<Record>> {
        let mut find = self.db.prepare_cached(concat!(
            "SELECT ",
            columns!(),
            " FROM job WHERE state = 2 AND owner = ?1 AND seq = ?2 ORDER BY run_at, id"
        ))?;
        let rows = find.query_map(params![row::owner(req.owner), req.seq as i64], row::read)?;
        let mut jobs = Vec::new();
        for stored in rows {
            jobs.push(stored?.job);
        }
        // As they were given: a repeat asks for the same lanes.
        jobs.sort_by_key(|job: &Record| req.lanes.iter().position(|(lane, _)| *lane == job.lane()));
        Ok(jobs)
    }

    fn take_jobs(&mut self, req: &ClaimReq, fronts: &mut Fronts) -> rusqlite::Result<Vec<Record>> {
        let mut room = Room {
            jobs: req.limit as usize,
            bytes: req.max_bytes,
            aside: ASIDE,
        };
        let mut jobs = Vec::new();
        for (lane, max) in &req.lanes {
            let before = jobs.len();
            let most = room.jobs.min(*max as usize);
            if most == 0 || fronts.paused(self, lane)? {
                continue;
            }
            // Under limits a job comes back into its lane when one before it makes room.
            if !self.limited()? && !fronts.may_be_due(self, lane)? {
                continue;
            }
            let aside = room.aside;
            let mut next = Next::More;
            while next == Next::More && jobs.len() - before < most {
                let most = most - (jobs.len() - before);
                next = self.take_some(req, lane, most, &mut room, &mut jobs)?;
            }
            room.jobs -= jobs.len() - before;
            fronts.taken(lane);
            if room.aside != aside {
                fronts.ended();
            }
            if next == Next::Stop {
                break;
            }
        }
        Ok(jobs)
    }

    /// Claims up to `most` of the lane's first jobs.
    fn take_some(
        &mut self,
        req: &ClaimReq,
        lane: &Lane,
        most: usize,
        room: &mut Room,
        jobs: &mut Vec<Record>,
    ) -> rusqlite::Result<Next> {
        let limited = self.limited()?;
        // Under limits each job decides about the next, and a blocked one takes no room.
        let (most, bytes) = if limited {
            (1, usize::MAX)
        } else {
            (most, room.bytes)
        };
        if limited && !self.queue_gate(&lane.queue)?.is_open() {
            return Ok(Next::Lane);
        }
        let (rows, cut) = self.heads(lane, most, bytes, jobs.is_empty())?;
        if cut && rows.is_empty() {
            return Ok(Next::Stop);
        }
        let full = rows.len() == most;
        let mut aside = false;
        let db = self.db;
        let mut lease = db.prepare_cached(LEASE)?;
        jobs.reserve(rows.len());
        for mut stored in rows {
            let expired = self.expired_by_now(&stored.job);
            let gate = match &stored.job.spec.group {
                Some(group) if limited && stored.flaw.is_none() => {
                    self.group_gate(&lane.queue, group)?
                }
                _ => Gate::Open(None),
            };
            if stored.flaw.is_some() || expired || !gate.is_open() {
                if room.aside == 0 {
                    return Ok(Next::Stop);
                }
                room.aside -= 1;
                aside = true;
            }
            if let Some(why) = stored.flaw {
                self.set_aside(&mut stored, req, why)?;
            } else if !gate.is_open() {
                self.park(&stored, gate)?;
            } else if expired {
                let _ = self.apply(&mut stored, &Event::Expire)?;
                self.unpark()?;
            } else {
                let size = size(&stored.job);
                if size > room.bytes && !jobs.is_empty() {
                    return Ok(Next::Stop);
                }
                room.bytes = room.bytes.saturating_sub(size);
                if self.lease(&mut stored, req, &mut lease)? {
                    jobs.push(stored.job);
                }
            }
        }
        Ok(match (cut, full || aside) {
            (true, _) => Next::Stop,
            (false, true) => Next::More,
            (false, false) => Next::Lane,
        })
    }

    /// The first due jobs of the lane: at most `most`, and no more than fit `bytes`; whether one did not.
    /// None behind one that will be ended: its end may let another into the lane.
    fn heads(
        &self,
        lane: &Lane,
        most: usize,
        mut bytes: usize,
        mut first: bool,
    ) -> rusqlite::Result<(Vec<Stored>, bool)> {
        let mut find = self.db.prepare_cached(concat!(
            "SELECT ",
            unclaimed_columns!(),
            " FROM job WHERE state = 1 AND parked = 0 AND queue = ?1 AND band = ?2 AND run_at <= ?3 \
             ORDER BY run_at, id LIMIT ?4"
        ))?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = find.query(params![&*lane.queue, lane.band, self.now.0, most])?;
        let mut heads: Vec<Stored> = Vec::new();
        while let Some(row) = rows.next()? {
            let other = heads.last().map(|stored| &stored.job);
            let stored = match row::read_unclaimed(row, &lane.queue, other)? {
                Some(stored) => stored,
                None => self.load_row(row.get(0)?)?,
            };
            if stored.flaw.is_some() || self.expired_by_now(&stored.job) {
                heads.push(stored);
                break;
            }
            let size = size(&stored.job);
            if size > bytes && !first {
                return Ok((heads, true));
            }
            bytes = bytes.saturating_sub(size);
            first = false;
            heads.push(stored);
        }
        Ok((heads, false))
    }

    fn expired_by_now(&self, job: &Record) -> bool {
        job.expires_at().is_some_and(|time| time <= self.now)
    }

    /// The row Pending → Claim: [`step`], then what it changes and nothing else.
    fn lease(
        &mut self,
        stored: &mut Stored,
        req: &ClaimReq,
        statement: &mut CachedStatement<'_>,
    ) -> rusqlite::Result<bool> {
        if step(&mut stored.job, &lease_of(req), self.now).is_err() {
            return Ok(false);
        }
        let job = &stored.job;
        statement.execute(params![
            stored.n,
            job.attempt,
            job.token as i64,
            job.owner.map(row::owner),
            job.seq as i64,
            row::millis(job.lease),
            job.lease_until.0,
            job.started_at.map(|time| time.0),
        ])?;
        self.tally
            .moved(&job.spec.queue, State::Pending, State::Running);
        if stored.links & links::UNIQUE != 0 {
            self.release(job.id(), Kind::Claim, job.state)?;
        }
        if self.limited()? {
            self.note_claim(job)?;
        }
        Ok(true)
    }

    /// Leases a job that cannot be read, and ends the lease in the same breath.
    fn set_aside(
        &mut self,
        stored: &mut Stored,
        req: &ClaimReq,
        why: Unreadable,
    ) -> rusqlite::Result<()> {
        let _ = self.apply_alone(stored, &lease_of(req))?;
        let Some(fence) = stored.job.fence() else {
            return Ok(());
        };
        let settle = Event::Settle {
            fence,
            outcome: &why.outcome(),
            progress: None,
        };
        let _ = self.apply(stored, &settle)?;
        self.unpark()
    }

    pub(super) fn paused(&self, queue: &Name) -> rusqlite::Result<bool> {
        self.db
            .prepare_cached("SELECT 1 FROM paused WHERE queue = ?1")?
            .exists([&**queue])
    }

    /// When time alone makes a job of the lanes claimable.
    fn next_due(&mut self, req: &ClaimReq, fronts: &mut Fronts) -> rusqlite::Result<Option<Wall>> {
        let mut next: Option<Wall> = None;
        for (lane, _) in &req.lanes {
            if fronts.paused(self, lane)? {
                continue;
            }
            let due = if self.limited()? {
                self.next_due_limited(lane)?
            } else {
                fronts.due(self, lane)?
            };
            next = match (next, due) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        Ok(next)
    }

    pub(super) fn head_due(&self, lane: &Lane) -> rusqlite::Result<Option<Wall>> {
        self.db
            .prepare_cached(
                "SELECT run_at FROM job WHERE state = 1 AND parked = 0 AND queue = ?1 AND band = ?2 \
                 ORDER BY run_at, id LIMIT 1",
            )?
            .query_row(params![&*lane.queue, lane.band], |row| row.get(0).map(Wall))
            .optional()
    }
}

fn lease_of(req: &ClaimReq) -> Event<'static> {
    Event::Claim {
        owner: req.owner,
        seq: req.seq,
        lease: req.lease,
    }
}

fn size(job: &Record) -> usize {
    job.payload.len() + job.progress.len()
}
