//! The job store suite on the Redis store, on tokio.

#[path = "job_stores/redis.rs"]
mod redis;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

tideway_conformance::job_store_suite! {
    name: redis_tokio,
    harness: redis::OnRedis::new(redis::server, tokio_multi::net(), tokio_multi::run),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
