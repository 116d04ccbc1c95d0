//! The job store suite on the memory store, on smol.

#[path = "job_stores/memory.rs"]
mod memory;

tideway_conformance::job_store_suite! {
    name: memory_smol,
    harness: memory::OnMemory::new(|task| ::smol::block_on(task)),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Stress],
}
