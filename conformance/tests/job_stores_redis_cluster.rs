//! The job store suite on the Redis store on a cluster of three masters, on tokio.

#[path = "job_stores/redis.rs"]
mod redis;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

use std::sync::OnceLock;

use tideway_conformance::servers::{Persistence, RedisCluster};

/// The cluster of this process's tests.
fn url() -> Result<String, String> {
    static CLUSTER: OnceLock<Result<RedisCluster, String>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| RedisCluster::start_with(Persistence::EverySecond, &[]));
    let urls = cluster.as_ref().map_err(Clone::clone)?.urls();
    let hosts: Vec<&str> = urls
        .iter()
        .map(|url| url.trim_start_matches("redis://"))
        .collect();
    Ok(format!("redis-cluster://{}", hosts.join(",")))
}

tideway_conformance::job_store_suite! {
    name: redis_cluster,
    harness: redis::OnRedis::new(url, tokio_multi::net(), tokio_multi::run),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
