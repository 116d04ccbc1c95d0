//! Jobs go out. A lane is taken from in the order of (`run_at`, id); what a limit blocks is not in it.

use tideway_engine::Wall;
use tideway_engine::jobs::call::{ClaimReq, Claimed, Lane};
use tideway_engine::jobs::{Event, Id, Kind, Record, State, step};

use super::Model;
use super::owners::Seq;

/// A claim ends at most this many expired jobs; then it returns and says that more is due.
const EXPIRED: usize = 1000;

/// What is left of what was asked.
struct Room {
    jobs: usize,
    bytes: usize,
    expired: usize,
}

impl Model {
    /// Leases due jobs to the owner.
    pub fn claim(&mut self, req: &ClaimReq, now: Wall) -> Claimed {
        self.hints.clear();
        self.tick(now);
        self.ahead = self.ahead.max(now);
        let jobs = match self.owners.begin(req.owner, req.seq, now) {
            Seq::New => self.take(req, now),
            Seq::Same(ids) => self.still(req, &ids),
            Seq::Old => Vec::new(),
        };
        Claimed {
            jobs,
            next_due: self.next_due(&req.lanes, now),
            now,
        }
    }

    /// When the earliest pending job of `lanes` falls due that time alone makes claimable: none of a paused
    /// queue, none that waits for another to end. A job whose rate is used up falls due when the window has
    /// room.
    pub fn next_due(&mut self, lanes: &[(Lane, u32)], now: Wall) -> Option<Wall> {
        self.tick(now);
        let due = lanes.iter().filter_map(|(lane, _)| {
            let queue = self.index.queues.get_mut(&lane.queue)?;
            queue.forget_idle(now);
            queue.next_due(lane.band, now)
        });
        due.min()
    }

    fn take(&mut self, req: &ClaimReq, now: Wall) -> Vec<Record> {
        let mut room = Room {
            jobs: req.limit as usize,
            bytes: req.max_bytes,
            expired: EXPIRED,
        };
        let mut jobs = Vec::new();
        for (lane, max) in &req.lanes {
            let most = jobs.len() + room.jobs.min(*max as usize);
            let before = jobs.len();
            let more = self.take_lane(req, lane, most, &mut room, &mut jobs, now);
            room.jobs -= jobs.len() - before;
            if !more {
                break;
            }
        }
        let ids = jobs.iter().map(Record::id).collect();
        self.owners.claimed(req.owner, ids);
        jobs
    }

    /// Claims from `lane` until there are `most` jobs; false if the next lane shall not be looked at.
    fn take_lane(
        &mut self,
        req: &ClaimReq,
        lane: &Lane,
        most: usize,
        room: &mut Room,
        jobs: &mut Vec<Record>,
        now: Wall,
    ) -> bool {
        while jobs.len() < most {
            let queue = self.index.queues.get_mut(&lane.queue);
            let Some((_, id)) = queue.and_then(|queue| queue.head(lane.band, now)) else {
                return true;
            };
            let Some(job) = self.records.get_mut(&id) else {
                return true;
            };
            if job.expires_at().is_some_and(|time| time <= now) {
                if room.expired == 0 {
                    return false;
                }
                room.expired -= 1;
                let _ = self.apply(id, &Event::Expire, now);
                continue;
            }
            let size = job.payload.len() + job.progress.len();
            if size > room.bytes && !jobs.is_empty() {
                return false;
            }
            room.bytes = room.bytes.saturating_sub(size);
            let claim = Event::Claim {
                owner: req.owner,
                seq: req.seq,
                lease: req.lease,
            };
            // As `apply`, of which a claim needs little, without looking for the record twice.
            if self
                .index
                .change(job, |job| step(job, &claim, now))
                .is_err()
            {
                return true;
            }
            self.holds.after(job, Kind::Claim);
            jobs.push((**job).clone());
            self.index
                .queue(&lane.queue)
                .claimed(job.spec.group.as_ref(), now);
        }
        true
    }

    /// Those of `ids` that still run under the claim they were given with.
    fn still(&self, req: &ClaimReq, ids: &[Id]) -> Vec<Record> {
        let jobs = ids.iter().filter_map(|id| self.job(*id));
        jobs.filter(|job| {
            let ours = job.owner == Some(req.owner) && job.seq == req.seq;
            ours && job.state == State::Running
        })
        .cloned()
        .collect()
    }

    /// Notices that the clock went back: a rate would block until it is where it was.
    fn tick(&mut self, now: Wall) {
        if now < self.last {
            for queue in self.index.queues.values_mut() {
                queue.rewind(now);
            }
        }
        self.last = now;
    }
}
