//! The job store suite on the memory store, on every runtime.

#[path = "job_stores/memory.rs"]
mod memory;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

use tideway::BoxFuture;
use tideway_conformance::jobs::{Harness, OpenError};
use tideway_memory::Memory;

/// With the system's clock, as on a store whose clock no test can move: the suite waits instead.
struct Waiting;

impl Harness for Waiting {
    type Store = Memory;

    async fn open(&self) -> Result<Memory, OpenError> {
        Ok(Memory::default())
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        smol::block_on(task);
    }
}

tideway_conformance::job_store_suite! {
    name: memory_tokio,
    harness: memory::OnMemory::new(tokio_multi::alone),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Stress],
}

tideway_conformance::job_store_suite! {
    name: memory_tokio_multi,
    harness: memory::OnMemory::new(tokio_multi::run),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Stress],
}

tideway_conformance::job_store_suite! {
    name: memory_async_std,
    harness: memory::OnMemory::new(|task| ::async_std::task::block_on(task)),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Stress],
}

tideway_conformance::job_store_suite! {
    name: memory_smol,
    harness: memory::OnMemory::new(|task| ::smol::block_on(task)),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Stress],
}

tideway_conformance::job_store_suite! {
    name: memory_waiting,
    harness: Waiting,
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Stress],
}
