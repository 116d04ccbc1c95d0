//! Background jobs: what users write, and the port that stores implement.
//!
//! The rules (what a job is, when it runs again, who may settle it) are
//! [`tideway_engine::jobs`]; the loop that claims and runs is the driver's.

pub mod store;

pub use store::{DynJobStore, JobStore, StoreClock, StoreError};
pub use tideway_engine::jobs::*;
