//! apalis 1.0 in PostgreSQL: jobs are pushed in bulk; a worker with its usual layers off takes them. Its fetch
//! marks the jobs already; its second mark of a job as locked is off. A worker that waits is woken by NOTIFY.
//! Jobs that ended stay, as is its way.

use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage};
use bench_served::{Args, Mode, Queue, Run, Work, run};
use sqlx::postgres::{PgPool, PgPoolOptions};

async fn handle(work: Work, worker: WorkerContext) -> Result<(), BoxDynError> {
    if run().ran(&work) {
        worker.stop()?;
    }
    Ok(())
}

#[derive(Clone)]
struct Apalis {
    args: Args,
    pool: PgPool,
    storage: PostgresStorage<Work>,
}

impl Queue for Apalis {
    async fn push(&self, batch: Vec<Work>) {
        let mut storage = self.storage.clone();
        storage.push_bulk(batch).await.expect("pushed");
    }

    async fn push_one(&self, work: Work) {
        self.storage.clone().push(work).await.expect("pushed");
    }

    async fn work(&self, _: &'static Run) {
        let slots = self.args.slots;
        let worker = WorkerBuilder::new("bench");
        if self.args.mode == Mode::Pickup {
            let worker = worker.backend(self.storage.clone().with_pubsub());
            let worker = worker.concurrency(slots).build(handle);
            worker.run().await.expect("the worker ran");
        } else {
            let worker = worker.backend(self.storage.clone());
            let worker = worker.concurrency(slots).build(handle);
            worker.run().await.expect("the worker ran");
        }
    }

    async fn check(&self) -> Vec<(String, f64)> {
        let done: i64 =
            sqlx::query_scalar("SELECT count(*) FROM apalis.jobs WHERE status = 'Done'")
                .fetch_one(&self.pool)
                .await
                .expect("counted");
        assert_eq!(done, self.args.jobs as i64, "jobs left");
        Vec::new()
    }
}

fn main() {
    let args = bench_served::args();
    bench_served::runtime(&args).block_on(async {
        let pool = PgPoolOptions::new().max_connections(args.connections as u32);
        let pool = pool
            .connect(&args.url)
            .await
            .expect("the database is there");
        PostgresStorage::setup(&pool).await.expect("the schema");
        let config = Config::default()
            .queue("bench")
            .batch_size(args.batch)
            .lock_tasks(false);
        let queue = Apalis {
            args: args.clone(),
            storage: PostgresStorage::new(&pool).with_config(config),
            pool,
        };
        bench_served::main("apalis", &args, queue).await;
    });
}
