//! Ours on tokio: jobs are enqueued in batches through [`Jobs`], then worked off by the driver's worker.

mod counted;

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use bench_jobs::{Args, Done, Watch, Work};
use serde::{Deserialize, Serialize};
use tideway::jobs::pool::PoolConfig;
use tideway::jobs::{DynJobStore, Job, JobCx, JobResult, JobStore, Jobs, MaxPayload, State};
use tideway::{App, Clock, Seed};
use tideway_driver::{Server, Stop};
use tideway_memory::Memory;
use tideway_sqlite::{Options, Sqlite, Synchronous};
use tideway_tokio::Tokio;

use counted::{Calls, Counted};

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Ours(Work);

/// Of this run.
static RUN: OnceLock<(Done, Stop)> = OnceLock::new();

impl Job for Ours {
    const NAME: &'static str = "work";

    async fn run(self, _: JobCx) -> JobResult {
        let (done, stop) = RUN.get().expect("a run has begun");
        std::hint::black_box(&self.0);
        if done.one() {
            stop.stop();
        }
        Ok(())
    }
}

fn main() {
    let args = bench_jobs::args();
    let mut runtime = match args.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let runtime = runtime.enable_all().build().expect("tokio starts");
    let sqlite = |synchronous| {
        let options = Options::default().synchronous(synchronous);
        Sqlite::open(args.fresh("ours"), options).expect("the file opens")
    };
    match args.store.as_str() {
        "memory" => runtime.block_on(run(&args, Memory::default())),
        "sqlite-full" => runtime.block_on(run(&args, sqlite(Synchronous::Full))),
        "sqlite-normal" => runtime.block_on(run(&args, sqlite(Synchronous::Normal))),
        other => panic!("no store {other}"),
    }
}

async fn run(args: &Args, store: impl JobStore) {
    let stop = Stop::new();
    RUN.set((Done::of(args.jobs), stop.clone()))
        .expect("one run per process");
    let rt = Tokio::current();
    let calls = Arc::new(Calls::default());
    let store = DynJobStore::new(Counted::new(store, calls.clone()));
    let clock = Clock::new(tideway_driver::tasks(rt.clone()));
    let jobs = Jobs::new(
        store.clone(),
        clock,
        &Seed::from_u64(1),
        MaxPayload::default(),
    );
    let watch = Watch::start();
    let mut left = args.jobs;
    while left > 0 {
        let batch = left.min(args.batch);
        left -= batch;
        let batch: Vec<_> = (0..batch)
            .map(|_| jobs.enqueue(Ours(Work::new())))
            .collect();
        for receipt in jobs.enqueue_all(batch).await {
            receipt.expect("enqueued");
        }
    }
    let enqueue = watch.lap();
    let enqueued = calls.all();
    let config = PoolConfig {
        slots: args.slots as u32,
        // One store call may be slow on a busy disk; no beat shall be counted for it.
        lease: Duration::from_secs(60),
        ..PoolConfig::default()
    };
    let app = App::new()
        .store(DynJobStore::clone(&store))
        .job::<Ours>()
        .worker(config);
    let server = Server::new(rt, app).stop(stop);
    let watch = Watch::start();
    let report = server.work().await.expect("the app builds");
    let execute = watch.lap();
    assert_eq!(report.started, args.jobs as u64);
    let mut stats = store.stats().await.expect("the store answers");
    assert_eq!(*stats.queues[0].count(State::Succeeded), args.jobs as u64);
    let per_job = |calls: u64| calls as f64 / args.jobs as f64;
    bench_jobs::report(
        "ours",
        &args.store,
        args.jobs,
        enqueue,
        execute,
        &[
            ("enqueue_calls", per_job(enqueued)),
            ("execute_calls", per_job(calls.all() - 1 - enqueued)),
        ],
    );
}
