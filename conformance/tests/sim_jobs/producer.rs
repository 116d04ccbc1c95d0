//! Who enqueues, and who interferes: tasks on hosts of their own, with ways to the store as bad as the workers'.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tideway::jobs::call::{Control, Enqueued, Select};
use tideway::jobs::{
    DynJobStore, Enqueue, EnqueueError, Id, Job, Jobs, MaxPayload, Name, Receipt, Start, State,
    UniqueBy, WaitFailed,
};
use tideway::{Clock, Rng};

use crate::hub::Hub;
use crate::jobs::{Act, POISON, Poison, QUEUES, Work};
use crate::node::Node;
use crate::plan::Fault;
use crate::post::lock;
use crate::wire::Wire;

/// What producers were told.
#[derive(Default)]
pub(crate) struct Book {
    /// These were not enqueued, and never will be.
    pub(crate) refused: Vec<Id>,
    pub(crate) accepted: Vec<Id>,
    /// How many producers go on.
    pub(crate) busy: u64,
}

pub(crate) struct Producer {
    pub(crate) hub: Hub,
    pub(crate) rng: Rng,
    pub(crate) jobs: Jobs,
    pub(crate) node: Node,
    pub(crate) book: Arc<Mutex<Book>>,
}

impl Producer {
    pub(crate) fn new(hub: &Hub, node: Node, mut rng: Rng, book: &Arc<Mutex<Book>>) -> Self {
        let wire = Wire::new(hub, Rng::new(&rng.fork()));
        let clock = Clock::new(tideway_driver::tasks(node.clone()));
        let store = DynJobStore::new(wire);
        Self {
            hub: hub.clone(),
            jobs: Jobs::new(store, clock, &rng.fork(), MaxPayload::default()),
            rng,
            node,
            book: book.clone(),
        }
    }

    async fn pause(&mut self, most: Duration) {
        let millis = self.rng.below(most.as_millis() as u64 + 1);
        let host = self.node.host();
        host.sleep(Duration::from_millis(millis)).await;
    }

    /// Enqueues until it has enqueued enough; the first brings the poison.
    pub(crate) async fn produce(mut self, first: bool) {
        let plan = self.hub.plan().clone();
        let pause = plan.trouble * 2 / plan.jobs as u32;
        let mut left = plan.jobs;
        let poisoned = (first && plan.has(Fault::Poison)).then_some(plan.jobs - plan.jobs / 3);
        while left > 0 {
            self.pause(pause).await;
            if poisoned == Some(left) {
                let receipt = self.jobs.enqueue(Poison).await;
                self.note(None, receipt);
            }
            if plan.has(Fault::Chain) && self.rng.below(4) == 0 {
                let batch = self.chain(left.min(4));
                left -= batch.len() as u64;
                let ids: Vec<Option<Id>> = batch.iter().map(Enqueue::job_id).collect();
                let receipts = self.jobs.enqueue_all(batch).await;
                for (id, receipt) in ids.into_iter().zip(receipts) {
                    self.note(id, receipt);
                }
            } else {
                left -= 1;
                let enqueue = self.job();
                let id = enqueue.job_id();
                let receipt = enqueue.await;
                self.note(id, receipt);
            }
        }
        lock(&self.book).busy -= 1;
    }

    fn note(&self, id: Option<Id>, receipt: Result<Receipt, EnqueueError>) {
        let plan = self.hub.plan();
        let mut book = lock(&self.book);
        match receipt {
            Ok(receipt) => {
                let there = self.hub.look(|model, _, _| model.job(receipt.id).is_some());
                let excused = plan.any(&[Fault::Failover, Fault::Control, Fault::Jump]);
                if !there && !excused && !matches!(receipt.outcome, Enqueued::UniqueHit(_)) {
                    self.hub.flaw(format!("{receipt:?}, and it is not there"));
                }
                book.accepted.push(receipt.id);
            }
            Err(EnqueueError::Unavailable(_)) => book.refused.extend(id),
            // One of a batch that waits for one that was not enqueued.
            Err(EnqueueError::Ambiguous(_) | EnqueueError::UnknownWait(_)) => {}
            Err(error) => self.hub.flaw(format!("{id:?}: {error}")),
        }
    }

    /// Some jobs, each waiting for some before it.
    fn chain(&mut self, count: u64) -> Vec<Enqueue> {
        let mut batch: Vec<Enqueue> = Vec::new();
        for _ in 0..count {
            let before: Vec<Id> = batch.iter().filter_map(Enqueue::job_id).collect();
            let mut next = self.job();
            let waits: Vec<Id> = before
                .into_iter()
                .filter(|_| self.rng.below(2) == 0)
                .collect();
            next = next.waits(waits);
            if self.rng.below(3) == 0 {
                next = next.wait_failed(WaitFailed::Run);
            }
            batch.push(next);
        }
        batch
    }

    fn job(&mut self) -> Enqueue {
        let number = self.rng.below(1_000);
        match self.rng.below(6) {
            0 | 1 => {
                let act = self.act(true);
                self.spec(Work::<1>(act, number))
            }
            2 => {
                let act = self.act(false);
                self.spec(Work::<2>(act, number))
            }
            _ => {
                let act = self.act(false);
                self.spec(Work::<0>(act, number))
            }
        }
    }

    fn act(&mut self, timed: bool) -> Act {
        let plan = self.hub.plan().clone();
        let rng = &mut self.rng;
        let choices = [
            (true, Act::Return),
            (true, Act::Return),
            (true, Act::Sleep(rng.below(3_000))),
            (true, Act::Sleep(rng.below(12_000))),
            (true, Act::Steps(1 + rng.below(5), 100 + rng.below(800))),
            (plan.has(Fault::Fail), Act::Fail(1 + rng.below(4) as u32)),
            (plan.has(Fault::Fail), Act::RetryAfter(rng.below(2_000))),
            (plan.has(Fault::Fail), Act::Fatal),
            (plan.has(Fault::Fail), Act::Snooze(1 + rng.below(3) as u32)),
            (plan.has(Fault::Panic), Act::Panic),
            (plan.has(Fault::Hang) && timed, Act::Hang),
            (plan.has(Fault::Hang) && timed, Act::Obey),
            (plan.has(Fault::Block), Act::Block(500 + rng.below(4_000))),
            (
                plan.has(Fault::Block),
                Act::Block(4_000 + rng.below(12_000)),
            ),
            (plan.has(Fault::Chain), Act::Then),
        ];
        let at = rng.below(choices.len() as u64) as usize;
        match choices[at] {
            (true, act) => act,
            _ => Act::Return,
        }
    }

    fn spec<T: Job>(&mut self, job: T) -> Enqueue {
        let plan = self.hub.plan().clone();
        let mut enqueue = self.jobs.enqueue(job);
        let rng = &mut self.rng;
        let [band, delay, key, hold, conflict, group] = [(); 6].map(|()| rng.below(1_000));
        enqueue = enqueue.band((band % 3) as u8);
        if delay % 6 == 0 {
            enqueue = enqueue.later(Duration::from_millis(1 + delay * 5));
        }
        if plan.has(Fault::Unique) && key % 2 == 0 {
            let mut unique = UniqueBy::key(format!("key {}", key % 3));
            unique = match hold % 3 {
                0 => unique,
                1 => unique.until_start(),
                _ => unique.within(Duration::from_millis(1 + hold * 10)),
            };
            unique = match conflict % 3 {
                0 => unique,
                1 => unique.replacing(),
                _ => unique.rescheduling(),
            };
            enqueue = enqueue.unique(unique);
        }
        if plan.has(Fault::Limit) && group % 2 == 0 {
            enqueue = enqueue.group(["blue", "red"][(group / 2 % 2) as usize]);
        }
        enqueue
    }

    /// Interferes until nothing may go wrong any more.
    pub(crate) async fn interfere(mut self) {
        loop {
            self.pause(Duration::from_secs(3)).await;
            if self.hub.is_calm() {
                return;
            }
            let control = self.control();
            // A control that is lost is not repeated.
            let patience = self.node.host().sleep(Duration::from_secs(2));
            let call = std::pin::pin!(self.jobs.control(&control));
            let _ = futures_util::future::select(call, patience).await;
        }
    }

    fn control(&mut self) -> Control {
        let queue = QUEUES[self.rng.below(2) as usize];
        let queue = Name::new(queue).expect("a valid name");
        let some = |rng: &mut Rng, hub: &Hub, wanted: &dyn Fn(State) -> bool| {
            let ids: Vec<Id> = hub.look(|_, oracle, _| {
                let jobs = oracle.records.iter();
                let jobs = jobs.filter(|(_, job)| wanted(job.state) && job.spec.kind != POISON);
                jobs.map(|(id, _)| *id).collect()
            });
            let chosen = ids.into_iter().filter(|_| rng.below(4) == 0).take(5);
            Select::Ids(chosen.collect())
        };
        let (rng, hub) = (&mut self.rng, &self.hub);
        match rng.below(8) {
            0..3 => Control::Cancel(some(rng, hub, &|state| !state.ended())),
            3 => Control::Pause(queue),
            4 => Control::Resume(queue),
            5 => {
                let after = Start::After(Duration::from_millis(rng.below(5_000)));
                let pending = |state| state == State::Pending;
                Control::Reschedule(some(rng, hub, &pending), after)
            }
            6 => {
                let bad = |state| matches!(state, State::Dead | State::Cancelled);
                Control::Revive(some(rng, hub, &bad), Start::Now)
            }
            _ => Control::Delete(some(rng, hub, &State::ended)),
        }
    }
}
