//! The job store suite on the memory store, on one runtime of tokio with several threads, which all cases share.

#[path = "job_stores/memory.rs"]
mod memory;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

tideway_conformance::job_store_suite! {
    name: memory_tokio_multi,
    harness: memory::OnMemory::new(tokio_multi::run),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Stress],
}
