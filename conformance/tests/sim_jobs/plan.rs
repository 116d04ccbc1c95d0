//! What a world is made of: sizes and classes of faults, all drawn from its seed, some of them taken away again
//! when a failure is shrunk.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use tideway::{Rng, Seed};

/// A class of things that happen to a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// A call does not arrive.
    LostRequest,
    /// A call arrives, its answer does not.
    LostReply,
    /// A call arrives a second time, later.
    Duplicate,
    /// A call or its answer takes longer than its caller waits.
    Delay,
    /// No hint of the store arrives.
    Deaf,
    /// One worker is cut off for a time, or hears no answer.
    Partition,
    /// The store refuses every call for a time.
    Outage,
    /// The store's clock jumps, forward or back.
    Jump,
    /// The store is replaced by a copy of it that lags behind.
    Failover,
    /// A worker stands still for longer than its leases.
    Freeze,
    /// A worker dies, and a new one of the same name begins.
    Crash,
    /// A worker is stopped well, and a new one begins.
    Deploy,
    /// One job takes down every worker that runs it.
    Poison,
    /// A worker does not know all kinds of jobs.
    Rollout,
    /// Handlers hang until they are dropped.
    Hang,
    /// Handlers block their thread.
    Block,
    /// Handlers panic.
    Panic,
    /// Handlers fail, give up, put themselves off.
    Fail,
    /// Somebody cancels, pauses, reschedules, revives, deletes.
    Control,
    /// Jobs have unique keys.
    Unique,
    /// Groups and queues are limited.
    Limit,
    /// Jobs wait for jobs and bring jobs.
    Chain,
    /// Jobs by the clock, one a second.
    Cron,
    /// The wall clocks of workers and producers are wrong.
    Skew,
}

impl Fault {
    /// Each, and of how many seeds in a hundred it is part.
    const ALL: [(Fault, u64); 24] = [
        (Fault::LostRequest, 30),
        (Fault::LostReply, 30),
        (Fault::Duplicate, 30),
        (Fault::Delay, 25),
        (Fault::Deaf, 20),
        (Fault::Partition, 20),
        (Fault::Outage, 15),
        (Fault::Jump, 15),
        (Fault::Failover, 8),
        (Fault::Freeze, 15),
        (Fault::Crash, 25),
        (Fault::Deploy, 25),
        (Fault::Poison, 20),
        (Fault::Rollout, 10),
        (Fault::Hang, 30),
        (Fault::Block, 20),
        (Fault::Panic, 40),
        (Fault::Fail, 50),
        (Fault::Control, 35),
        (Fault::Unique, 40),
        (Fault::Limit, 30),
        (Fault::Chain, 50),
        (Fault::Cron, 20),
        (Fault::Skew, 30),
    ];
}

/// One world. The same plan is the same run, to the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) faults: BTreeSet<Fault>,
    pub(crate) workers: u64,
    pub(crate) producers: u64,
    /// How many jobs each producer enqueues.
    pub(crate) jobs: u64,
    pub(crate) slots: u32,
    pub(crate) lease: Duration,
    pub(crate) look: Duration,
    /// How long things go wrong.
    pub(crate) trouble: Duration,
    pub(crate) max_batch: u32,
}

impl Plan {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut rng = stream(seed, "plan");
        let mut pick = |choices: &[u64]| choices[rng.below(choices.len() as u64) as usize];
        let workers = pick(&[1, 2, 2, 3, 4]);
        let producers = pick(&[1, 2, 3]);
        let jobs = pick(&[4, 8, 16, 24]);
        let slots = pick(&[1, 2, 4, 8]) as u32;
        let lease = Duration::from_secs(pick(&[3, 4, 6, 10]));
        let look = Duration::from_millis(pick(&[500, 1_000, 3_000]));
        let trouble = Duration::from_secs(pick(&[15, 25, 40]));
        let max_batch = pick(&[1, 3, 1_000, 1_000]) as u32;
        let faults = Fault::ALL.into_iter();
        let faults = faults.filter(|(_, percent)| rng.below(100) < *percent);
        Self {
            seed,
            faults: faults.map(|(fault, _)| fault).collect(),
            workers,
            producers,
            jobs,
            slots,
            lease,
            look,
            trouble,
            max_batch,
        }
    }

    /// The plan of a seed as the environment changes it: what the command of a shrunk failure says.
    pub(crate) fn asked(seed: u64) -> Self {
        let mut plan = Self::draw(seed);
        let number = |name: &str| -> Option<u64> {
            let text = std::env::var(name).ok()?;
            Some(
                text.parse()
                    .unwrap_or_else(|_| panic!("{name} is a number")),
            )
        };
        plan.workers = number("TIDEWAY_WORKERS").unwrap_or(plan.workers);
        plan.producers = number("TIDEWAY_PRODUCERS").unwrap_or(plan.producers);
        plan.jobs = number("TIDEWAY_JOBS").unwrap_or(plan.jobs);
        if let Ok(names) = std::env::var("TIDEWAY_FAULTS") {
            let fault = |name: &str| {
                let mut all = Fault::ALL.into_iter().map(|(fault, _)| fault);
                all.find(|fault| format!("{fault:?}") == name)
                    .unwrap_or_else(|| panic!("TIDEWAY_FAULTS: there is no {name}"))
            };
            let names = names.split(',').filter(|name| !name.is_empty());
            plan.faults = names.map(fault).collect();
        }
        plan
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    pub(crate) fn any(&self, faults: &[Fault]) -> bool {
        faults.iter().any(|fault| self.has(*fault))
    }

    /// Whether nothing happens that makes a lease run out: then no job may be charged with a crash. Lost and
    /// late calls are no excuse, for at most one of a kind in a row goes wrong.
    pub(crate) fn no_lease_runs_out(&self) -> bool {
        use Fault::{
            Block, Crash, Delay, Deploy, Failover, Freeze, Jump, LostReply, LostRequest, Outage,
            Partition, Poison,
        };
        let lossy = self.any(&[Delay, LostReply, LostRequest]);
        // After a jump the next beat revives a lease in time only if it arrives.
        // Nor has a worker that is forced to stop the time to say twice what becomes of its jobs.
        let late = self.any(&[Jump, Deploy]) && lossy;
        !late && !self.any(&[Crash, Poison, Freeze, Partition, Outage, Failover, Block])
    }

    /// Whether two handlers of one job never run at the same time.
    pub(crate) fn one_at_a_time(&self) -> bool {
        !self.any(&[Fault::Freeze, Fault::Jump, Fault::Block, Fault::Failover])
    }

    /// A generator for one purpose, whatever becomes of the others.
    pub(crate) fn rng(&self, purpose: &str) -> Rng {
        stream(self.seed, purpose)
    }

    /// Smaller plans to try in turn: faults first, then jobs and workers.
    pub(crate) fn smaller(&self) -> Vec<Plan> {
        let mut plans = Vec::new();
        for fault in &self.faults {
            let mut plan = self.clone();
            plan.faults.remove(fault);
            plans.push(plan);
        }
        let mut size = |change: &dyn Fn(&mut Plan)| {
            let mut plan = self.clone();
            change(&mut plan);
            if plan != *self {
                plans.push(plan);
            }
        };
        size(&|plan| plan.jobs = plan.jobs.div_ceil(2));
        size(&|plan| plan.jobs = (plan.jobs - 1).max(1));
        size(&|plan| plan.producers = (plan.producers - 1).max(1));
        size(&|plan| plan.workers = (plan.workers - 1).max(1));
        plans
    }

    /// What runs exactly this again.
    pub(crate) fn command(&self) -> String {
        let names: Vec<String> = self
            .faults
            .iter()
            .map(|fault| format!("{fault:?}"))
            .collect();
        let Plan {
            seed,
            workers,
            producers,
            jobs,
            ..
        } = self;
        let faults = names.join(",");
        format!(
            "TIDEWAY_SEED={seed} TIDEWAY_FAULTS={faults} TIDEWAY_WORKERS={workers} \
             TIDEWAY_PRODUCERS={producers} TIDEWAY_JOBS={jobs} \
             cargo test -p tideway-conformance --test sim_jobs no_job -- --nocapture"
        )
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan {
            seed,
            faults,
            workers,
            producers,
            jobs,
            slots,
            lease,
            ..
        } = self;
        write!(
            f,
            "seed {seed}: {workers} workers of {slots} slots with leases of {lease:?}, \
             {producers} producers of {jobs} jobs, {faults:?}"
        )
    }
}

fn stream(seed: u64, purpose: &str) -> Rng {
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in purpose.bytes().chain(seed.to_le_bytes()) {
        sum = (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    Rng::new(&Seed::from_u64(sum))
}
