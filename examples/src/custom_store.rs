//! A job store of our own in one file: what is in the guide `docs/guide/custom-job-store.md`, complete.
//!
//! Every record that a call changes is one line of JSON, appended and synced before the call is
//! answered; opening the file reads the lines again, the last of an id counts. One process, no unique keys, no
//! limits, no cron: `caps` says so, and workers ask for none of it. All jobs survive a restart, but not which claim was
//! whose last, so `caps` does not promise durability. It has no rule of its own: what may happen to a record is [`step`].

mod journal;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tideway::Wall;
use tideway::jobs::call::{
    AuditReport, Beat, Beaten, Caps, ClaimReq, Claimed, Control, ControlOut, Cursor, Enqueued,
    Expired, Left, Page, QueueStats, Select, Settle, Settled, Stats,
};
use tideway::jobs::{
    Event, Id, JobStore, Kind, Name, NewJob, Owner, Record, Refused, State, StoreClock, StoreError,
    step,
};

use journal::{Changes, Journal};

/// Jobs in one file of one process. Clones share it.
#[derive(Clone)]
pub struct FileStore(Arc<Mutex<Inner>>);

struct Inner {
    journal: Journal,
    clock: StoreClock,
    records: BTreeMap<Id, Record>,
    /// The newest claim of each owner: a repeat of it claims nothing more. Owners end with the process.
    claims: BTreeMap<Owner, u64>,
}

impl FileStore {
    /// Opens or creates the file.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written, or a line in it is damaged.
    pub fn open(path: &Path, clock: StoreClock) -> Result<Self, StoreError> {
        let (journal, records) = Journal::open(path)?;
        Ok(Self(Arc::new(Mutex::new(Inner {
            journal,
            clock,
            records,
            claims: BTreeMap::new(),
        }))))
    }

    /// Runs one call; what it changed is in the file before anybody sees it.
    fn call<T>(&self, run: impl FnOnce(&mut Tx<'_>) -> T) -> Result<T, StoreError> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tx = Tx {
            now: (inner.clock)(),
            inner: &inner,
            changed: Changes::new(),
            claim: None,
        };
        let answer = run(&mut tx);
        let (changed, claim) = (tx.changed, tx.claim);
        inner.journal.append(&changed)?;
        journal::apply(&mut inner.records, changed);
        inner.claims.extend(claim);
        Ok(answer)
    }
}

/// One call: the records as they were, and over them what it changed.
struct Tx<'a> {
    inner: &'a Inner,
    now: Wall,
    changed: Changes,
    claim: Option<(Owner, u64)>,
}

impl Tx<'_> {
    fn get(&self, id: Id) -> Option<&Record> {
        match self.changed.get(&id) {
            Some(changed) => changed.as_ref(),
            None => self.inner.records.get(&id),
        }
    }

    /// All records, as they were before this call.
    fn before(&self) -> impl Iterator<Item = &Record> {
        self.inner.records.values()
    }

    fn late(&self, job: &Record) -> bool {
        job.state == State::Pending && job.expires_at().is_some_and(|at| at <= self.now)
    }

    /// Lets something happen to a record; `None` if there is no such record.
    fn step(&mut self, id: Id, event: &Event<'_>) -> Option<Result<Kind, Refused>> {
        let mut job = self.get(id)?.clone();
        let applied = step(&mut job, event, self.now);
        if applied.is_ok() {
            self.changed.insert(id, Some(job));
        }
        Some(applied)
    }

    fn enqueue(&mut self, new: &NewJob) -> Enqueued {
        match self.get(new.spec.id) {
            Some(there) if there.digest == new.digest() => Enqueued::Duplicate,
            Some(_) => Enqueued::IdConflict,
            None => {
                let job = Record::accepted(new, Vec::new(), self.now);
                self.changed.insert(job.id(), Some(job));
                Enqueued::Inserted
            }
        }
    }

    fn claim(&mut self, req: &ClaimReq) -> Claimed {
        let newest = self.inner.claims.get(&req.owner).copied().unwrap_or(0);
        let mut ids = Vec::new();
        if req.seq > newest {
            self.claim = Some((req.owner, req.seq));
            ids = self.due(req);
        } else if req.seq == newest {
            let ours = |job: &&Record| {
                job.state == State::Running && job.owner == Some(req.owner) && job.seq == req.seq
            };
            ids.extend(self.before().filter(ours).map(Record::id));
        }
        let jobs: Vec<Record> = ids.iter().filter_map(|id| self.get(*id).cloned()).collect();
        let asked = |job: &&Record| req.lanes.iter().any(|(lane, _)| *lane == job.lane());
        let left = self
            .before()
            .filter(|job| job.state == State::Pending)
            .filter(asked);
        let next_due = left
            .filter(|job| !ids.contains(&job.id()))
            .map(|job| job.run_at)
            .min();
        Claimed {
            jobs,
            next_due,
            now: self.now,
        }
    }

    /// Claims what is due, lane by lane, each by `run_at` and id.
    fn due(&mut self, req: &ClaimReq) -> Vec<Id> {
        let (owner, seq, lease) = (req.owner, req.seq, req.lease);
        let mut taken = Vec::new();
        let mut bytes = 0;
        for (lane, max) in &req.lanes {
            let mut due: Vec<(Wall, Id, usize)> = self
                .before()
                .filter(|job| job.state == State::Pending && job.run_at <= self.now)
                .filter(|job| job.lane() == *lane && !self.changed.contains_key(&job.id()))
                .map(|job| (job.run_at, job.id(), job.payload.len() + job.progress.len()))
                .collect();
            due.sort_unstable();
            let mut of_lane = 0;
            for (_, id, size) in due {
                if self.get(id).is_some_and(|job| self.late(job)) {
                    self.step(id, &Event::Expire);
                    continue;
                }
                let full = taken.len() >= req.limit as usize || of_lane >= *max;
                if full || !taken.is_empty() && bytes + size > req.max_bytes {
                    break;
                }
                if let Some(Ok(_)) = self.step(id, &Event::Claim { owner, seq, lease }) {
                    taken.push(id);
                    bytes += size;
                    of_lane += 1;
                }
            }
        }
        taken
    }

    fn settle(&mut self, settle: &Settle) -> Settled {
        let event = Event::Settle {
            fence: settle.fence,
            outcome: &settle.outcome,
            progress: settle.progress.as_ref(),
        };
        let Some(stepped) = self.step(settle.id, &event) else {
            return Settled::NotFound;
        };
        if stepped.is_ok() {
            for next in &settle.then {
                self.enqueue(next);
            }
        }
        stepped.into()
    }

    fn beat(&mut self, beat: &Beat, lease: Duration) -> Beaten {
        let event = Event::Beat {
            fence: beat.fence,
            lease,
            progress: beat.progress.as_ref(),
        };
        match self.step(beat.id, &event) {
            Some(Ok(_)) => Beaten::Alive {
                cancel: self.get(beat.id).is_some_and(|job| job.cancel),
            },
            _ => Beaten::Lost,
        }
    }

    fn expired(&self, after: &Cursor, limit: u32) -> Page<Expired> {
        let after: Option<Id> = after.0.as_deref().and_then(|text| text.parse().ok());
        let mut lapsed = self
            .before()
            .filter(|job| job.state == State::Running && job.lapsed(self.now))
            .filter(|job| Some(job.id()) > after);
        let items: Vec<Expired> = lapsed
            .by_ref()
            .take(limit as usize)
            .filter_map(|job| self.lapse(job))
            .collect();
        let last = items
            .last()
            .map(|item| Cursor(Some(item.id.to_string().into())));
        Page {
            next: lapsed.next().and(last),
            items,
            now: self.now,
        }
    }

    fn lapse(&self, job: &Record) -> Option<Expired> {
        let peers = self
            .before()
            .filter(|other| other.id() != job.id() && other.owner == job.owner)
            .filter(|other| other.crashes_when_held() >= job.crashes_when_held());
        Expired::of(job, u32::try_from(peers.count()).unwrap_or(u32::MAX))
    }

    fn control(&mut self, control: &Control) -> Result<ControlOut, StoreError> {
        let Control::Cancel(Select::Ids(ids)) = control else {
            return Err(StoreError::Unsupported("any control but a cancel of ids"));
        };
        let mut out = ControlOut::default();
        for id in ids {
            match (self.step(*id, &Event::Cancel), self.get(*id)) {
                (Some(Ok(_)), _) => out.done.push(*id),
                (_, Some(job)) => out.left.push((*id, Left::State(job.state))),
                (_, None) => out.left.push((*id, Left::NotFound)),
            }
        }
        Ok(out)
    }

    fn stats(&self) -> Stats {
        let mut queues: BTreeMap<Name, QueueStats> = BTreeMap::new();
        for job in self.before() {
            let queue = &job.spec.queue;
            let stats = queues
                .entry(queue.clone())
                .or_insert_with(|| QueueStats::empty(queue.clone()));
            *stats.count(job.state) += 1;
            let due = (job.state == State::Pending).then_some(job.run_at);
            stats.oldest = stats.oldest.into_iter().chain(due).min();
        }
        Stats {
            queues: queues.into_values().collect(),
            now: self.now,
        }
    }
}

impl JobStore for FileStore {
    fn caps(&self) -> Caps {
        Caps::default()
    }

    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        self.call(|tx| jobs.iter().map(|job| tx.enqueue(job)).collect())
    }
    async fn claim(&self, req: &ClaimReq) -> Result<Claimed, StoreError> {
        self.call(|tx| tx.claim(req))
    }
    async fn settle(&self, settles: &[Settle]) -> Result<Vec<Settled>, StoreError> {
        self.call(|tx| settles.iter().map(|settle| tx.settle(settle)).collect())
    }
    async fn heartbeat(&self, beats: &[Beat], lease: Duration) -> Result<Vec<Beaten>, StoreError> {
        self.call(|tx| beats.iter().map(|beat| tx.beat(beat, lease)).collect())
    }
    async fn expired(&self, after: &Cursor, limit: u32) -> Result<Page<Expired>, StoreError> {
        self.call(|tx| tx.expired(after, limit))
    }
    async fn control(&self, control: &Control) -> Result<ControlOut, StoreError> {
        self.call(|tx| tx.control(control))?
    }
    async fn jobs(&self, ids: &[Id]) -> Result<Vec<Option<Record>>, StoreError> {
        self.call(|tx| ids.iter().map(|id| tx.get(*id).cloned()).collect())
    }
    async fn stats(&self) -> Result<Stats, StoreError> {
        self.call(|tx| tx.stats())
    }

    async fn prune(&self, limit: u32) -> Result<u64, StoreError> {
        self.call(|tx| {
            let (late, over): (Vec<_>, Vec<_>) = tx
                .before()
                .filter(|job| tx.late(job) || job.forget_at().is_some_and(|at| at <= tx.now))
                .take(limit as usize)
                .map(|job| (job.id(), job.state.ended()))
                .partition(|(_, ended)| !ended);
            tx.changed = over.iter().map(|(id, _)| (*id, None)).collect();
            for (id, _) in &late {
                tx.step(*id, &Event::Expire);
            }
            (late.len() + over.len()) as u64
        })
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        self.call(|tx| AuditReport {
            checked: tx.before().count() as u64,
            flaws: Vec::new(),
        })
    }
}
