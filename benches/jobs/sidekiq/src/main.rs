//! rusty-sidekiq. It has no batches: the jobs of one are enqueued all at once, as many at a time as there are
//! connections; its workers take one job at a time, each with a connection of its own. It keeps no record, no
//! lease and no acknowledgement: a job leaves Redis when it starts, and is lost with the process.

use async_trait::async_trait;
use bench_served::{Args, Queue, Run, Work};
use futures_util::future::join_all;
use sidekiq::{Processor, ProcessorConfig, RedisConnectionManager, RedisPool, Worker};

struct Handler;

#[async_trait]
impl Worker<Work> for Handler {
    async fn perform(&self, work: Work) -> sidekiq::Result<()> {
        bench_served::run().ran(&work);
        Ok(())
    }
}

#[derive(Clone)]
struct Sidekiq {
    args: Args,
    pool: RedisPool,
}

impl Queue for Sidekiq {
    async fn push(&self, batch: Vec<Work>) {
        join_all(batch.into_iter().map(|work| self.push_one(work))).await;
    }

    async fn push_one(&self, work: Work) {
        Handler::perform_async(&self.pool, work)
            .await
            .expect("pushed");
    }

    async fn work(&self, run: &'static Run) {
        // Each worker blocks a connection; some more are for what it tells of them.
        let pool = pool(&self.args.url, self.args.slots + 10).await;
        let mut processor = Processor::new(pool, vec!["default".to_owned()])
            .with_config(ProcessorConfig::default().num_workers(self.args.slots));
        processor.register(Handler);
        let stop = processor.get_cancellation_token();
        let worker = tokio::spawn(processor.run());
        run.all().await;
        run.finish();
        stop.cancel();
        worker.await.expect("the workers stop");
    }
}

async fn pool(url: &str, size: usize) -> RedisPool {
    let connections = RedisConnectionManager::new(url).expect("a URL");
    let pool = bb8::Pool::builder().max_size(size as u32);
    pool.build(connections).await.expect("Redis answers")
}

fn main() {
    let args = bench_served::args();
    bench_served::runtime(&args).block_on(async {
        let queue = Sidekiq {
            args: args.clone(),
            pool: pool(&args.url, args.connections).await,
        };
        bench_served::main("rusty-sidekiq", &args, queue).await;
    });
}
