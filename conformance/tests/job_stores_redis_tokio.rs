//! The job store suite on the Redis store, on tokio.

#[path = "job_stores/redis.rs"]
mod redis;

use std::sync::LazyLock;

use tideway_driver::Net;
use tideway_tokio::Tokio;
use tokio::runtime::Runtime;

/// One for all cases: a store's task outlives the future that opened it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

fn block_on(task: tideway::BoxFuture<'_, ()>) {
    RUNTIME.block_on(task);
}

fn net() -> Net {
    Net::of(Tokio::new(RUNTIME.handle().clone()))
}

tideway_conformance::job_store_suite! {
    name: redis_tokio,
    harness: redis::OnRedis::new(redis::server, net(), block_on),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
