//! Pools over one store in virtual time: the next thing that happens is an answer, the end of a handler
//! or a pool's deadline. Judges every output on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::store::Store;
use crate::jobs::call::{Settle, Wake};
use crate::jobs::pool::{Call, End, Input, Note, Output, Phase, Pool, PoolConfig, PoolReport, Run};
use crate::jobs::retry::Retry;
use crate::jobs::{Id, Ids, Name, NewJob, Outcome, Record, Spec, Start, State};
use crate::rng::{Rng, Seed};
use crate::time::{Mono, Wall};

/// The store's clock at the start.
const BASE: i64 = 1_700_000_000_000;
/// A driver gives up on a call after this.
const TIMEOUT: Duration = Duration::from_millis(200);
/// So many events without time passing are a spin.
const SPIN: u32 = 10_000;

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// What a handler does.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) takes: Duration,
    pub(super) act: Act,
    /// How long it takes to stop when asked; `None`: it ignores that.
    pub(super) cancel: Option<Duration>,
    /// How long it takes to be gone when dropped; `None`: it blocks its thread to the end.
    pub(super) abort: Option<Duration>,
    pub(super) checkpoint: Option<(Duration, Bytes)>,
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    End(End),
    /// Takes its process down, which is started again a little later.
    Kill,
}

pub(super) fn succeeded() -> End {
    End::Succeeded {
        result: Bytes::new(),
        then: Vec::new(),
    }
}

pub(super) fn failed() -> End {
    End::Failed {
        text: "no".into(),
        after: None,
    }
}

/// A handler that does this after so long; asked to stop it goes on, dropped it is gone at once.
pub(super) fn act(takes: Duration, act: Act) -> Script {
    Script {
        takes,
        act,
        cancel: None,
        abort: Some(Duration::ZERO),
        checkpoint: None,
    }
}

pub(super) fn ends(takes: Duration, end: End) -> Script {
    act(takes, Act::End(end))
}

/// What the way to the store is like; the odds are per million.
#[derive(Clone, Debug, Default)]
pub(super) struct Net {
    pub(super) latency: Duration,
    pub(super) jitter: Duration,
    pub(super) lose_call: u32,
    pub(super) lose_reply: u32,
    /// An answer about several items lacks the last.
    pub(super) cut: u32,
    /// These calls do not arrive; `all` for all.
    pub(super) down: BTreeSet<&'static str>,
}

pub(super) struct Node {
    pub(super) pool: Option<Pool>,
    pub(super) config: PoolConfig,
    pub(super) report: Option<PoolReport>,
    pub(super) stopped_at: Option<Mono>,
    incarnation: u64,
    handlers: BTreeMap<Run, Script>,
    stopping: bool,
    frozen: Mono,
    last: Option<Arc<Vec<Settle>>>,
    revive: bool,
    /// Jobs with a handler that cannot be stopped.
    leaked: BTreeSet<Run>,
}

enum What {
    Arrive(Box<Output>),
    Input(Input),
    Ended(Run),
    Kill(Run),
    Boot,
    Do(Box<dyn FnOnce(&mut World)>),
}

#[derive(Clone, Debug)]
pub(super) struct Started {
    pub(super) at: Mono,
    pub(super) node: usize,
    pub(super) id: Id,
    token: u64,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    /// How its lease was settled by its own pool, if it was.
    pub(super) settled: Option<Outcome>,
    /// Its process was killed.
    killed: bool,
}

pub(super) struct World {
    pub(super) now: Mono,
    pub(super) store: Store,
    pub(super) shift: i64,
    pub(super) nodes: Vec<Node>,
    pub(super) net: Net,
    pub(super) script: Box<dyn Fn(&Record) -> Script>,
    pub(super) started: Vec<Started>,
    pub(super) calls: BTreeMap<&'static str, u64>,
    pub(super) notes: Vec<Note>,
    pub(super) deaths: u32,
    pub(super) rng: Rng,
    ids: Ids,
    by_lease: BTreeMap<(usize, u64, Id, u64), usize>,
    events: BTreeMap<(Mono, u64), (usize, u64, What)>,
    serial: u64,
    still: u32,
}

impl World {
    pub(super) fn new(
        seed: u64,
        nodes: &[PoolConfig],
        script: impl Fn(&Record) -> Script + 'static,
    ) -> Self {
        let mut rng = Rng::new(&Seed::from_u64(seed));
        let node = |config: &PoolConfig| Node {
            pool: None,
            config: config.clone(),
            report: None,
            stopped_at: None,
            incarnation: 0,
            handlers: BTreeMap::new(),
            stopping: false,
            frozen: Mono::START,
            last: None,
            revive: true,
            leaked: BTreeSet::new(),
        };
        let mut world = Self {
            now: Mono::from_nanos(1_000_000_000),
            store: Store::default(),
            shift: 0,
            nodes: nodes.iter().map(node).collect(),
            net: Net {
                latency: ms(1),
                ..Net::default()
            },
            script: Box::new(script),
            started: Vec::new(),
            calls: BTreeMap::new(),
            notes: Vec::new(),
            deaths: 0,
            ids: Ids::new(Rng::new(&rng.fork())),
            rng,
            by_lease: BTreeMap::new(),
            events: BTreeMap::new(),
            serial: 0,
            still: 0,
        };
        world.tick_store();
        for node in 0..nodes.len() {
            world.push(Duration::ZERO, node, 0, What::Boot);
        }
        world
    }

    /// Enqueues jobs to the queue `default`; they end after one failure unless `edit` says otherwise.
    pub(super) fn put(&mut self, count: usize, edit: impl Fn(usize, &mut Spec)) -> Vec<Id> {
        let new = |at| {
            let spec = self.spec(|spec| edit(at, spec));
            let id = spec.id;
            let fresh = self.store.insert(&NewJob {
                spec: Arc::new(spec),
                payload: Bytes::from_static(b"{}"),
                start: Start::Now,
            });
            assert!(fresh);
            id
        };
        (0..count).map(new).collect()
    }

    pub(super) fn spec(&mut self, edit: impl Fn(&mut Spec)) -> Spec {
        let mut spec = Spec {
            retry: Retry::fixed(secs(1)),
            ..Spec::new(
                Id::from_u128(0),
                Name::new("default").unwrap(),
                Name::new("work").unwrap(),
            )
        };
        edit(&mut spec);
        spec.id = self.ids.next(self.store.now, &spec.queue);
        spec
    }

    pub(super) fn at(&mut self, after: Duration, what: impl FnOnce(&mut World) + 'static) {
        self.push(after, usize::MAX, 0, What::Do(Box::new(what)));
    }

    pub(super) fn input(&mut self, node: usize, input: Input) {
        self.nodes[node].stopping |= matches!(input, Input::Stop | Input::Force);
        if let Some(pool) = &mut self.nodes[node].pool {
            pool.input(self.now, input);
            self.pump(node);
        }
    }

    pub(super) fn wake(&mut self, node: usize, ids: &[Id]) {
        self.input(node, Input::Wake(Wake::Cancel(ids.to_vec())));
    }

    /// SIGKILL; it comes back a little later unless `revive` was taken away.
    pub(super) fn kill(&mut self, node: usize) {
        let revive = self.nodes[node].revive;
        let it = &mut self.nodes[node];
        if it.stopped_at.is_some() || it.pool.take().is_none() {
            return;
        }
        let incarnation = it.incarnation;
        it.handlers.clear();
        self.deaths += 1;
        for ((of, born, ..), at) in &self.by_lease {
            if *of == node && *born == incarnation {
                self.started[*at].killed = true;
            }
        }
        if revive {
            self.push(ms(100), node, incarnation, What::Boot);
        }
    }

    /// SIGKILL, and nobody starts it again.
    pub(super) fn remove(&mut self, node: usize) {
        self.nodes[node].revive = false;
        self.kill(node);
    }

    /// Whoever dies from now on stays dead.
    pub(super) fn no_restarts(&mut self) {
        for node in &mut self.nodes {
            node.revive = false;
        }
    }

    pub(super) fn freeze(&mut self, node: usize, time: Duration) {
        self.nodes[node].frozen = self.now.plus(time);
    }

    pub(super) fn handlers(&self, node: usize) -> usize {
        self.nodes[node].handlers.len()
    }

    pub(super) fn job(&self, id: Id) -> &Record {
        &self.store.jobs[&id]
    }

    pub(super) fn starts(&self, id: Id) -> Vec<&Started> {
        self.started.iter().filter(|start| start.id == id).collect()
    }

    pub(super) fn calls(&self, kind: &'static str) -> u64 {
        self.calls.get(kind).copied().unwrap_or(0)
    }

    /// What a node has started.
    pub(super) fn starts_of(&self, node: usize) -> Vec<Id> {
        let starts = self.started.iter().filter(|start| start.node == node);
        starts.map(|start| start.id).collect()
    }

    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now.plus(time);
        while self.step(until) {}
    }

    /// Runs until all jobs have ended; how long that took. Fails after `most`.
    pub(super) fn finish(&mut self, most: Duration) -> Duration {
        let begun = self.now;
        let until = begun.plus(most);
        let mut open: Vec<Id> = self.store.jobs.keys().copied().collect();
        loop {
            while open.last().is_some_and(|id| self.job(*id).state.ended()) {
                open.pop();
            }
            if open.is_empty() {
                return self.now.since(begun);
            }
            assert!(
                self.step(until),
                "not ended after {most:?}: {:#?}",
                self.job(*open.last().unwrap())
            );
        }
    }

    fn push(&mut self, after: Duration, node: usize, incarnation: u64, what: What) {
        self.serial += 1;
        let at = self.now.plus(after);
        self.events
            .insert((at, self.serial), (node, incarnation, what));
    }

    fn tick_store(&mut self) {
        let millis = self.now.as_nanos() / 1_000_000;
        self.store.now = Wall(BASE + self.shift + millis as i64);
    }

    /// The next event before `until`; false if there is none, and then it is `until`.
    fn step(&mut self, until: Mono) -> bool {
        let timeout = |(at, node): (usize, &Node)| {
            let (due, why) = node.pool.as_ref()?.poll_timeout()?;
            Some((due.max(node.frozen), at, why))
        };
        let tick = self.nodes.iter().enumerate().filter_map(timeout).min();
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        let why = tick.map_or("", |(_, _, why)| why);
        let tick_at = tick.map(|(at, ..)| at);
        let next = event
            .into_iter()
            .chain(tick_at)
            .min()
            .filter(|at| *at <= until);
        let Some(next) = next else {
            self.now = self.now.max(until);
            self.tick_store();
            return false;
        };
        self.still = if next > self.now { 0 } else { self.still + 1 };
        assert!(
            self.still < SPIN,
            "time stands still; the last timer is {why:?}"
        );
        self.now = self.now.max(next);
        self.tick_store();
        if event == Some(next) {
            let (_, (node, incarnation, what)) = self.events.pop_first().unwrap();
            self.happen(node, incarnation, what);
        } else if let Some((_, node, _)) = tick {
            self.input(node, Input::Tick);
        }
        true
    }

    fn happen(&mut self, node: usize, incarnation: u64, what: What) {
        if let What::Do(what) = what {
            what(self);
            return;
        }
        let it = &mut self.nodes[node];
        if it.incarnation != incarnation {
            return;
        }
        let frozen = it.frozen.since(self.now);
        if frozen > Duration::ZERO && !matches!(what, What::Arrive(_)) {
            self.push(frozen, node, incarnation, what);
            return;
        }
        match what {
            What::Do(_) => {}
            What::Boot if !it.revive => {}
            What::Boot => {
                it.incarnation += 1;
                it.stopping = false;
                let config = it.config.clone();
                let pool = Pool::new(config, &self.rng.fork(), self.now).unwrap();
                it.pool = Some(pool);
                self.pump(node);
            }
            What::Arrive(call) => self.arrive(node, incarnation, &call),
            What::Input(Input::Dropped { run }) => {
                if it.handlers.remove(&run).is_some() {
                    self.input(node, Input::Dropped { run });
                }
            }
            What::Input(Input::Ended { run, end }) => {
                if it.handlers.remove(&run).is_some() {
                    self.input(node, Input::Ended { run, end });
                }
            }
            What::Input(input) => self.input(node, input),
            What::Ended(run) => {
                if let Some(script) = it.handlers.remove(&run)
                    && let Act::End(end) = script.act
                {
                    self.input(node, Input::Ended { run, end });
                }
            }
            What::Kill(run) => {
                if it.handlers.contains_key(&run) {
                    self.kill(node);
                }
            }
        }
    }

    fn arrive(&mut self, node: usize, incarnation: u64, call: &Output) {
        let answer = match call {
            Output::Claim(req) => Input::Claimed(self.store.claim(req)),
            Output::Settle(settles) => Input::Settled(self.store.settle(settles)),
            Output::Beat(beats, lease) => Input::Beaten(self.store.beat(beats, *lease)),
            Output::Expired(cursor, limit) => Input::Expired(self.store.expired(cursor, *limit)),
            Output::CronCell(key) => Input::Cron(key.clone(), self.store.cron_cell(key)),
            Output::CronCas(cas) => Input::Cron(cas.key.clone(), self.store.cron_cas(cas)),
            _ => Input::Pruned(0),
        };
        let mut answer = answer;
        if self.net.cut > 0 && self.rng.chance(self.net.cut) {
            match &mut answer {
                Input::Settled(settled) => drop(settled.pop()),
                Input::Beaten(beaten) => drop(beaten.pop()),
                _ => {}
            }
        }
        let (wait, answer) = if self.rng.chance(self.net.lose_reply) {
            (TIMEOUT, Input::Failed(kind(call).1, "lost".into()))
        } else {
            (self.way(), answer)
        };
        self.push(wait, node, incarnation, What::Input(answer));
    }

    fn way(&mut self) -> Duration {
        let jitter = self.net.jitter.as_micros() as u64;
        self.net.latency + Duration::from_micros(self.rng.below(jitter + 1))
    }

    fn pump(&mut self, node: usize) {
        loop {
            let it = &mut self.nodes[node];
            let Some(pool) = &mut it.pool else { return };
            let Some(out) = pool.poll() else { break };
            assert!(
                it.stopped_at.is_none()
                    || it.stopping && pool.phase() != Phase::Stopped
                    || matches!(out, Output::Stopped(_)),
                "{out:?} after the end"
            );
            self.out(node, out);
        }
        let it = &self.nodes[node];
        if let Some(pool) = &it.pool {
            assert!(pool.running() <= it.config.slots);
            if let Some((at, why)) = pool.poll_timeout() {
                assert!(
                    at > self.now,
                    "{why:?} is due, yet nothing came of it in phase {:?}",
                    pool.phase()
                );
            }
        }
    }

    fn out(&mut self, node: usize, out: Output) {
        let it = &mut self.nodes[node];
        let born = it.incarnation;
        match out {
            Output::Start(run, job) => self.start(node, run, &job),
            Output::Cancel(id) => {
                let asked = it.handlers.iter().filter(|(run, _)| run.id == id);
                let asked: Vec<_> = asked.map(|(run, script)| (*run, script.cancel)).collect();
                for (run, wait) in asked {
                    if let Some(wait) = wait {
                        let end = failed();
                        let input = Input::Ended { run, end };
                        self.push(wait, node, born, What::Input(input));
                    }
                }
            }
            Output::Abort(id) => {
                let gone = it.handlers.iter().filter(|(run, _)| run.id == id);
                let gone: Vec<_> = gone.map(|(run, script)| (*run, script.abort)).collect();
                for (run, wait) in gone {
                    if let Some(wait) = wait {
                        let input = Input::Dropped { run };
                        self.push(wait, node, born, What::Input(input));
                    }
                }
            }
            Output::Note(note) => {
                if let Note::Leaked(id) = note {
                    let known = it.handlers.keys().copied();
                    it.leaked.extend(known.filter(|run| run.id == id));
                }
                self.notes.push(note);
            }
            Output::Stopped(report) => {
                assert!(it.report.replace(report).is_none(), "stopped twice");
                it.stopped_at = Some(self.now);
            }
            call => {
                if let Output::Settle(settles) = &call {
                    self.judge_settles(node, settles);
                }
                let (name, failed) = kind(&call);
                *self.calls.entry(name).or_default() += 1;
                let down = self.net.down.contains(name) || self.net.down.contains("all");
                if down || self.rng.chance(self.net.lose_call) {
                    let input = Input::Failed(failed, "down".into());
                    self.push(TIMEOUT, node, born, What::Input(input));
                } else {
                    let way = self.way();
                    self.push(way, node, born, What::Arrive(Box::new(call)));
                }
            }
        }
    }

    fn start(&mut self, node: usize, run: Run, job: &Record) {
        let script = (self.script)(job);
        let it = &mut self.nodes[node];
        let (id, token, born) = (job.id(), job.token, it.incarnation);
        assert!(!it.stopping, "a start after the stop");
        assert!(
            it.handlers.len() < it.config.slots as usize,
            "more handlers than slots"
        );
        let twice = it
            .handlers
            .keys()
            .any(|other| other.id == id && !it.leaked.contains(other));
        assert!(!twice, "two handlers of one job in one process");
        it.handlers.insert(run, script.clone());
        self.by_lease
            .insert((node, born, id, token), self.started.len());
        self.started.push(Started {
            at: self.now,
            node,
            id,
            token,
            attempt: job.attempt,
            crashes: job.crashes,
            settled: None,
            killed: false,
        });
        if let Some((after, progress)) = script.checkpoint {
            let input = Input::Checkpoint { run, progress };
            self.push(after, node, born, What::Input(input));
        }
        let what = match script.act {
            Act::End(_) => What::Ended(run),
            Act::Kill => What::Kill(run),
        };
        self.push(script.takes, node, born, what);
    }

    /// One settle per start, repeats of the call apart.
    fn judge_settles(&mut self, node: usize, settles: &Arc<Vec<Settle>>) {
        let it = &mut self.nodes[node];
        if it
            .last
            .as_ref()
            .is_some_and(|last| Arc::ptr_eq(last, settles))
        {
            return;
        }
        it.last = Some(settles.clone());
        let owner = it.pool.as_ref().unwrap().owner();
        for settle in settles.iter().filter(|settle| settle.fence.owner == owner) {
            if matches!(settle.outcome, Outcome::Crashed { .. } | Outcome::Lapsed) {
                let mut known = it.handlers.keys();
                let runs = known.any(|run| run.id == settle.id && !it.leaked.contains(run));
                assert!(!runs, "it charged a job that it runs");
                continue;
            }
            let key = (node, it.incarnation, settle.id, settle.fence.token);
            if let Some(at) = self.by_lease.get(&key) {
                let settled = &mut self.started[*at].settled;
                assert!(settled.is_none(), "settled twice: {settled:?}, {settle:?}");
                *settled = Some(settle.outcome.clone());
            }
        }
    }

    /// Every start was settled, unless its process died or left it at the stop.
    pub(super) fn judge(&self) {
        let mut left = vec![0; self.nodes.len()];
        for start in &self.started {
            // One that was claimed again has lost its lease: a settle would change nothing.
            let lost = self.job(start.id).token > start.token;
            if start.settled.is_none() && !start.killed && !lost {
                left[start.node] += 1;
            }
        }
        for (node, left) in self.nodes.iter().zip(left) {
            let abandoned = node.report.map_or(0, |report| report.abandoned);
            assert!(
                left <= abandoned,
                "{left} starts never settled, {abandoned} abandoned"
            );
        }
        for job in self.store.jobs.values() {
            assert!(job.state != State::Dead || job.reason.is_some());
        }
    }
}

fn kind(call: &Output) -> (&'static str, Call) {
    match call {
        Output::Claim(_) => ("claim", Call::Claim),
        Output::Settle(_) => ("settle", Call::Settle),
        Output::Beat(..) => ("beat", Call::Beat),
        Output::Expired(..) => ("expired", Call::Expired),
        Output::CronCell(key) => ("cron", Call::Cron(key.clone())),
        Output::CronCas(cas) => ("cron", Call::Cron(cas.key.clone())),
        Output::Prune(_) => ("prune", Call::Prune),
        other => panic!("no call: {other:?}"),
    }
}
