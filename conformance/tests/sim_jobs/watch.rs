//! What handlers see of each other: how many run, of which job, and since when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tideway::Mono;
use tideway::jobs::{Id, JobCx, State};
use tideway_driver::Runtime as _;

use crate::hub::Hub;
use crate::node::Node;
use crate::plan::Fault;
use crate::post::{Post, lock};

/// All handlers of a world.
#[derive(Clone)]
pub(crate) struct Watch {
    hub: Hub,
    live: Arc<Mutex<Live>>,
}

#[derive(Default)]
struct Live {
    /// Who runs it, under which token.
    jobs: BTreeMap<Id, BTreeSet<(u64, u64)>>,
    /// How many each incarnation runs.
    busy: BTreeMap<u64, u32>,
    /// Every start there was.
    starts: BTreeSet<(Id, u64, u64)>,
    most: usize,
}

impl Watch {
    pub(crate) fn new(hub: &Hub) -> Self {
        Self {
            hub: hub.clone(),
            live: Arc::default(),
        }
    }

    /// How many handlers were started, and how many ran at once at most.
    pub(crate) fn starts(&self) -> (u64, usize) {
        let live = lock(&self.live);
        (live.starts.len() as u64, live.most)
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        lock(&self.live).jobs.values().map(BTreeSet::len).sum()
    }
}

/// What a process has to say to the world.
pub(crate) enum Word {
    /// This worker dies.
    Kill(usize),
    /// This incarnation of a worker has stopped well.
    Stopped(usize, u64),
}

/// Where the handlers of one incarnation report.
pub(crate) struct Desk {
    pub(crate) watch: Watch,
    pub(crate) node: Node,
    pub(crate) incarnation: u64,
    pub(crate) worker: usize,
    /// To whoever runs the world.
    pub(crate) words: Post<Word>,
    /// When it was told to stop, in nanoseconds; 0 for never.
    pub(crate) stopping: Arc<AtomicU64>,
}

impl Desk {
    pub(crate) fn kill(&self) {
        self.words.send(Word::Kill(self.worker));
    }

    pub(crate) fn start(&self, cx: &JobCx) -> Here {
        let hub = &self.watch.hub;
        let plan = hub.plan();
        let (id, token, incarnation) = (cx.id(), cx.token(), self.incarnation);
        let stopping = Mono::from_nanos(self.stopping.load(Ordering::Relaxed));
        let stops = stopping > Mono::START && self.node.now().mono > stopping;
        if stops && !self.node.froze_since(stopping) {
            hub.flaw(format!("{id} starts in a worker that stops"));
        }
        let leased = hub.look(|model, _, now| {
            let job = model.job(id);
            job.is_some_and(|job| {
                job.state == State::Running && job.token == token && !job.lapsed(now)
            })
        });
        if !leased && !plan.any(&[Fault::Freeze, Fault::Jump, Fault::Failover]) {
            hub.flaw(format!("{id} starts without a lease"));
        }
        let mut live = lock(&self.watch.live);
        let first = live.starts.insert((id, token, incarnation));
        // A store that lost a claim gives the same token once more.
        if !first && !plan.has(Fault::Failover) {
            hub.flaw(format!("{id} starts twice under the token {token}"));
        }
        let runs = live.jobs.entry(id).or_default();
        if !runs.is_empty() && plan.one_at_a_time() {
            hub.flaw(format!(
                "{id} starts at {incarnation}, and runs at {runs:?}"
            ));
        }
        runs.insert((incarnation, token));
        let busy = live.busy.entry(incarnation).or_default();
        *busy += 1;
        let busy = *busy;
        // A handler that cannot be stopped is told by its token from the one after it: see above.
        let twins = plan.has(Fault::Failover) && plan.has(Fault::Block);
        if busy > plan.slots && !twins {
            hub.flaw(format!("{busy} handlers run in {} slots", plan.slots));
        }
        let running = live.jobs.values().map(BTreeSet::len).sum();
        live.most = live.most.max(running);
        Here {
            watch: self.watch.clone(),
            id,
            run: (incarnation, token),
        }
    }
}

/// A handler that runs, until it is dropped.
pub(crate) struct Here {
    watch: Watch,
    id: Id,
    run: (u64, u64),
}

impl Drop for Here {
    fn drop(&mut self) {
        let mut live = lock(&self.watch.live);
        if let Some(runs) = live.jobs.get_mut(&self.id) {
            runs.remove(&self.run);
            if runs.is_empty() {
                live.jobs.remove(&self.id);
            }
        }
        if let Some(busy) = live.busy.get_mut(&self.run.0) {
            *busy -= 1;
        }
    }
}
