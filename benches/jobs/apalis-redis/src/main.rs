//! apalis 1.0 in Redis: jobs are pushed in bulk; a worker with its usual layers off takes them. Its second mark
//! of a job as locked and its events are off, except that a worker that waits is woken by its pub/sub.

use apalis::prelude::*;
use apalis_redis::factory::RedisStorageFactory;
use apalis_redis::{Client, Config, RedisStorage};
use bench_served::{Args, Mode, Queue, Run, Work, run};

async fn handle(work: Work, worker: WorkerContext) -> Result<(), BoxDynError> {
    if run().ran(&work) {
        worker.stop()?;
    }
    Ok(())
}

#[derive(Clone)]
struct Apalis {
    args: Args,
    config: Config,
    storage: RedisStorage<Work>,
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
        if self.args.mode == Mode::Pickup {
            let client = Client::open(self.args.url.as_str()).expect("a URL");
            let factory = RedisStorageFactory::new(client).await;
            let mut factory = factory.expect("Redis listens");
            let backend = factory.create_with_config(self.config.clone());
            let worker = WorkerBuilder::new("bench").backend(backend.expect("a backend"));
            let worker = worker.concurrency(slots).build(handle);
            worker.run().await.expect("the worker ran");
        } else {
            let worker = WorkerBuilder::new("bench").backend(self.storage.clone());
            let worker = worker.concurrency(slots).build(handle);
            worker.run().await.expect("the worker ran");
        }
    }
}

fn main() {
    let args = bench_served::args();
    bench_served::runtime(&args).block_on(async {
        let connection = apalis_redis::connect(args.url.as_str());
        let connection = connection.await.expect("Redis answers");
        let config = Config::default()
            .queue("bench")
            .batch_size(args.batch)
            .lock_tasks(false)
            .emit_events(args.mode == Mode::Pickup);
        let queue = Apalis {
            args: args.clone(),
            storage: RedisStorage::new(connection).with_config(config.clone()),
            config,
        };
        bench_served::main("apalis", &args, queue).await;
    });
}
