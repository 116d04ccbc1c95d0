//! graphile_worker: jobs are added in batches; its local queue fetches them in batches, and its batcher completes
//! them in batches. A worker that waits is woken by NOTIFY. Jobs that ended are deleted, as is its way.

use std::time::Duration;

use bench_served::{Args, Mode, Queue, Run, Work, run};
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, Worker, WorkerContext,
    WorkerOptions, WorkerUtils,
};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgPool, PgPoolOptions};

/// How long its batcher waits for more completions. Of those tried (1, 5, 20 ms).
const COMPLETE: Duration = Duration::from_millis(5);

#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Task(Work);

impl TaskHandler for Task {
    const IDENTIFIER: &'static str = "work";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        run().ran(&self.0);
        Ok::<(), String>(())
    }
}

#[derive(Clone)]
struct Graphile {
    args: Args,
    pool: PgPool,
    utils: WorkerUtils,
}

impl Queue for Graphile {
    async fn push(&self, batch: Vec<Work>) {
        let spec = JobSpec::default();
        let batch: Vec<_> = batch.into_iter().map(|work| (Task(work), &spec)).collect();
        self.utils.add_jobs(&batch).await.expect("added");
    }

    async fn push_one(&self, work: Work) {
        let added = self.utils.add_job(Task(work), JobSpec::default()).await;
        added.expect("added");
    }

    async fn work(&self, run: &'static Run) {
        let worker = worker(&self.args, &self.pool).await;
        let (worked, ()) = tokio::join!(worker.run(), async {
            run.all().await;
            worker.request_shutdown();
        });
        worked.expect("the worker ran");
    }

    async fn check(&self) -> Vec<(String, f64)> {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM graphile_worker._private_jobs")
            .fetch_one(&self.pool)
            .await
            .expect("counted");
        assert_eq!(left, 0, "jobs left");
        Vec::new()
    }
}

async fn worker(args: &Args, pool: &PgPool) -> Worker {
    let mut options = WorkerOptions::default()
        .pg_pool(pool.clone())
        .concurrency(args.slots)
        .listen_os_shutdown_signals(false)
        .define_job::<Task>();
    // A job that comes alone is not kept waiting for others.
    if args.mode != Mode::Pickup {
        options = options
            .local_queue(LocalQueueConfig::default().with_size(args.batch))
            .complete_job_batch_delay(COMPLETE);
    }
    options.init().await.expect("the worker is made")
}

fn main() {
    let args = bench_served::args();
    bench_served::runtime(&args).block_on(async {
        let pool = PgPoolOptions::new().max_connections(args.connections as u32);
        let pool = pool
            .connect(&args.url)
            .await
            .expect("the database is there");
        let utils = worker(&args, &pool).await.create_utils();
        let queue = Graphile {
            args: args.clone(),
            pool,
            utils,
        };
        bench_served::main("graphile_worker", &args, queue).await;
    });
}
