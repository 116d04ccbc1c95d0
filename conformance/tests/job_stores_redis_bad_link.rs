//! The job store suite on the Redis store over a link that delays every chunk and passes some on in pieces.

#[path = "job_stores/bad_link.rs"]
mod bad_link;
#[path = "job_stores/redis.rs"]
mod redis;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

fn url() -> Result<String, String> {
    let server = redis::server()?;
    let port = server
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    let there = bad_link::port(port.ok_or("the server's address has no port")?)?;
    Ok(format!("redis://127.0.0.1:{there}"))
}

tideway_conformance::job_store_suite! {
    name: redis_bad_link,
    harness: redis::OnRedis::new(url, tokio_multi::net(), tokio_multi::run),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
