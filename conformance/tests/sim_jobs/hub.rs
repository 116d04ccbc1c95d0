//! The store's side of a world: the model, its clock, what goes wrong with it as a whole, and the oracle that
//! looks at every call.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tideway::jobs::call::{Control, Settled, Wake};
use tideway::jobs::{Name, Outcome, Owner, Reason, State};
use tideway::{Mono, Rng, Wall};
use tideway_driver::Runtime as _;
use tideway_memory::Model;
use tideway_sim::Host;

use crate::ask::{Answer, Ask};
use crate::jobs::POISON;
use crate::oracle::{Change, Oracle, cut, shown};
use crate::plan::{Fault, Plan};
use crate::post::{Post, lock};

/// Clones share it.
#[derive(Clone)]
pub(crate) struct Hub {
    host: Host,
    plan: Arc<Plan>,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    model: Model,
    oracle: Oracle,
    /// By how many milliseconds the clock has jumped.
    shift: i64,
    down: Mono,
    backup: Option<(Model, Oracle)>,
    hearers: Vec<(Owner, Post<Wake>)>,
    rng: Rng,
    trace: u64,
    calls: u64,
    calm: bool,
    /// Only the first few: the rest follows from them.
    flaws: Vec<String>,
}

/// No more flaws are kept.
const FLAWS: usize = 4;

impl Hub {
    pub(crate) fn new(host: Host, plan: &Arc<Plan>) -> Self {
        let inner = Inner {
            model: Model::new(),
            oracle: Oracle::default(),
            shift: 0,
            down: Mono::START,
            backup: None,
            hearers: Vec::new(),
            rng: plan.rng("hub"),
            trace: 0,
            calls: 0,
            calm: false,
            flaws: Vec::new(),
        };
        Self {
            host,
            plan: plan.clone(),
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Where calls are on their way.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    fn wall(&self, inner: &Inner) -> Wall {
        Wall(self.host.now().wall.0 + inner.shift)
    }

    pub(crate) fn flaw(&self, text: impl Into<String>) {
        let mut inner = lock(&self.inner);
        if inner.flaws.len() < FLAWS {
            inner.flaws.push(text.into());
        }
    }

    pub(crate) fn flaws(&self) -> Vec<String> {
        lock(&self.inner).flaws.clone()
    }

    /// From here on nothing goes wrong.
    pub(crate) fn calm(&self) {
        let mut inner = lock(&self.inner);
        inner.calm = true;
        inner.down = Mono::START;
    }

    pub(crate) fn is_calm(&self) -> bool {
        lock(&self.inner).calm
    }

    pub(crate) fn is_down(&self) -> bool {
        self.host.now().mono < lock(&self.inner).down
    }

    pub(crate) fn outage(&self, time: Duration) {
        lock(&self.inner).down = self.host.now().mono.plus(time);
    }

    pub(crate) fn jump(&self, millis: i64) {
        lock(&self.inner).shift += millis;
    }

    /// A copy that is not kept up to date from here on.
    pub(crate) fn back_up(&self) {
        let mut inner = lock(&self.inner);
        inner.backup = Some((inner.model.clone(), inner.oracle.clone()));
    }

    /// The copy takes over.
    pub(crate) fn fail_over(&self) {
        let mut inner = lock(&self.inner);
        if let Some((model, oracle)) = inner.backup.take() {
            inner.model = model;
            inner.oracle = oracle;
        }
    }

    pub(crate) fn hear(&self, owner: Owner) -> Post<Wake> {
        let post = Post::new();
        lock(&self.inner).hearers.push((owner, post.clone()));
        post
    }

    /// Looks at records and the oracle.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Model, &Oracle, Wall) -> T) -> T {
        let inner = lock(&self.inner);
        look(&inner.model, &inner.oracle, self.wall(&inner))
    }

    /// How many calls there were, and a number that stands for all of them.
    pub(crate) fn trace(&self) -> (u64, u64) {
        let inner = lock(&self.inner);
        (inner.calls, inner.trace)
    }

    /// The last checks.
    pub(crate) fn close(&self) {
        let mut inner = lock(&self.inner);
        let now = self.wall(&inner);
        let inner = &mut *inner;
        let mut flaws = inner.model.audit().flaws;
        inner.oracle.balance(&inner.model, now, &mut flaws);
        if self.plan.has(Fault::Cron) && !self.plan.any(&[Fault::Jump, Fault::Failover]) {
            inner.oracle.every_slot("each second", &mut flaws);
        }
        inner.flaws.extend(flaws);
        inner.flaws.truncate(FLAWS);
    }

    /// Carries out a call and judges it.
    pub(crate) fn put(&self, ask: &Ask) -> Answer {
        let mut inner = lock(&self.inner);
        let now = self.wall(&inner);
        let inner = &mut *inner;
        let answer = ask.put(&mut inner.model, now);
        let mut flaws = Vec::new();
        inner.calls += 1;
        count(inner, &answer);
        let mut changes = Vec::new();
        let charged = inner.oracle.tally.crashes;
        // What only reads is looked at now and then: it is most of the calls.
        if !ask.reads() || inner.calls.is_multiple_of(16) {
            changes = inner
                .oracle
                .judge(&inner.model, ask, &answer, now, &mut flaws);
        }
        if inner.oracle.tally.crashes > charged && self.plan.no_lease_runs_out() {
            flaws.push(format!(
                "a crash was charged, though nobody crashed: {ask:?}"
            ));
        }
        flaws.extend(changes.iter().filter_map(|change| self.innocent(change)));
        if inner.rng.below(24) == 0 {
            again(inner, ask, &answer, now, &mut flaws);
        }
        if inner.calls.is_multiple_of(512) {
            flaws.extend(inner.model.audit().flaws);
        }
        trace(inner, ask, now, &changes);
        self.tell(inner, ask, &changes);
        inner.flaws.extend(flaws);
        inner.flaws.truncate(FLAWS);
        answer
    }

    /// Beside one poison job no other dies of crashes.
    fn innocent(&self, change: &Change) -> Option<String> {
        use Fault::{Block, Crash, Failover, Freeze, Jump, Outage, Partition};
        let after = change.after.as_ref()?;
        let other = [Crash, Freeze, Partition, Outage, Jump, Failover, Block];
        let buried = after.reason == Some(Reason::Crash)
            && after.state == State::Dead
            && after.spec.kind != POISON;
        (buried && !self.plan.any(&other))
            .then(|| format!("an innocent job died: {}", shown(after)))
    }

    /// Sends hints, or not.
    fn tell(&self, inner: &mut Inner, ask: &Ask, changes: &[Change]) {
        let deaf = self.plan.has(Fault::Deaf) && !inner.calm;
        inner.hearers.retain(|(_, post)| !post.alone());
        let mut queues: Vec<&Name> = changes
            .iter()
            .filter_map(|change| change.after.as_ref())
            .filter(|after| after.state == State::Pending)
            .map(|after| &after.spec.queue)
            .collect();
        if let Ask::Control(Control::Resume(queue)) = ask {
            queues.push(queue);
        }
        queues.sort();
        queues.dedup();
        for (owner, post) in &inner.hearers {
            if deaf && inner.rng.below(4) > 0 {
                continue;
            }
            for queue in &queues {
                post.send(Wake::Queue((*queue).clone()));
            }
            let cancelled = changes.iter().filter_map(|change| {
                let (before, after) = (change.before.as_ref()?, change.after.as_ref()?);
                let asked = after.cancel && !before.cancel && after.owner == Some(*owner);
                asked.then(|| after.id())
            });
            let cancelled: Vec<_> = cancelled.collect();
            if !cancelled.is_empty() {
                post.send(Wake::Cancel(cancelled));
            }
        }
    }
}

/// The same call again, at once: it changes nothing, and its answer is a repeat's.
fn again(inner: &mut Inner, ask: &Ask, answer: &Answer, now: Wall, flaws: &mut Vec<String>) {
    use tideway::jobs::call::Enqueued::{Duplicate, Inserted, Superseded, UniqueHit};
    if let Answer::Enqueue(outcomes) = answer
        && outcomes.iter().any(|out| matches!(out, UniqueHit(_)))
        && outcomes.iter().any(|out| matches!(out, Superseded(_)))
    {
        // Nobody remembers a hit: what came behind it in the batch may have freed its key.
        return;
    }
    let before = inner.model.clone();
    let second = ask.put(&mut inner.model, now);
    if inner.model != before {
        flaws.push(format!("a repeat changed something: {}", cut(ask)));
    }
    let well = match (answer, &second) {
        (Answer::Claim(first), Answer::Claim(second)) => first.jobs == second.jobs,
        (Answer::Settle(first), Answer::Settle(second)) => {
            let same = |(settle, (first, second)): (
                &tideway::jobs::call::Settle,
                (&Settled, &Settled),
            )| {
                match first {
                    Settled::Applied(_) if settle.outcome == Outcome::Abandoned => true,
                    Settled::Applied(kind) => *second == Settled::Already(*kind),
                    other => other == second,
                }
            };
            match ask {
                Ask::Settle(settles) => settles.iter().zip(first.iter().zip(second)).all(same),
                _ => false,
            }
        }
        (Answer::Beat(first), Answer::Beat(second)) => first == second,
        (Answer::Enqueue(first), Answer::Enqueue(second)) => {
            first.iter().zip(second).all(|(first, second)| match first {
                Inserted | Superseded(_) => *second == Duplicate,
                other => other == second,
            })
        }
        _ => true,
    };
    if !well {
        flaws.push(format!(
            "a repeat was answered otherwise: {}\n  {}\n  {}",
            cut(ask),
            cut(answer),
            cut(&second)
        ));
    }
}

fn count(inner: &mut Inner, answer: &Answer) {
    use tideway::jobs::call::Beaten;
    let tally = &mut inner.oracle.tally;
    match answer {
        Answer::Settle(outcomes) => {
            for outcome in outcomes {
                match outcome {
                    Settled::Applied(_) => tally.applied += 1,
                    Settled::Already(_) => tally.already += 1,
                    Settled::Fenced => tally.fenced += 1,
                    _ => tally.refused += 1,
                }
            }
        }
        Answer::Beat(outcomes) => {
            let lost = outcomes.iter().filter(|out| **out == Beaten::Lost);
            tally.lost += lost.count() as u64;
        }
        _ => {}
    }
}

fn trace(inner: &mut Inner, ask: &Ask, now: Wall, changes: &[Change]) {
    let mut word = |word: u64| {
        inner.trace = (inner.trace ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
    };
    word(ask.kind() as u64);
    word(now.0 as u64);
    for job in changes.iter().filter_map(|change| change.after.as_ref()) {
        word(job.id().as_u128() as u64);
        word((job.id().as_u128() >> 64) as u64);
        word(job.token << 8 | job.state as u64);
        word(job.run_at.0 as u64);
    }
}
