//! fang, asynchronous, in PostgreSQL. It has no batches: the jobs of one are inserted all at once, as many at a
//! time as there are connections; its workers take one job at a time. Jobs that ended are deleted, as is its way.
//!
//! It takes a job by two statements that no transaction binds, so with several workers some jobs run twice; the
//! line of results counts them.

use bench_served::{Args, Queue, Run, Work, run};
use fang::asynk::async_queue::{AsyncQueue, AsyncQueueable};
use fang::asynk::async_worker_pool::AsyncWorkerPool;
use fang::{AsyncRunnable, FangError, async_trait, typetag};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

/// Its migration.
const SCHEMA: &str = "
CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\";
CREATE TYPE fang_task_state AS ENUM ('new', 'in_progress', 'failed', 'finished', 'retried');
CREATE TABLE fang_tasks (
     id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
     metadata jsonb NOT NULL,
     error_message TEXT,
     state fang_task_state DEFAULT 'new' NOT NULL,
     task_type TEXT DEFAULT 'common' NOT NULL,
     uniq_hash TEXT,
     retries INTEGER DEFAULT 0 NOT NULL,
     scheduled_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
     created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
     updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);
CREATE INDEX fang_tasks_state_index ON fang_tasks(state);
CREATE INDEX fang_tasks_type_index ON fang_tasks(task_type);
CREATE INDEX fang_tasks_scheduled_at_index ON fang_tasks(scheduled_at);
CREATE INDEX fang_tasks_uniq_hash ON fang_tasks(uniq_hash);
";

#[derive(Serialize, Deserialize)]
struct Task {
    work: Work,
}

#[typetag::serde]
#[async_trait]
impl AsyncRunnable for Task {
    async fn run(&self, _: &dyn AsyncQueueable) -> Result<(), FangError> {
        run().ran(&self.work);
        Ok(())
    }
}

#[derive(Clone)]
struct Fang {
    args: Args,
    queue: AsyncQueue,
}

impl Queue for Fang {
    async fn push(&self, batch: Vec<Work>) {
        join_all(batch.into_iter().map(|work| self.push_one(work))).await;
    }

    async fn push_one(&self, work: Work) {
        let task = Task { work };
        self.queue.insert_task(&task).await.expect("inserted");
    }

    async fn work(&self, run: &'static Run) {
        let mut workers: AsyncWorkerPool<AsyncQueue> = AsyncWorkerPool::builder()
            .number_of_workers(self.args.slots as u32)
            .queue(self.queue.clone())
            .build();
        workers.start().await;
        // They cannot be stopped.
        run.all().await;
    }
}

fn main() {
    let args = bench_served::args();
    bench_served::runtime(&args).block_on(async {
        let pool = sqlx::PgPool::connect(&args.url)
            .await
            .expect("the database is there");
        sqlx::raw_sql(SCHEMA)
            .execute(&pool)
            .await
            .expect("the schema is made");
        pool.close().await;
        let mut queue = AsyncQueue::builder()
            .uri(args.url.as_str())
            .max_pool_size(args.connections as u32)
            .build();
        queue.connect().await.expect("the database is there");
        let queue = Fang {
            args: args.clone(),
            queue,
        };
        bench_served::main("fang", &args, queue).await;
    });
}
