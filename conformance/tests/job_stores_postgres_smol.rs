//! The job store suite on the PostgreSQL store, on smol.

#[path = "job_stores/postgres.rs"]
mod postgres;

fn net() -> tideway_driver::Net {
    tideway_driver::Net::of(tideway_smol::Smol::default())
}

tideway_conformance::job_store_suite! {
    name: postgres_smol,
    harness: postgres::OnPostgres::new(net, |task| ::smol::block_on(task)),
    levels: [L0, Batch, Unique, Cron, Control, List, Limits, Waits, Wake, Time, Durable, Stress],
}
