//! Brokers of messages: the suite on each of ours and on each runtime, the mutants that prove it, and what Redis alone has
//! to say.

#[path = "pubsub/memory.rs"]
mod memory;
#[path = "pubsub/mutants.rs"]
mod mutants;
#[path = "pubsub/redis.rs"]
mod redis;
#[path = "pubsub/redis_alone.rs"]
mod redis_alone;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

use tideway_driver::Net;

fn async_std() -> Net {
    Net::of(tideway_async_std::AsyncStd::default())
}

fn smol() -> Net {
    Net::of(tideway_smol::Smol::default())
}

tideway_conformance::pubsub_suite! {
    name: memory_tokio,
    harness: memory::OnMemory::new(tokio_multi::run),
}

tideway_conformance::pubsub_suite! {
    name: memory_async_std,
    harness: memory::OnMemory::new(|task| ::async_std::task::block_on(task)),
}

tideway_conformance::pubsub_suite! {
    name: memory_smol,
    harness: memory::OnMemory::new(|task| ::smol::block_on(task)),
}

tideway_conformance::pubsub_suite! {
    name: redis_tokio,
    harness: redis::OnRedis::new(tokio_multi::net(), tokio_multi::run),
}

tideway_conformance::pubsub_suite! {
    name: redis_async_std,
    harness: redis::OnRedis::new(async_std(), |task| ::async_std::task::block_on(task)),
}

tideway_conformance::pubsub_suite! {
    name: redis_smol,
    harness: redis::OnRedis::new(smol(), |task| ::smol::block_on(task)),
}

tideway_conformance::pubsub_suite! {
    name: redis_bad_link,
    harness: redis::OnRedis::new(tokio_multi::net(), tokio_multi::run).on_a_bad_link(),
}

tideway_conformance::pubsub_suite! {
    name: redis_cluster,
    harness: redis::OnCluster::new(tokio_multi::net(), tokio_multi::run),
}
