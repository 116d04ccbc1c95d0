//! The job store in memory: the executable specification that every other store is compared with.
//!
//! [`Model`] is the specification: a plain value without lock, clock or future, every method of which
//! takes the time and answers as [`JobStore`](tideway::jobs::JobStore) says. A checker clones it,
//! feeds it a history and compares. [`Memory`] is the store: a `Model` behind a mutex, a clock, and
//! hints for workers of the same process.
//!
//! ```
//! use tideway_memory::Memory;
//!
//! let store = Memory::default();
//! let shared = store.clone(); // the same jobs
//! # let _ = tideway::jobs::DynJobStore::new(shared);
//! ```
//!
//! Every index follows from the records (`model/index.rs`), so one function that removes a record from all
//! of them and one that adds it are the only places where they change, and `audit` builds them again to
//! compare. The rejected alternative, a transition of each index for each row of the step table, is a
//! little faster and wrong in one cell out of twenty.
//!
//! Where the port leaves room, this is what the specification says:
//!
//! - A rate counts each claim at `t` until `t + window`, excluded, from when the limit was set; no end of a job
//!   gives a claim back. A limit of a group that says nothing leaves the group to that of each group.
//! - A claim that meets a job over `max_bytes` ends there, in this and all further lanes.
//! - A job is too late at the very millisecond of its expiry, as a lease has run out at that of its end.
//! - A hold by time that is taken by a revival counts from the revival.
//! - `limit` of a filter or listing counts jobs that match. A page looks at 10 000 records at most, so one that
//!   few match may be short, or empty, and not the last.
//! - A deleted job is found by no call from then on, but its id and digest by an enqueue, until
//!   [`Record::known_until`](tideway_engine::jobs::Record::known_until).
//!
//! Nothing is written down: all jobs are gone with the process.
//!
//! [`Broker`] is something else, which is in memory too: the port [`PubSub`](tideway::pubsub::PubSub) for several hubs
//! in one process, and for tests of what they do when messages are late, lost, or cut off.

#![forbid(unsafe_code)]

mod broker;
mod model;
mod store;

pub use broker::{Broker, Node};
pub use model::Model;
pub use store::Memory;
