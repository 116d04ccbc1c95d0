//! One worker's policy: what it asks of the store, what it starts, what it stops, and when. A pure
//! machine; it never waits, stores or runs a handler.
//!
//! - **Inputs**: [`Pool::input`] with the time: answers of the store, ends of handlers, hints, the clock alone.
//! - **Outputs**: [`Pool::poll`] until it returns `None`, after one input or several. Calls to the store are
//!   carried out and answered by an input each; at most one of a kind is in flight, and one that fails
//!   is sent again the same.
//! - **Questions**: [`Pool::poll_timeout`]: when it wants the clock, and what for.
//!
//! There is no leader: every pool reaps, prunes and evaluates cron, the store lets one win. What a pool knows
//! of the store's clock is only what answers say; all its deadlines are on its own monotonic clock.

mod config;
mod end;
mod held;
mod lanes;
mod line;
mod output;
mod reaper;
mod schedule;
mod settling;
mod stop;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

pub use config::{ConfigError, CronJob, Order, PoolConfig, Share};
pub use end::End;
pub use output::{Call, Input, Note, Output, PoolReport, Run};
pub use stop::Phase;

use super::call::{Beat, Beaten, ClaimReq, Claimed, Settle, Wake};
use super::step::Outcome;
use super::{Id, Owner, Record};
use crate::map::{Keyed, Map};
use crate::rng::{Rng, Seed};
use crate::time::{Mono, Wall};
use held::{Alarms, Held, Stage, Why};
use lanes::Lanes;
use line::Line;
use reaper::Reaper;
use schedule::Crontab;

/// One worker: see the module's page for the four kinds of methods.
#[derive(Debug)]
pub struct Pool {
    config: PoolConfig,
    owner: Owner,
    rng: Rng,
    now: Mono,
    /// The store's clock and when it was read.
    store: Option<(Wall, Mono)>,
    phase: Phase,
    begun: Mono,
    held: Map<Id, Held>,
    alarms: Alarms,
    /// Jobs whose handlers run; each has a slot.
    busy: u32,
    /// Handlers that could not be stopped: their slots come back when they end.
    leaked: BTreeSet<Run>,
    /// The serial of the next handler.
    runs: u64,
    lanes: Lanes,
    suspects: Suspects,
    seq: u64,
    /// Look at the next opportunity.
    hungry: bool,
    next_look: Mono,
    claim: Line<ClaimReq>,
    settle: Line<Vec<Settle>>,
    queued: VecDeque<Settle>,
    beat: Line<Vec<Beat>>,
    next_beat: Mono,
    /// When checkpoints are stored that no beat has carried yet.
    next_checkpoint: Option<Mono>,
    /// Whose beats wait for a call, in order; each at most once (see [`Held::beating`]).
    round: VecDeque<Id>,
    next_leases: Mono,
    reaper: Reaper,
    prune: Line<()>,
    next_prune: Mono,
    cron: Crontab,
    out: VecDeque<Output>,
    /// There was input since the last advance.
    fresh: bool,
    report: PoolReport,
}

/// How many jobs that crashed before may run at once.
#[derive(Debug)]
struct Suspects {
    /// Doubles with each that ends.
    allowed: u32,
    /// Those whose handlers run.
    running: u32,
    /// Those whose leases are held, settles on their way included.
    held: u32,
    /// Those of them with two crashes or more: they run alone.
    alone: u32,
}

impl Suspects {
    fn hold(&mut self, held: &Held) {
        self.held += u32::from(held.crashes > 0);
        self.alone += u32::from(held.crashes > 1);
    }

    fn let_go(&mut self, held: &Held) {
        self.held -= u32::from(held.crashes > 0);
        self.alone -= u32::from(held.crashes > 1);
    }
}

/// Looks for ended records to forget this often.
const PRUNE: Duration = Duration::from_secs(60);
const PRUNE_LIMIT: u32 = 1000;
/// A checkpoint is stored at most this much later.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// How long a dropped handler has to be gone before its slot counts as leaked.
const PROOF: Duration = Duration::from_secs(1);

impl Pool {
    /// A worker that starts now.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what to change.
    pub fn new(config: PoolConfig, seed: &Seed, now: Mono) -> Result<Self, ConfigError> {
        config.check()?;
        let mut rng = Rng::new(seed);
        let owner = Owner::draw(&mut rng);
        let keyed = Keyed::from_seed(&rng.fork());
        let lease = config.lease;
        // A fleet that starts at once shall not look for the dead and the old at once.
        let mut spread = |every: Duration| now.plus(every.mul_f64(rng.below(1024) as f64 / 1024.0));
        let (reaper, next_prune) = (Reaper::new(lease, &mut spread), spread(PRUNE));
        Ok(Self {
            lanes: Lanes::new(&config.queues, config.order),
            reaper,
            cron: Crontab::new(&config.cron),
            config,
            owner,
            rng,
            now,
            store: None,
            phase: Phase::Running,
            begun: now,
            held: Map::with_hasher(keyed),
            alarms: Alarms::default(),
            busy: 0,
            leaked: BTreeSet::new(),
            runs: 0,
            suspects: Suspects {
                allowed: 1,
                running: 0,
                held: 0,
                alone: 0,
            },
            seq: 0,
            hungry: true,
            next_look: now,
            claim: Line::new(),
            settle: Line::new(),
            queued: VecDeque::new(),
            beat: Line::new(),
            next_beat: now.plus(lease / 3),
            next_checkpoint: None,
            round: VecDeque::new(),
            next_leases: now.plus(lease),
            prune: Line::new(),
            next_prune,
            out: VecDeque::new(),
            fresh: true,
            report: PoolReport::default(),
        })
    }

    /// The incarnation it claims as.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// How far a stop has come.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// How many handlers run.
    #[must_use]
    pub const fn running(&self) -> u32 {
        self.busy
    }

    /// Takes an event at `now`; [`Pool::poll`] then says what follows. An answer nothing waits for is
    /// ignored: it is a repeat. After [`Output::Stopped`] everything is.
    pub fn input(&mut self, now: Mono, input: Input) {
        self.now = self.now.max(now);
        if self.phase == Phase::Stopped {
            return;
        }
        match input {
            Input::Tick => {}
            Input::Claimed(claimed) => self.claimed(claimed),
            Input::Settled(settled) => {
                let asked = self.settle.asked().map(Vec::len);
                if self.complete(&Call::Settle, asked, settled.len()) {
                    self.settled(&settled);
                }
            }
            Input::Beaten(beaten) => {
                let asked = self.beat.asked().map(Vec::len);
                if self.complete(&Call::Beat, asked, beaten.len()) {
                    self.beaten(&beaten);
                }
            }
            Input::Expired(page) => self.expired(page),
            Input::Cron(key, out) => self.cron_answer(&key, out),
            Input::Pruned(count) => {
                self.prune.done();
                // More than one page: the next soon.
                let wait = if count >= u64::from(PRUNE_LIMIT) {
                    Duration::from_millis(100)
                } else {
                    PRUNE
                };
                self.next_prune = self.now.plus(wait);
            }
            Input::Failed(call, error) => self.failed(&call, error),
            Input::Ended { run, end } => self.ended(run, end),
            Input::Dropped { run } => self.dropped(run),
            Input::Checkpoint { run, progress } => self.checkpoint(run, progress),
            Input::Wake(Wake::Queue(queue)) => {
                self.hungry |= self.config.queues.iter().any(|share| share.queue == queue);
            }
            Input::Wake(Wake::Cancel(ids)) => {
                // A hint may be old: the answer to a beat is what counts.
                for id in ids {
                    self.beat_soon(id);
                }
            }
            Input::Stop => self.stop(),
            Input::Force => self.force(),
        }
        self.fresh = true;
    }

    /// The next thing to do, or `None` when all is done for now. Several inputs before it are taken
    /// together: what ended meanwhile is settled in one call.
    pub fn poll(&mut self) -> Option<Output> {
        if self.out.is_empty() && self.fresh {
            self.fresh = false;
            self.advance();
        }
        self.out.pop_front()
    }

    /// When to give it [`Input::Tick`] at the latest, and for what.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
        if self.phase == Phase::Stopped {
            return None;
        }
        let running = self.phase == Phase::Running;
        let looking = running && self.claim.idle() && self.free() > 0;
        let beating = !self.held.is_empty() && self.beat.idle();
        let upkeep = |at: Option<Mono>, why| at.filter(|_| running).map(|at| (at, why));
        let prune = self.prune.idle().then_some(self.next_prune);
        let all = [
            looking.then_some((self.next_look, "look for due jobs")),
            self.alarms.next().map(|at| (at, "a job's deadline")),
            self.stop_deadline().map(|at| (at, "stop")),
            beating.then_some((self.next_beat, "beat")),
            self.next_checkpoint
                .filter(|_| beating)
                .map(|at| (at, "checkpoint")),
            (!self.held.is_empty()).then_some((self.next_leases, "lease")),
            upkeep(self.reaper.deadline(), "reap"),
            upkeep(prune.or(self.prune.deadline()), "prune"),
            upkeep(self.cron.deadline(), "cron"),
            self.claim.deadline().map(|at| (at, "claim again")),
            self.settle.deadline().map(|at| (at, "settle again")),
            self.beat.deadline().map(|at| (at, "beat again")),
        ];
        all.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Does whatever time and the state of things allow.
    fn advance(&mut self) {
        while let Some(id) = self.alarms.due(&mut self.held, self.now) {
            self.alarm(id);
        }
        self.check_leases();
        self.advance_stop();
        if self.phase == Phase::Stopped {
            return;
        }
        self.send_again();
        self.send_settles();
        self.send_beats();
        if self.phase == Phase::Running {
            self.reap();
            self.cron();
            self.prune();
            self.look();
        }
    }

    fn prune(&mut self) {
        let due = self.prune.idle() && self.now >= self.next_prune;
        if due {
            self.prune.send(self.now, ());
        }
        if due || self.prune.resend(self.now).is_some() {
            self.out.push_back(Output::Prune(PRUNE_LIMIT));
        }
    }

    /// Slots a claim may fill. A job that has ended but is not settled yet counts a little: a store
    /// that takes claims but no settles must not be drained into memory.
    fn free(&self) -> u32 {
        let leaked = u32::try_from(self.leaked.len()).unwrap_or(u32::MAX);
        let slots = self.config.slots.saturating_sub(leaked);
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        slots
            .saturating_sub(self.busy)
            .min(slots.saturating_mul(2).saturating_sub(held))
            .min(self.config.max_batch)
    }

    fn look(&mut self) {
        let free = self.free();
        if !self.claim.idle() || free == 0 || !(self.hungry || self.now >= self.next_look) {
            return;
        }
        self.hungry = false;
        self.seq += 1;
        let suspects = match self.suspects.alone {
            0 => self.suspects.allowed.saturating_sub(self.suspects.held),
            _ => 0,
        };
        let request = ClaimReq {
            owner: self.owner,
            seq: self.seq,
            lanes: self.lanes.plan(free, suspects),
            limit: free,
            max_bytes: self.config.max_bytes,
            lease: self.config.lease,
        };
        let request = self.claim.send(self.now, request);
        self.out.push_back(Output::Claim(request));
    }

    fn claimed(&mut self, claimed: Claimed) {
        let Some((request, since)) = self.claim.done() else {
            return;
        };
        self.store = Some((claimed.now, self.now));
        let full = claimed.jobs.len() >= request.limit as usize;
        // When the store says, at the latest after the configured pause; spread, so that a fleet does not look at once.
        let look = self.config.look;
        let spread = look + look.mul_f64(self.rng.below(256) as f64 / 1024.0);
        let wait = match claimed.next_due {
            _ if full => Duration::ZERO,
            Some(due) if due <= claimed.now && claimed.jobs.is_empty() => {
                // Due, yet not given: a lane this claim did not ask for more of. Not at once again.
                Duration::from_millis(50).min(look)
            }
            Some(due) => {
                Duration::from_millis(due.0.saturating_sub(claimed.now.0).max(0) as u64).min(spread)
            }
            None => spread,
        };
        self.next_look = self.now.plus(wait);
        let deadline = since.plus(request.lease);
        let company = claimed.jobs.iter().filter(|job| job.crashes > 0).count() > 1;
        for job in claimed.jobs {
            self.take(job, deadline, company);
        }
        self.next_leases = self.next_leases.min(deadline);
    }

    /// Takes a job over from a claim: starts it, or gives it back.
    fn take(&mut self, job: Record, deadline: Mono, company: bool) {
        let id = job.id();
        // This claim proves that an older lease of it is lost, which its handler may not know yet.
        self.lose(id);
        let still = self.held.get(&id).is_some_and(Held::handled);
        let suspect = job.crashes > 0;
        let alone = job.crashes > 1;
        let held = &self.suspects;
        // Whoever dies beside it would be charged with the same crash, so until their leases are settled it
        // waits for all that are held: started or not.
        let crowded = held.alone > 0 && suspect || alone && (company || held.held > 0);
        let run = Run {
            id,
            serial: self.runs,
        };
        self.runs += 1;
        let mut held = Held::new(&job, run, self.owner, deadline);
        if self.phase != Phase::Running || self.now >= deadline || crowded || still {
            // Unstarted. One that has to wait waits a moment: at once it would be claimed again.
            let after = match company && self.suspects.running == 0 {
                // The next claim asks for one.
                true => Duration::ZERO,
                false if crowded || still => Duration::from_secs(1),
                false => Duration::ZERO,
            };
            if crowded && company {
                self.suspects.allowed = 1;
            }
            held.stage = Stage::Settling;
            let outcome = Outcome::Released {
                after,
                unknown: false,
            };
            self.queued.push_back(held.settle(id, outcome, Vec::new()));
            if !still {
                self.hold(id, held);
            }
            return;
        }
        self.suspects.running += u32::from(suspect);
        self.hold(id, held);
        if let Some(timeout) = job.spec.timeout {
            let at = self.now.plus(timeout);
            self.alarms.set(&mut self.held, at, id);
        }
        self.busy += 1;
        self.report.started += 1;
        self.out.push_back(Output::Start(run, job));
    }

    fn hold(&mut self, id: Id, held: Held) {
        self.suspects.hold(&held);
        if let Some(before) = self.held.insert(id, held) {
            self.suspects.let_go(&before);
        }
    }

    fn let_go(&mut self, id: Id) {
        if let Some(held) = self.held.remove(&id) {
            // The suspects' lanes may not have been asked for all they hold.
            self.hungry |= held.crashes > 0;
            self.suspects.let_go(&held);
        }
    }

    fn check_leases(&mut self) {
        if self.now < self.next_leases {
            return;
        }
        let now = self.now;
        let lapsed = self.held.iter().filter(|(_, held)| held.deadline <= now);
        let lost: Vec<Id> = lapsed.map(|(id, _)| *id).collect();
        for id in lost {
            self.lose(id);
        }
        let deadlines = self.held.values().map(|held| held.deadline);
        let next = deadlines.filter(|at| *at > now).min();
        self.next_leases = next.unwrap_or(now.plus(self.config.lease));
    }

    /// A lease is lost: its handler must not go on.
    fn lose(&mut self, id: Id) {
        match self.held.get(&id).map(|held| held.stage) {
            Some(Stage::Running) => self.cancel(id, Why::Lease),
            // Whatever time it had to stop by itself is over.
            Some(Stage::Cancelling) => self.abort(id),
            _ => return,
        }
        self.out.push_back(Output::Note(Note::LeaseLost(id)));
    }

    /// Beats out of turn.
    fn beat_soon(&mut self, id: Id) {
        if let Some(held) = self.held.get_mut(&id)
            && !std::mem::replace(&mut held.beating, true)
        {
            self.round.push_back(id);
        }
    }

    fn send_beats(&mut self) {
        if self.held.is_empty() {
            self.round.clear();
            self.next_checkpoint = None;
            self.next_beat = self.now.plus(self.config.lease / 3);
            return;
        }
        if !self.beat.idle() {
            return;
        }
        let all = self.now >= self.next_beat;
        if all {
            self.next_beat = self.now.plus(self.config.lease / 3);
        }
        if all || self.next_checkpoint.is_some_and(|at| at <= self.now) {
            self.next_checkpoint = None;
            for (id, held) in &mut self.held {
                if (all || held.progress.is_some()) && !std::mem::replace(&mut held.beating, true) {
                    self.round.push_back(*id);
                }
            }
        }
        let batch = self.round.len().min(self.config.max_batch as usize);
        let mut beats = Vec::with_capacity(batch);
        while beats.len() < batch
            && let Some(id) = self.round.pop_front()
        {
            if let Some(held) = self.held.get_mut(&id) {
                held.beating = false;
                beats.push(held.beat(id));
            }
        }
        if !beats.is_empty() {
            let beats = self.beat.send(self.now, beats);
            self.out.push_back(Output::Beat(beats, self.config.lease));
        }
    }

    fn beaten(&mut self, beaten: &[Beaten]) {
        let Some((beats, since)) = self.beat.done() else {
            return;
        };
        for (beat, beaten) in beats.iter().zip(beaten) {
            let Some(held) = self.held.get_mut(&beat.id) else {
                continue;
            };
            if held.fence != beat.fence {
                continue;
            }
            match beaten {
                Beaten::Alive { cancel } => {
                    held.deadline = since.plus(self.config.lease);
                    held.stored(beat.progress.as_ref());
                    if *cancel {
                        self.cancel(beat.id, Why::Asked);
                    }
                }
                Beaten::Lost => self.lose(beat.id),
            }
        }
    }

    fn checkpoint(&mut self, run: Run, progress: Bytes) {
        if let Some(held) = self.held.get_mut(&run.id)
            && held.run == run
        {
            held.checkpoint(progress);
            let at = self.now.plus(CHECKPOINT);
            self.next_checkpoint.get_or_insert(at);
        }
    }

    fn send_again(&mut self) {
        let now = self.now;
        if let Some(request) = self.claim.resend(now) {
            self.out.push_back(Output::Claim(request));
        }
        if let Some(settles) = self.settle.resend(now) {
            self.out.push_back(Output::Settle(settles));
        }
        if let Some(beats) = self.beat.resend(now) {
            self.out.push_back(Output::Beat(beats, self.config.lease));
        }
    }

    /// Whether an answer has one item for each that was asked. If not, nobody knows which lacks: it counts as
    /// no answer, and the call is sent again.
    fn complete(&mut self, call: &Call, asked: Option<usize>, answers: usize) -> bool {
        match asked {
            Some(asked) if asked != answers => {
                let error = format!("the store is broken: {answers} answers to {asked} items");
                self.failed(call, error);
                false
            }
            _ => true,
        }
    }

    fn failed(&mut self, call: &Call, error: String) {
        let (now, rng) = (self.now, &mut self.rng);
        let (wait, failures) = match call {
            Call::Claim => (self.claim.failed(now, rng), self.claim.failures()),
            Call::Settle => (self.settle.failed(now, rng), self.settle.failures()),
            Call::Beat => (self.beat.failed(now, rng), self.beat.failures()),
            Call::Expired => (
                self.reaper.line.failed(now, rng),
                self.reaper.line.failures(),
            ),
            Call::Prune => (self.prune.failed(now, rng), self.prune.failures()),
            Call::Cron(key) => self.cron.failed(key, now, rng),
        };
        if let Some(wait) = wait {
            let call = call.clone();
            self.out.push_back(Output::Note(Note::CallFailed {
                call,
                error,
                wait,
                failures,
            }));
        }
    }

    /// What the store's clock reads now, as far as its last answer tells.
    fn store_now(&self) -> Option<Wall> {
        let (wall, at) = self.store?;
        Some(super::later(wall, self.now.since(at)))
    }
}
