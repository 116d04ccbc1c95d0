//! One world: workers, producers, a store, what goes wrong when, and what must be true in the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{Either, select};
use tideway::jobs::call::{Control, Limit, Scope};
use tideway::jobs::cron::{Missed, Overlap, Schedule};
use tideway::jobs::pool::{PoolConfig, Share};
use tideway::jobs::{Cron, Id, Name};
use tideway::{App, Mono, Rng};
use tideway_driver::{Runtime as _, Server, Stop};
use tideway_sim::{Host, Sim};

use crate::ask::Ask;
use crate::hub::Hub;
use crate::jobs::{Poison, QUEUES, Tick, Work};
use crate::node::Node;
use crate::oracle::{Tally, shown};
use crate::plan::{Fault, Plan};
use crate::post::{Post, lock};
use crate::producer::{Book, Producer};
use crate::watch::{Desk, Watch, Word};
use crate::wire::Wire;

/// What became of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) flaws: Vec<String>,
    pub(crate) tally: Tally,
    pub(crate) starts: u64,
    pub(crate) calls: u64,
    pub(crate) lost: u64,
    pub(crate) deaths: u64,
    /// From the last trouble to the last end.
    pub(crate) took: Duration,
    /// Stands for everything that happened.
    pub(crate) digest: (u128, u64),
}

const SOFT: Duration = Duration::from_secs(2);
const HARD: Duration = Duration::from_secs(4);
/// From the hard deadline: a second to prove that handlers are gone, one for the last settles.
const STOPPED: Duration = Duration::from_millis(2_010);
/// So long after the last trouble every job has ended.
const PATIENCE: Duration = Duration::from_secs(300);

/// What happens at a time.
enum Todo {
    Boot(usize),
    Crash(usize, Duration),
    Freeze(usize, Duration),
    Cut(usize, Duration, bool),
    Outage(Duration),
    Jump(i64),
    BackUp,
    FailOver,
    Deploy(usize),
    /// This incarnation must have stopped.
    Stopped(usize, u64),
    Calm,
    Resume,
    Check,
}

struct Worker {
    host: Host,
    wire: Wire,
    up: Option<Process>,
}

struct Process {
    node: Node,
    incarnation: u64,
    stop: Stop,
    stopping: Arc<AtomicU64>,
}

struct World<'a> {
    sim: &'a Sim,
    plan: Arc<Plan>,
    hub: Hub,
    watch: Watch,
    book: Arc<Mutex<Book>>,
    workers: Vec<Worker>,
    words: Post<Word>,
    rng: Rng,
    todo: BTreeMap<(Mono, u64), Todo>,
    serial: u64,
    incarnations: u64,
    deaths: u64,
    calm: Option<Mono>,
}

/// Runs a world to its end.
pub(crate) fn run(plan: &Plan) -> Outcome {
    let sim = Sim::new(plan.seed);
    let plan = Arc::new(plan.clone());
    let mut world = World::new(&sim, plan);
    let took = sim.run(world.live());
    let hub = world.hub.clone();
    let (calls, trace) = hub.trace();
    Outcome {
        flaws: hub.flaws(),
        tally: hub.look(|_, oracle, _| oracle.tally),
        starts: world.watch.starts().0,
        calls,
        lost: world.workers.iter().map(|worker| worker.wire.lost()).sum(),
        deaths: world.deaths,
        took,
        digest: (sim.digest(), trace),
    }
}

impl<'a> World<'a> {
    fn new(sim: &'a Sim, plan: Arc<Plan>) -> Self {
        let hub = Hub::new(sim.host("store"), &plan);
        let mut wires = plan.rng("wires");
        let worker = |n| Worker {
            host: sim.host(&format!("worker {n}")),
            wire: Wire::new(&hub, Rng::new(&wires.fork())),
            up: None,
        };
        let workers = (0..plan.workers).map(worker).collect();
        Self {
            sim,
            watch: Watch::new(&hub),
            book: Arc::default(),
            workers,
            words: Post::new(),
            rng: plan.rng("world"),
            hub,
            plan,
            todo: BTreeMap::new(),
            serial: 0,
            incarnations: 0,
            deaths: 0,
            calm: None,
        }
    }

    fn now(&self) -> Mono {
        self.sim.now().mono
    }

    fn after(&mut self, time: Duration, todo: Todo) {
        self.serial += 1;
        self.todo.insert((self.now().plus(time), self.serial), todo);
    }

    /// Lives until all is done; returns how long the last jobs took.
    async fn live(&mut self) -> Duration {
        self.begin();
        let mut took = None;
        while took.is_none() && self.hub.flaws().is_empty() {
            self.turn().await;
            if let Some(calm) = self.calm
                && self.open().is_empty()
            {
                took = Some(self.now().since(calm));
            }
        }
        if self.hub.flaws().is_empty() {
            self.end().await;
        }
        took.unwrap_or_default()
    }

    /// Waits for what comes next and does it.
    async fn turn(&mut self) {
        let Some((at, serial)) = self.todo.keys().next().copied() else {
            return;
        };
        let sleep = self.hub.host().sleep_until(at);
        let words = self.words.clone();
        match select(sleep, std::pin::pin!(words.next())).await {
            Either::Left(_) => {
                if let Some(todo) = self.todo.remove(&(at, serial)) {
                    self.act(todo);
                }
            }
            Either::Right((word, _)) => self.hear(word),
        }
    }

    fn begin(&mut self) {
        let plan = self.plan.clone();
        if plan.has(Fault::Limit) {
            self.limit();
        }
        for worker in 0..self.workers.len() {
            let wait = Duration::from_millis(self.rng.below(500));
            self.after(wait, Todo::Boot(worker));
        }
        lock(&self.book).busy = plan.producers;
        let mut rng = plan.rng("producers");
        for n in 0..plan.producers {
            let node = self.node(&format!("producer {n}"));
            let rng = Rng::new(&rng.fork());
            let producer = Producer::new(&self.hub, node.clone(), rng, &self.book);
            node.spawn(producer.produce(n == 0));
        }
        if plan.has(Fault::Control) {
            let node = self.node("operator");
            let rng = plan.rng("operator");
            let operator = Producer::new(&self.hub, node.clone(), rng, &self.book);
            node.spawn(operator.interfere());
        }
        self.trouble();
        self.after(plan.trouble, Todo::Calm);
    }

    fn node(&mut self, name: &str) -> Node {
        let skewed = self.plan.has(Fault::Skew);
        let skew = self.rng.below(7_200_000) as i64 - 3_600_000;
        Node::new(self.sim.host(name), if skewed { skew } else { 0 })
    }

    fn limit(&mut self) {
        let name = |text| Name::new(text).expect("a valid name");
        let limit = |scope, running, rate| {
            let limit = Limit { running, rate };
            self.hub.put(&Ask::Control(Control::Limit(scope, limit)));
        };
        limit(Scope::EachGroup(name(QUEUES[0])), Some(1), None);
        let rate = (2, Duration::from_millis(1_500));
        limit(Scope::EachGroup(name(QUEUES[1])), Some(2), Some(rate));
        limit(Scope::Queue(name(QUEUES[1])), Some(3), None);
    }

    /// Draws what goes wrong and when. Every class draws from a generator of its own.
    fn trouble(&mut self) {
        let plan = self.plan.clone();
        let most = plan.trouble.as_millis() as u64;
        let workers = plan.workers;
        for fault in &plan.faults {
            let mut rng = plan.rng(&format!("{fault:?}"));
            let times = match fault {
                Fault::Failover | Fault::Outage => 1,
                Fault::Deploy | Fault::Crash | Fault::Jump => 1 + rng.below(3),
                Fault::Partition | Fault::Freeze => 1 + rng.below(2),
                _ => 0,
            };
            for _ in 0..times {
                let at = Duration::from_millis(rng.below(most));
                let worker = rng.below(workers) as usize;
                let part = rng.below(1_000) as u32;
                let some = plan.lease * part / 400;
                // What stands still goes on before the trouble ends.
                let some = some.min(plan.trouble.saturating_sub(at));
                match fault {
                    Fault::Failover => {
                        let lag = Duration::from_millis(u64::from(part) * 3);
                        self.after(at, Todo::BackUp);
                        self.after(at + lag, Todo::FailOver);
                    }
                    Fault::Outage => self.after(at, Todo::Outage(some)),
                    Fault::Deploy => self.after(at, Todo::Deploy(worker)),
                    Fault::Crash => self.after(at, Todo::Crash(worker, some / 4)),
                    Fault::Jump => {
                        let late = plan.any(&[Fault::Duplicate, Fault::Delay]);
                        let jump = match part % 4 {
                            0 => -i64::from(part) * 20,
                            1 if !late => 3_600_000,
                            _ => i64::from(part) * 20,
                        };
                        self.after(at, Todo::Jump(jump));
                    }
                    Fault::Partition => {
                        self.after(at, Todo::Cut(worker, some, part.is_multiple_of(2)));
                    }
                    Fault::Freeze => self.after(at, Todo::Freeze(worker, some)),
                    _ => {}
                }
            }
        }
    }

    fn act(&mut self, todo: Todo) {
        match todo {
            Todo::Boot(n) => self.boot(n),
            Todo::Crash(n, down) => self.crash(n, down),
            Todo::Freeze(n, time) => {
                if let Some(process) = &self.workers[n].up {
                    process.node.freeze(self.now().plus(time));
                }
            }
            Todo::Cut(n, time, half) => self.workers[n].wire.cut(time, half),
            Todo::Outage(time) => self.hub.outage(time),
            Todo::Jump(millis) => self.hub.jump(millis),
            Todo::BackUp => self.hub.back_up(),
            Todo::FailOver => self.hub.fail_over(),
            Todo::Deploy(n) => self.stop(n),
            Todo::Stopped(n, incarnation) => {
                if let Some(process) = &self.workers[n].up
                    && process.incarnation == incarnation
                {
                    let since = Mono::from_nanos(process.stopping.load(Ordering::Relaxed));
                    if !process.node.froze_since(since) {
                        self.hub.flaw(format!("worker {n} did not stop in time"));
                    }
                }
            }
            Todo::Calm => self.calm(),
            Todo::Resume => self.resume(),
            Todo::Check => {
                if self
                    .calm
                    .is_some_and(|calm| self.now().since(calm) > PATIENCE)
                {
                    let open = self.open();
                    self.hub.flaw(format!("never ended: {open:#?}"));
                }
                self.after(Duration::from_secs(1), Todo::Check);
            }
        }
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Kill(n) => {
                let down = Duration::from_millis(100 + self.rng.below(900));
                self.crash(n, down);
            }
            Word::Stopped(n, incarnation) => {
                let worker = &mut self.workers[n];
                if worker
                    .up
                    .as_ref()
                    .is_some_and(|up| up.incarnation == incarnation)
                {
                    // The process ends, and with it every handler that could not be stopped.
                    worker.up = None;
                    self.sim.crash(&worker.host);
                    self.sim.restart(&worker.host);
                    let wait = Duration::from_millis(self.rng.below(1_000));
                    self.after(wait, Todo::Boot(n));
                }
            }
        }
    }

    fn crash(&mut self, n: usize, down: Duration) {
        let worker = &mut self.workers[n];
        if worker.up.take().is_some() {
            self.deaths += 1;
            self.sim.crash(&worker.host);
            self.sim.restart(&worker.host);
            self.after(down, Todo::Boot(n));
        }
    }

    fn stop(&mut self, n: usize) {
        let now = self.now();
        let Some(process) = &self.workers[n].up else {
            return;
        };
        if process.stop.is_stopping() {
            return;
        }
        process.stopping.store(now.as_nanos(), Ordering::Relaxed);
        process.stop.stop();
        let incarnation = process.incarnation;
        self.after(HARD + STOPPED, Todo::Stopped(n, incarnation));
    }

    /// Nothing goes wrong any more.
    fn calm(&mut self) {
        self.hub.calm();
        self.calm = Some(self.now());
        if self.plan.has(Fault::Rollout) {
            self.stop(0);
        }
        // Once more when no late call of the operator can be on its way.
        self.resume();
        self.after(Duration::from_secs(20), Todo::Resume);
        self.after(Duration::from_secs(1), Todo::Check);
    }

    fn resume(&self) {
        for queue in QUEUES {
            let queue = Name::new(queue).expect("a valid name");
            self.hub.put(&Ask::Control(Control::Resume(queue)));
        }
    }

    fn boot(&mut self, n: usize) {
        if self.workers[n].up.is_some() {
            return;
        }
        self.incarnations += 1;
        let incarnation = self.incarnations;
        let node = self.node(&format!("worker {n}"));
        let (stop, stopping) = (Stop::new(), Arc::<AtomicU64>::default());
        let desk = Desk {
            watch: self.watch.clone(),
            node: node.clone(),
            incarnation,
            worker: n,
            words: self.words.clone(),
            stopping: stopping.clone(),
        };
        let app = self.app(n).provide(Arc::new(desk));
        let server = Server::new(node.clone(), app).stop(stop.clone());
        let words = self.words.clone();
        node.spawn(async move {
            server.work().await.expect("a well-formed app");
            words.send(Word::Stopped(n, incarnation));
        });
        self.workers[n].up = Some(Process {
            node,
            incarnation,
            stop,
            stopping,
        });
    }

    fn app(&self, n: usize) -> App {
        let plan = &self.plan;
        let queues = QUEUES.into_iter().zip([3, 2, 1]);
        let queues = queues.map(|(queue, weight)| Share {
            queue: Name::new(queue).expect("a valid name"),
            weight,
        });
        let mut app = App::new()
            .store(self.workers[n].wire.clone())
            .job::<Work<0>>()
            .job::<Work<2>>()
            .job::<Poison>()
            .job::<Tick>()
            .worker(PoolConfig {
                slots: plan.slots,
                queues: queues.collect(),
                lease: plan.lease,
                look: plan.look,
                soft: SOFT,
                hard: HARD,
                grace: Duration::from_secs(1),
                ..PoolConfig::default()
            });
        if !plan.has(Fault::Rollout) || n > 0 || self.hub.is_calm() {
            app = app.job::<Work<1>>();
        }
        if plan.has(Fault::Cron) {
            let each = Cron::new("each second", Schedule::parse("@every 1s"), Tick(50));
            let alone = Cron::new("alone", Schedule::parse("@every 2s"), Tick(3_000));
            app = app
                .cron(each.missed(Missed::All(100)))
                .cron(alone.overlap(Overlap::Skip));
        }
        app
    }

    /// What has not ended.
    fn open(&self) -> Vec<String> {
        let busy = lock(&self.book).busy;
        let producers = (busy > 0).then(|| format!("{busy} producers"));
        let open = self.hub.look(|_, oracle, _| {
            let open = oracle.records.values();
            let open = open.filter(|job| !job.state.ended() && job.spec.kind != "tick");
            open.take(5).map(shown).collect::<Vec<_>>()
        });
        producers.into_iter().chain(open).collect()
    }

    /// Stops all workers, and looks at what is left.
    async fn end(&mut self) {
        for n in 0..self.workers.len() {
            self.stop(n);
        }
        let until = self.now().plus(HARD + STOPPED);
        while self.now() < until && self.hub.flaws().is_empty() {
            self.todo.retain(|_, todo| !matches!(todo, Todo::Boot(_)));
            let at_most = until.since(self.now());
            self.after(at_most, Todo::Check);
            self.turn().await;
            if self.workers.iter().all(|worker| worker.up.is_none()) {
                break;
            }
        }
        if self.workers.iter().any(|worker| worker.up.is_some()) {
            self.hub.flaw("a worker did not stop in the end");
        }
        if self.watch.running() > 0 {
            self.hub.flaw("a handler outlives all workers");
        }
        let refused: Vec<Id> = lock(&self.book).refused.clone();
        let known = self.hub.look(|_, oracle, _| {
            let known = |id: &&Id| oracle.records.contains_key(id);
            refused.iter().filter(known).copied().collect::<Vec<_>>()
        });
        if !known.is_empty() {
            let text = format!("not enqueued, their producers were told: {known:?}");
            self.hub.flaw(text);
        }
        self.hub.close();
    }
}
