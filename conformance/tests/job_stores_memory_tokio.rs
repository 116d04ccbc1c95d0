//! The job store suite on the memory store, on tokio.

#[path = "job_stores/memory.rs"]
mod memory;

fn block_on(task: tideway::BoxFuture<'_, ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(task);
}

tideway_conformance::job_store_suite! {
    name: memory_tokio,
    harness: memory::OnMemory::new(block_on),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Stress],
}
