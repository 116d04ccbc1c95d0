//! Jobs go out where there are limits, or something in a lane must be ended first. In the order of (`run_at`,
//! id) of each lane. What a limit blocks is moved out of its lane when it is met, so that no claim meets it again
//! before there is room.

use std::collections::BTreeSet;

use tideway_engine::Wall;
use tideway_engine::jobs::call::{ClaimReq, Claimed, Lane};
use tideway_engine::jobs::{Event, Id, Name, Owner, Record, State, Unreadable};
use tokio_postgres::types::Type;

use super::limits::Gate;
use super::{Call, Tx};
use crate::error::Failed;
use crate::row::{self, COLUMNS, Stored};
use crate::sql::{Bits, Param};

/// A claim ends or parks at most this many jobs; then it returns and says that more is due.
const ASIDE: usize = 1000;

/// Leases due jobs to the owner.
pub(crate) struct Claim<'a>(pub(crate) &'a ClaimReq);

/// Ends the leases of jobs that were claimed and cannot be read.
pub(crate) struct SetAside<'a>(pub(crate) &'a [Id], pub(crate) Owner);

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

impl Call for Claim<'_> {
    type Out = Claimed;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Claimed, Failed> {
        let req = self.0;
        let queues: BTreeSet<Name> = req
            .lanes
            .iter()
            .map(|(lane, _)| lane.queue.clone())
            .collect();
        let queues: Vec<Name> = queues.into_iter().collect();
        tx.lock_limits(Some(&queues)).await?;
        if tx.limited() {
            tx.open_gates(&queues).await?;
        }
        let newest = tx.begin_claim(req).await?;
        let jobs = match req.seq.cmp(&newest) {
            std::cmp::Ordering::Greater => tx.take_jobs(req).await?,
            std::cmp::Ordering::Equal => tx.still(req).await?,
            std::cmp::Ordering::Less => Vec::new(),
        };
        tx.unpark().await?;
        tx.flush().await?;
        let next_due = tx.next_due(req).await?;
        tx.flush_notes().await?;
        Ok(Claimed {
            jobs,
            next_due,
            now: tx.now,
        })
    }
}

impl Call for SetAside<'_> {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Failed> {
        tx.lock_limits(None).await?;
        tx.load_all(self.0.iter().copied()).await?;
        for id in self.0 {
            if let Some(mut stored) = tx.load(*id).await?
                && stored.job.state == State::Running
                && stored.job.owner == Some(self.1)
                && let Some(why) = stored.flaw
            {
                tx.set_aside(&mut stored, why).await?;
            }
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// Notes the claim; the owner's newest before it.
    async fn begin_claim(&mut self, req: &ClaimReq) -> Result<u64, Failed> {
        let owner = Bits(req.owner.0);
        let sql = "INSERT INTO {s}.claimer VALUES ($1, 0, $2) ON CONFLICT DO NOTHING";
        let params: [Param<'_>; 2] = [(&owner, Type::UUID), (&self.now.0, Type::INT8)];
        self.query(sql, &params).await?;
        let sql = "SELECT CASE WHEN at <= $2 THEN 0 ELSE seq END FROM {s}.claimer WHERE owner = $1 FOR UPDATE";
        let old = self.now.0.saturating_sub(row::millis(ClaimReq::REMEMBERED));
        let rows = self
            .query(sql, &[(&owner, Type::UUID), (&old, Type::INT8)])
            .await?;
        let newest = rows
            .first()
            .map(|row| row.try_get::<_, i64>(0))
            .transpose()?;
        let newest = newest.unwrap_or_default() as u64;
        let sql = "UPDATE {s}.claimer SET seq = $2, at = $3 WHERE owner = $1";
        let seq = req.seq.max(newest) as i64;
        let params: [Param<'_>; 3] = [
            (&owner, Type::UUID),
            (&seq, Type::INT8),
            (&self.now.0, Type::INT8),
        ];
        self.query(sql, &params).await?;
        Ok(newest)
    }

    /// What still runs of the owner's newest claim.
    async fn still(&mut self, req: &ClaimReq) -> Result<Vec<Record>, Failed> {
        let sql =
            format!("SELECT {COLUMNS} FROM {{s}}.job WHERE state = 2 AND owner = $1 AND seq = $2");
        let params: [Param<'_>; 2] = [
            (&Bits(req.owner.0), Type::UUID),
            (&(req.seq as i64), Type::INT8),
        ];
        let rows = self.query(&sql, &params).await?;
        let mut jobs = Vec::with_capacity(rows.len());
        for row in &rows {
            jobs.push(row::read(row)?.job);
        }
        sort(&mut jobs, req);
        Ok(jobs)
    }

    async fn take_jobs(&mut self, req: &ClaimReq) -> Result<Vec<Record>, Failed> {
        let mut room = Room {
            jobs: req.limit as usize,
            bytes: req.max_bytes,
            aside: ASIDE,
        };
        let mut jobs = Vec::new();
        for (lane, max) in &req.lanes {
            let before = jobs.len();
            let most = room.jobs.min(*max as usize);
            if most == 0 {
                continue;
            }
            let mut next = Next::More;
            while next == Next::More && jobs.len() - before < most {
                let most = most - (jobs.len() - before);
                next = self
                    .take_some(req, lane, most, &mut room, &mut jobs)
                    .await?;
            }
            room.jobs -= jobs.len() - before;
            if next == Next::Stop {
                break;
            }
        }
        Ok(jobs)
    }

    /// Claims up to `most` of the lane's first jobs.
    async fn take_some(
        &mut self,
        req: &ClaimReq,
        lane: &Lane,
        most: usize,
        room: &mut Room,
        jobs: &mut Vec<Record>,
    ) -> Result<Next, Failed> {
        let mut wanted = most;
        if self.limited() {
            match self.gate(&lane.queue, None).await? {
                Gate::Open(Some(few)) => wanted = most.min(usize::try_from(few).unwrap_or(most)),
                Gate::Open(None) => {}
                Gate::Until(_) | Gate::Shut => return Ok(Next::Lane),
            }
        }
        let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
        let heads = self.heads(lane, limit).await?;
        let mut aside = false;
        for id in &heads {
            let Some(mut stored) = self.load(*id).await? else {
                continue;
            };
            let expired = stored.job.expires_at().is_some_and(|time| time <= self.now);
            let gate = match stored.job.spec.group.clone() {
                Some(group) if self.limited() && stored.flaw.is_none() => {
                    self.gate(&lane.queue, Some(&group)).await?
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
                let _ = self.apply_alone(&mut stored, &lease_of(req)).await?;
                self.set_aside(&mut stored, why).await?;
                // The end of one may let another into the lane.
                return Ok(Next::More);
            }
            if !gate.is_open() {
                self.park(stored, gate).await?;
                continue;
            }
            if expired {
                let _ = self.apply(&mut stored, &Event::Expire).await?;
                self.unpark().await?;
                return Ok(Next::More);
            }
            let size = stored.job.payload.len() + stored.job.progress.len();
            if size > room.bytes && !jobs.is_empty() {
                return Ok(Next::Stop);
            }
            room.bytes = room.bytes.saturating_sub(size);
            if self.apply_alone(&mut stored, &lease_of(req)).await?.is_ok() {
                if self.limited() {
                    self.note_claim(&stored.job).await?;
                }
                jobs.push(stored.job);
            }
        }
        if heads.len() == wanted || aside {
            return Ok(Next::More);
        }
        self.dry.insert(lane.clone());
        Ok(Next::Lane)
    }

    /// Locks and reads the first due jobs of a lane; none if its queue is paused.
    async fn heads(&mut self, lane: &Lane, most: i64) -> Result<Vec<Id>, Failed> {
        self.flush().await?;
        let band = i16::from(lane.band);
        let params: [Param<'_>; 4] = [
            (&&*lane.queue, Type::TEXT),
            (&band, Type::INT2),
            (&self.now.0, Type::INT8),
            (&most, Type::INT8),
        ];
        let rows = self
            .query("SELECT unnest({s}.lane_1($1, $2, $3, $4))", &params)
            .await?;
        let ids = Self::ids(&rows)?;
        // What was not there before may be by now.
        self.rows.retain(|_, stored| stored.is_some());
        self.load_all(ids.iter().copied()).await?;
        let keys = ids.iter().filter_map(|id| {
            let spec = &self.rows.get(id)?.as_ref()?.job.spec;
            Some((spec.queue.clone(), spec.unique.as_ref()?.key.clone()))
        });
        let keys: Vec<(Name, Name)> = keys.collect();
        self.load_holds(keys).await?;
        Ok(ids)
    }

    /// When what is left of a lane falls due at the earliest: what came since it was dry is behind this claim.
    fn floor(&self, lane: &Lane) -> i64 {
        match self.dry.contains(lane) {
            true => self.now.0.saturating_add(1),
            false => i64::MIN,
        }
    }

    /// Locks and reads the first jobs that are left of a lane, due or not.
    pub(super) async fn later_heads(&mut self, lane: &Lane, most: i64) -> Result<Vec<Id>, Failed> {
        self.flush().await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM {{s}}.job WHERE state = 1 AND NOT parked AND queue = $1 AND band = $2 \
             AND run_at >= $3 ORDER BY run_at, id LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED"
        );
        let band = i16::from(lane.band);
        let params: [Param<'_>; 4] = [
            (&&*lane.queue, Type::TEXT),
            (&band, Type::INT2),
            (&self.floor(lane), Type::INT8),
            (&most, Type::INT8),
        ];
        let rows = self.query(&sql, &params).await?;
        self.keep(&rows)
    }

    /// Ends the lease of a job that cannot be read.
    async fn set_aside(&mut self, stored: &mut Stored, why: Unreadable) -> Result<(), Failed> {
        let Some(fence) = stored.job.fence() else {
            return Ok(());
        };
        let settle = Event::Settle {
            fence,
            outcome: &why.outcome(),
            progress: None,
        };
        let _ = self.apply(stored, &settle).await?;
        self.unpark().await
    }

    /// When time alone makes a job of the lanes claimable.
    async fn next_due(&mut self, req: &ClaimReq) -> Result<Option<Wall>, Failed> {
        let mut next: Option<Wall> = None;
        let lanes: BTreeSet<&Lane> = req.lanes.iter().map(|(lane, _)| lane).collect();
        for lane in lanes {
            let sql = "SELECT 1 FROM {s}.paused WHERE queue = $1";
            let due = if !self
                .query(sql, &[(&&*lane.queue, Type::TEXT)])
                .await?
                .is_empty()
            {
                None
            } else if self.limited() {
                self.next_due_limited(lane).await?
            } else {
                self.head_due(lane).await?
            };
            next = match (next, due) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        Ok(next)
    }

    async fn head_due(&self, lane: &Lane) -> Result<Option<Wall>, Failed> {
        let sql = "SELECT run_at FROM {s}.job WHERE state = 1 AND NOT parked AND queue = $1 AND band = $2 \
                   AND run_at >= $3 ORDER BY run_at, id LIMIT 1";
        let band = i16::from(lane.band);
        let params: [Param<'_>; 3] = [
            (&&*lane.queue, Type::TEXT),
            (&band, Type::INT2),
            (&self.floor(lane), Type::INT8),
        ];
        let rows = self.query(sql, &params).await?;
        let due: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?;
        Ok(due.map(Wall))
    }
}

fn lease_of(req: &ClaimReq) -> Event<'static> {
    Event::Claim {
        owner: req.owner,
        seq: req.seq,
        lease: req.lease,
    }
}

/// Brings the jobs of a repeat into the order in which they were given: it asks for the same lanes.
pub(crate) fn sort(jobs: &mut [Record], req: &ClaimReq) {
    jobs.sort_by_key(|job| {
        let at = req.lanes.iter().position(|(lane, _)| *lane == job.lane());
        (at, job.run_at, job.id())
    });
}
