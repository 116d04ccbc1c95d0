//! The published `tideway` 0.7: its in-memory queue and its own workers. It has no batches; its workers take
//! one job at a time.

use std::sync::{Arc, OnceLock};

use bench_jobs::{Done, Watch, Work};
use tideway_published::{
    AppContext, InMemoryJobQueue, Job, JobData, JobQueue, JobRegistry, Result, WorkerPool,
};
use tokio::sync::Notify;

#[derive(Debug)]
struct Published(Work);

/// Of this run.
static RUN: OnceLock<(Done, Notify)> = OnceLock::new();

#[async_trait::async_trait]
impl Job for Published {
    fn job_type(&self) -> &str {
        "work"
    }

    fn serialize(&self) -> Result<serde_json::Value> {
        Ok(serde_json::to_value(&self.0)?)
    }

    async fn execute(&self, _: &AppContext) -> Result<()> {
        let (done, all) = RUN.get().expect("a run has begun");
        std::hint::black_box(&self.0);
        if done.one() {
            all.notify_one();
        }
        Ok(())
    }
}

fn main() {
    let args = bench_jobs::args();
    assert_eq!(args.store, "memory", "it has no other store here");
    let mut runtime = match args.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let runtime = runtime.enable_all().build().expect("tokio starts");
    runtime.block_on(run(&args));
}

async fn run(args: &bench_jobs::Args) {
    let (_, all) = RUN.get_or_init(|| (Done::of(args.jobs), Notify::new()));
    let queue = Arc::new(InMemoryJobQueue::new(3, 60));
    let watch = Watch::start();
    for _ in 0..args.jobs {
        queue
            .enqueue(&Published(Work::new()))
            .await
            .expect("enqueued");
    }
    let enqueue = watch.lap();
    let registry = Arc::new(JobRegistry::new());
    // As its guide has it: the handler makes the job of its payload and runs it.
    registry
        .register("work", |data: JobData, cx: Arc<AppContext>| {
            Box::pin(async move {
                Published(serde_json::from_value(data.payload)?)
                    .execute(&cx)
                    .await
            })
        })
        .await;
    let watch = Watch::start();
    let context = Arc::new(AppContext::new());
    let workers = WorkerPool::new(queue.clone(), registry, context, args.slots);
    all.notified().await;
    workers.shutdown().await;
    let execute = watch.lap();
    queue.shutdown().await;
    bench_jobs::report("published", &args.store, args.jobs, enqueue, execute, &[]);
}
