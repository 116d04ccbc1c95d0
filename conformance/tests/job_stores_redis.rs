//! The job store suite on the Redis store: on every runtime, on a cluster, over a bad link.

#[path = "job_stores/bad_link.rs"]
mod bad_link;
#[path = "job_stores/redis.rs"]
mod redis;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

use std::sync::OnceLock;

use tideway_async_std::AsyncStd;
use tideway_conformance::servers::{Persistence, RedisCluster};
use tideway_driver::Net;
use tideway_smol::Smol;

/// Three masters, of this process's tests.
fn cluster() -> Result<String, String> {
    static CLUSTER: OnceLock<Result<RedisCluster, String>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| RedisCluster::start_with(Persistence::EverySecond, &[]));
    let urls = cluster.as_ref().map_err(Clone::clone)?.urls();
    let hosts: Vec<&str> = urls
        .iter()
        .map(|url| url.trim_start_matches("redis://"))
        .collect();
    Ok(format!("redis-cluster://{}", hosts.join(",")))
}

/// Over a link that delays every chunk and passes some on in pieces.
fn through() -> Result<String, String> {
    let server = redis::server()?;
    let port = server
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    let there = bad_link::port(port.ok_or("the server's address has no port")?)?;
    Ok(format!("redis://127.0.0.1:{there}"))
}

tideway_conformance::job_store_suite! {
    name: redis_tokio,
    harness: redis::OnRedis::new(redis::server, tokio_multi::net(), tokio_multi::run),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}

tideway_conformance::job_store_suite! {
    name: redis_async_std,
    harness: redis::OnRedis::new(
        redis::server,
        Net::of(AsyncStd::default()),
        |task| ::async_std::task::block_on(task),
    ),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}

tideway_conformance::job_store_suite! {
    name: redis_smol,
    harness: redis::OnRedis::new(
        redis::server,
        Net::of(Smol::default()),
        |task| ::smol::block_on(task),
    ),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}

tideway_conformance::job_store_suite! {
    name: redis_cluster,
    harness: redis::OnRedis::new(cluster, tokio_multi::net(), tokio_multi::run),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}

tideway_conformance::job_store_suite! {
    name: redis_bad_link,
    harness: redis::OnRedis::new(through, tokio_multi::net(), tokio_multi::run),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
