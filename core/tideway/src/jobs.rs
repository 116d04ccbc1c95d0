//! Background jobs: what users write, and the port that stores implement.
//!
//! A kind of job is a type that implements [`Job`]. [`Jobs`] enqueues its values, from handlers and from other
//! jobs; [`App::job`](crate::App::job) lets an app run them, with a [`JobCx`] each. What a store must do
//! is [`JobStore`]. The rules (what a job is, when it runs again, who may settle it) are
//! [`tideway_engine::jobs`]; the loop that claims and runs is the driver's.

mod crontab;
mod cx;
mod enqueue;
mod error;
mod extract;
mod handle;
pub mod hints;
mod job;
mod kinds;
mod plan;
mod state;
pub mod store;
mod unique;

pub use crontab::Cron;
pub use cx::{JobCx, NotKept};
pub use enqueue::{Enqueue, EnqueueError, Receipt};
pub use error::JobError;
pub use extract::{REQUEST_ID, TRACEPARENT};
pub use handle::{Jobs, MaxPayload};
pub use job::{Job, JobResult, Payload};
pub use kinds::{Kinds, Running, Work};
pub(crate) use plan::Plan;
pub use state::{Cancelled, JobState};
pub use store::{DynJobStore, JobStore, StoreClock, StoreError};
pub use tideway_engine::jobs::pool::End;
pub use tideway_engine::jobs::retry::Retry;
pub use tideway_engine::jobs::*;
pub use unique::UniqueBy;
