//! The job store suite on the Redis store, on smol.

#[path = "job_stores/redis.rs"]
mod redis;

use tideway_driver::Net;

tideway_conformance::job_store_suite! {
    name: redis_smol,
    harness: redis::OnRedis::new(
        redis::server,
        Net::of(tideway_smol::Smol::default()),
        |task| ::smol::block_on(task),
    ),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
