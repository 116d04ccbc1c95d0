//! The job store suite on the memory store with the system's clock, as on a store whose clock no
//! test can move: the suite waits instead.

use tideway::BoxFuture;
use tideway_conformance::jobs::{Harness, OpenError};
use tideway_memory::Memory;

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
    name: memory_waiting,
    harness: Waiting,
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Stress],
}
