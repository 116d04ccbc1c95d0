//! apalis 1.0 in Redis: jobs are pushed in bulk; a worker with its usual layers off takes them. Its second mark
//! of a job as locked and its events are off.
//!
//! Its push gives every job a time to run at, so that each goes to the set of those that wait, and its pub/sub
//! tells of none: a worker that waits has to poll. With some 8000 jobs in that set its fetch fails (Lua cannot unpack
//! them), so it has fewer here.

use std::time::Duration;

use apalis::prelude::*;
use apalis_redis::{Config, RedisStorage};
use bench_served::{Args, Mode, Queue, Run, Work, run};

/// How often a worker that waits asks.
const POLL: Duration = Duration::from_millis(50);

async fn handle(work: Work, worker: WorkerContext) -> Result<(), BoxDynError> {
    if run().ran(&work) {
        worker.stop()?;
    }
    Ok(())
}

#[derive(Clone)]
struct Apalis {
    args: Args,
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
        let storage = self.storage.clone();
        let worker = WorkerBuilder::new("bench");
        if self.args.mode == Mode::Pickup {
            let worker = worker.backend(storage.poll_with_interval(POLL));
            let worker = worker.concurrency(slots).build(handle);
            worker.run().await.expect("the worker ran");
        } else {
            let worker = worker.backend(storage);
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
            .emit_events(false);
        let queue = Apalis {
            args: args.clone(),
            storage: RedisStorage::new(connection).with_config(config),
        };
        bench_served::main("apalis", &args, queue).await;
    });
}
