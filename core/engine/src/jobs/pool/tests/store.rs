//! A small store over `step`, for tests of the pool: a map of records whose clock is set from outside.
//! It knows neither limits nor unique keys nor waits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::jobs::call::{
    Beat, Beaten, ClaimReq, Claimed, CronCas, CronOut, Cursor, Expired, Lane, Page, Settle, Settled,
};
use crate::jobs::cron::Cell;
use crate::jobs::{Event, Id, Kind, Name, NewJob, Owner, Record, Refused, State, step};
use crate::time::Wall;

#[derive(Default)]
pub(super) struct Store {
    pub(super) now: Wall,
    pub(super) jobs: BTreeMap<Id, Record>,
    /// How often each row of the table was applied to each job.
    pub(super) applied: BTreeMap<(Id, u8), u32>,
    pub(super) fired: Vec<Id>,
    lanes: BTreeMap<Lane, BTreeSet<(Wall, Id)>>,
    running: BTreeSet<Id>,
    owned: BTreeMap<Owner, BTreeSet<Id>>,
    newest: BTreeMap<Owner, u64>,
    cells: BTreeMap<Name, Cell>,
}

impl Store {
    pub(super) fn insert(&mut self, job: &NewJob) -> bool {
        let record = Record::accepted(job, Vec::new(), self.now);
        let id = record.id();
        let fresh = !self.jobs.contains_key(&id);
        if fresh {
            self.index(&record);
            self.jobs.insert(id, record);
        }
        fresh
    }

    pub(super) fn count(&self, state: State) -> usize {
        self.jobs.values().filter(|job| job.state == state).count()
    }

    /// How often a row was applied to a job.
    pub(super) fn times(&self, id: Id, kind: Kind) -> u32 {
        self.applied.get(&(id, kind as u8)).copied().unwrap_or(0)
    }

    pub(super) fn event(&mut self, id: Id, event: &Event<'_>) -> Option<Result<Kind, Refused>> {
        let mut record = self.jobs.remove(&id)?;
        self.unindex(&record);
        let out = step(&mut record, event, self.now);
        self.index(&record);
        self.jobs.insert(id, record);
        if let Ok(kind) = out {
            *self.applied.entry((id, kind as u8)).or_default() += 1;
        }
        Some(out)
    }

    fn index(&mut self, job: &Record) {
        match job.state {
            State::Pending => {
                let lane = self.lanes.entry(job.lane()).or_default();
                lane.insert((job.run_at, job.id()));
            }
            State::Running => {
                self.running.insert(job.id());
            }
            _ => {}
        }
        if let Some(owner) = job.owner {
            self.owned.entry(owner).or_default().insert(job.id());
        }
    }

    fn unindex(&mut self, job: &Record) {
        if let Some(lane) = self.lanes.get_mut(&job.lane()) {
            lane.remove(&(job.run_at, job.id()));
        }
        self.running.remove(&job.id());
        if let Some(owned) = job.owner.and_then(|owner| self.owned.get_mut(&owner)) {
            owned.remove(&job.id());
        }
    }

    pub(super) fn claim(&mut self, req: &ClaimReq) -> Claimed {
        let newest = self.newest.entry(req.owner).or_default();
        let repeat = req.seq == *newest;
        let old = req.seq < *newest;
        *newest = req.seq.max(*newest);
        let mut jobs = Vec::new();
        if repeat {
            let owned = self.owned.get(&req.owner).into_iter().flatten();
            let same = |job: &&Record| job.state == State::Running && job.seq == req.seq;
            jobs.extend(owned.map(|id| &self.jobs[id]).filter(same).cloned());
        } else if !old {
            let mut bytes = 0;
            for (lane, max) in &req.lanes {
                let left = (req.limit as usize - jobs.len()).min(*max as usize);
                let due = self.lanes.get(lane).into_iter().flatten();
                let due: Vec<Id> = due
                    .take_while(|(at, _)| *at <= self.now)
                    .take(left)
                    .map(|(_, id)| *id)
                    .collect();
                for id in due {
                    bytes += self.jobs[&id].payload.len() + self.jobs[&id].progress.len();
                    if bytes > req.max_bytes && !jobs.is_empty() {
                        break;
                    }
                    let (owner, seq, lease) = (req.owner, req.seq, req.lease);
                    self.event(id, &Event::Claim { owner, seq, lease });
                    jobs.push(self.jobs[&id].clone());
                }
            }
        }
        let lanes = req
            .lanes
            .iter()
            .filter_map(|(lane, _)| self.lanes.get(lane));
        let next_due = lanes.filter_map(|lane| Some(lane.first()?.0)).min();
        Claimed {
            jobs,
            next_due,
            now: self.now,
        }
    }

    pub(super) fn settle(&mut self, settles: &[Settle]) -> Vec<Settled> {
        let one = |settle: &Settle| {
            let event = Event::Settle {
                fence: settle.fence,
                outcome: &settle.outcome,
                progress: settle.progress.as_ref(),
            };
            match self.event(settle.id, &event) {
                None => Settled::NotFound,
                Some(Ok(kind)) => {
                    for job in &settle.then {
                        self.insert(job);
                    }
                    Settled::Applied(kind)
                }
                Some(Err(Refused::Settled(kind))) => Settled::Already(kind),
                Some(Err(Refused::Fenced)) => Settled::Fenced,
                Some(Err(_)) => Settled::Refused,
            }
        };
        settles.iter().map(one).collect()
    }

    pub(super) fn beat(&mut self, beats: &[Beat], lease: Duration) -> Vec<Beaten> {
        let one = |beat: &Beat| {
            let (fence, progress) = (beat.fence, beat.progress.as_ref());
            let event = Event::Beat {
                fence,
                lease,
                progress,
            };
            match self.event(beat.id, &event) {
                Some(Ok(_)) => Beaten::Alive {
                    cancel: self.jobs[&beat.id].cancel,
                },
                _ => Beaten::Lost,
            }
        };
        beats.iter().map(one).collect()
    }

    pub(super) fn expired(&self, after: &Cursor, limit: u32) -> Page<Expired> {
        let after: Option<Id> = after.0.as_ref().map(|text| text.parse().unwrap());
        let lapsed = |id: &&Id| Some(**id) > after && self.jobs[*id].lapsed(self.now);
        let ids = self.running.iter().filter(lapsed).take(limit as usize);
        let items: Vec<Expired> = ids.map(|id| self.expired_one(&self.jobs[id])).collect();
        let full = items.len() == limit as usize;
        let next = items.last().filter(|_| full);
        Page {
            next: next.map(|last| Cursor(Some(last.id.to_string().into()))),
            items,
            now: self.now,
        }
    }

    fn expired_one(&self, job: &Record) -> Expired {
        let crashes = |job: &Record| if job.moved { 0 } else { job.crashes };
        let owner = job.owner.unwrap();
        let peer = |peer: &&Record| {
            peer.id() != job.id()
                && match peer.state {
                    State::Running => crashes(peer) >= crashes(job),
                    State::Pending if peer.settled == Some(Kind::Crash) => {
                        peer.crashes > crashes(job)
                    }
                    _ => false,
                }
        };
        let peers = self.owned[&owner].iter().map(|id| &self.jobs[id]);
        Expired {
            id: job.id(),
            fence: crate::jobs::Fence {
                token: job.token,
                owner,
            },
            lease_until: job.lease_until,
            lease: job.lease,
            crashes: crashes(job),
            peers_at_or_above: peers.filter(peer).count() as u32,
            abandoned: job.abandoned,
        }
    }

    pub(super) fn cron_cell(&self, key: &Name) -> CronOut {
        CronOut {
            won: false,
            cell: self.cells.get(key).cloned(),
            now: self.now,
        }
    }

    pub(super) fn cron_cas(&mut self, cas: &CronCas) -> CronOut {
        let cell = self.cells.get(&cas.key);
        let won = cell.map(|cell| cell.slot) == cas.prev
            && cell.is_none_or(|cell| cell.rev <= cas.next.rev);
        if won {
            self.cells.insert(cas.key.clone(), cas.next.clone());
            for job in &cas.jobs {
                assert!(self.insert(job), "a slot fired twice");
                self.fired.push(job.spec.id);
            }
        }
        CronOut {
            won,
            ..self.cron_cell(&cas.key)
        }
    }
}
