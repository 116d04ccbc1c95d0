//! The memory store as the suite opens it: on a clock that the test moves.

use tideway::BoxFuture;
use tideway_conformance::jobs::{Harness, OpenError, TestClock};
use tideway_memory::Memory;

/// The memory store on the runtime that `block_on` runs.
pub(crate) struct OnMemory {
    clock: TestClock,
    block_on: fn(BoxFuture<'_, ()>),
}

impl OnMemory {
    /// A harness for one case.
    pub(crate) fn new(block_on: fn(BoxFuture<'_, ()>)) -> Self {
        Self {
            clock: TestClock::default(),
            block_on,
        }
    }
}

impl Harness for OnMemory {
    type Store = Memory;

    async fn open(&self) -> Result<Memory, OpenError> {
        Ok(Memory::new(self.clock.store_clock()))
    }

    fn clock(&self) -> Option<TestClock> {
        Some(self.clock.clone())
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        (self.block_on)(task);
    }
}
