//! The job store suite on the Redis store, on async-std.

#[path = "job_stores/redis.rs"]
mod redis;

use tideway_driver::Net;

tideway_conformance::job_store_suite! {
    name: redis_async_std,
    harness: redis::OnRedis::new(
        redis::server,
        Net::of(tideway_async_std::AsyncStd::default()),
        |task| ::async_std::task::block_on(task),
    ),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
