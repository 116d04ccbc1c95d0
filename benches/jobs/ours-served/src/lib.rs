//! Ours on tokio, in whichever store on a server: jobs are enqueued through [`Jobs`], then worked off by the
//! driver's worker. Who enqueues and who works have each a store of their own, as two processes have.

mod claim;
// The one of the stores that are embedded.
#[path = "../../ours/src/counted.rs"]
mod counted;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bench_served::{Args, Mode, Queue, Run, Work};
use serde::{Deserialize, Serialize};
use tideway::jobs::pool::PoolConfig;
use tideway::jobs::{DynJobStore, Job, JobCx, JobResult, JobStore, Jobs, MaxPayload, State};
use tideway::{App, Clock, Seed};
use tideway_driver::{Net, Server, Stop};
use tideway_tokio::Tokio;

use counted::{Calls, Counted};

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Ours(Work);

impl Job for Ours {
    const NAME: &'static str = "work";

    async fn run(self, _: JobCx) -> JobResult {
        bench_served::run().ran(&self.0);
        Ok(())
    }
}

#[derive(Clone)]
struct InStore {
    args: Args,
    jobs: Jobs,
    /// The worker's.
    store: DynJobStore,
    enqueues: Arc<Calls>,
    works: Arc<Calls>,
    deleted: bool,
}

impl Queue for InStore {
    async fn push(&self, batch: Vec<Work>) {
        let batch: Vec<_> = batch
            .into_iter()
            .map(|work| self.jobs.enqueue(Ours(work)))
            .collect();
        for receipt in self.jobs.enqueue_all(batch).await {
            receipt.expect("enqueued");
        }
    }

    async fn push_one(&self, work: Work) {
        self.jobs.enqueue(Ours(work)).await.expect("enqueued");
    }

    async fn work(&self, run: &'static Run) {
        let stop = Stop::new();
        let config = PoolConfig {
            slots: self.args.slots as u32,
            // No beat shall be counted.
            lease: Duration::from_secs(60),
            ..PoolConfig::default()
        };
        let app = App::new()
            .store(DynJobStore::clone(&self.store))
            .job::<Ours>()
            .worker(config);
        let server = Server::new(Tokio::current(), app).stop(stop.clone());
        let (report, ()) = tokio::join!(server.work(), async {
            run.all().await;
            stop.stop();
        });
        let report = report.expect("the app builds");
        assert_eq!(report.started, self.args.jobs as u64);
    }

    async fn check(&self) -> Vec<(String, f64)> {
        let jobs = self.args.jobs as u64;
        let per_job = |calls: u64| calls as f64 / jobs as f64;
        let calls = [
            ("enqueue_calls".to_owned(), per_job(self.enqueues.all())),
            ("execute_calls".to_owned(), per_job(self.works.all())),
        ];
        let mut stats = self.store.stats().await.expect("the store answers");
        let kept = if self.deleted { 0 } else { jobs };
        let mut count = |state| {
            stats
                .queues
                .first_mut()
                .map_or(0, |queue| *queue.count(state))
        };
        assert_eq!(count(State::Succeeded), kept, "jobs kept");
        assert_eq!(
            count(State::Pending) + count(State::Running),
            0,
            "jobs left"
        );
        calls.into()
    }
}

fn producer(store: impl JobStore, rt: Tokio) -> Jobs {
    Jobs::new(
        DynJobStore::new(store),
        Clock::new(tideway_driver::tasks(rt)),
        &Seed::from_u64(1),
        MaxPayload::default(),
    )
}

/// Enqueues one job in `store`, for those who want to see what it looks like there.
///
/// # Panics
/// If it cannot.
pub async fn enqueue_one(store: impl JobStore) {
    let enqueued = producer(store, Tokio::current()).enqueue(Ours(Work::new(0, 0)));
    enqueued.await.expect("enqueued");
}

/// The program: `open` opens the store at the URL of the command line; `deleted` tells whether it forgets jobs
/// that succeeded.
///
/// # Panics
/// If the store does not open, or anything goes wrong.
pub fn main<S, Opened>(args: &Args, deleted: bool, open: impl Fn(Net) -> Opened)
where
    S: JobStore,
    Opened: Future<Output = S>,
{
    bench_served::runtime(args).block_on(async {
        let rt = Tokio::current();
        let net = Net::of(rt.clone());
        let (enqueues, works) = (Arc::new(Calls::default()), Arc::new(Calls::default()));
        let counted = Counted::new(open(net.clone()).await, enqueues.clone());
        let queue = InStore {
            args: args.clone(),
            jobs: producer(counted, rt),
            store: DynJobStore::new(Counted::new(open(net).await, works.clone())),
            enqueues,
            works,
            deleted,
        };
        if args.mode == Mode::Claim {
            claim::run(&queue).await;
        } else {
            bench_served::main("ours", args, queue).await;
        }
    });
}
