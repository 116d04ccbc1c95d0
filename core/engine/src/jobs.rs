//! Background jobs as pure machines: what a job is, what may happen to it, and when it runs again.
//!
//! A *store* keeps [`Record`]s and enforces a few rules atomically (see [`step`] and the values in
//! [`call`]). Every *worker* runs the same policy over the few jobs it holds; there is no leader. Nothing
//! here waits, stores or runs a handler.

pub mod call;
pub mod cron;
mod id;
mod name;
mod packed;
pub mod pool;
mod record;
pub mod retry;
mod spec;
mod step;
#[cfg(test)]
mod tests;
mod waits;

pub use id::{Id, IdError, Ids, Owner, shard_of};
pub use name::{Name, NameError};
pub use packed::Unreadable;
pub use record::{Failure, Reason, Record, State};
pub use spec::{
    Conflict, Hold, InvalidJob, Keep, NewJob, SUSPECT, Spec, Start, Unique, WaitFailed,
    forgettable, later,
};
pub use step::{Event, Fence, JOB_TABLE, Kind, Outcome, Refused, next_state, step};
pub use waits::Waits;
