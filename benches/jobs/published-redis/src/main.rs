//! The published `tideway` 0.7: its Redis queue and its own workers. It has no batches: the jobs of one are
//! enqueued all at once, some at a time, since each call opens a connection; its workers take one job at a time.

use std::sync::Arc;

use bench_served::{Args, Queue, Run, Work, run};
use futures_util::{StreamExt as _, stream};
use tideway_published::{
    AppContext, Job, JobData, JobQueue, JobRegistry, RedisJobQueue, Result, WorkerPool,
};

#[derive(Debug)]
struct Published(Work);

#[async_trait::async_trait]
impl Job for Published {
    fn job_type(&self) -> &str {
        "work"
    }

    fn serialize(&self) -> Result<serde_json::Value> {
        Ok(serde_json::to_value(&self.0)?)
    }

    async fn execute(&self, _: &AppContext) -> Result<()> {
        run().ran(&self.0);
        Ok(())
    }
}

#[derive(Clone)]
struct InRedis {
    args: Args,
    queue: Arc<RedisJobQueue>,
}

impl Queue for InRedis {
    async fn push(&self, batch: Vec<Work>) {
        stream::iter(batch)
            .for_each_concurrent(self.args.connections, |work| self.push_one(work))
            .await;
    }

    async fn push_one(&self, work: Work) {
        self.queue
            .enqueue(&Published(work))
            .await
            .expect("enqueued");
    }

    async fn work(&self, run: &'static Run) {
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
        let context = Arc::new(AppContext::new());
        let workers = WorkerPool::new(self.queue.clone(), registry, context, self.args.slots);
        run.all().await;
        run.finish();
        workers.shutdown().await;
        self.queue.shutdown().await;
    }
}

fn main() {
    let args = bench_served::args();
    bench_served::runtime(&args).block_on(async {
        let queue = RedisJobQueue::new(&args.url, None, 3, 60).expect("a URL");
        let queue = InRedis {
            args: args.clone(),
            queue: Arc::new(queue),
        };
        bench_served::main("published", &args, queue).await;
    });
}
