//! The job store suite on the memory store, on async-std.

#[path = "job_stores/memory.rs"]
mod memory;

tideway_conformance::job_store_suite! {
    name: memory_async_std,
    harness: memory::OnMemory::new(|task| ::async_std::task::block_on(task)),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Stress],
}
