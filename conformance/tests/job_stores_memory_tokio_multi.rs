//! The job store suite on the memory store, on one runtime of tokio with several threads, which all cases share.

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

#[path = "job_stores/memory.rs"]
mod memory;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
});

fn block_on(task: tideway::BoxFuture<'_, ()>) {
    RUNTIME.block_on(task);
}

tideway_conformance::job_store_suite! {
    name: memory_tokio_multi,
    harness: memory::OnMemory::new(block_on),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Stress],
}
