//! The embedded job store: one SQLite file, shared by several processes on one host.
//!
//! ```no_run
//! use tideway_sqlite::{Options, Sqlite};
//!
//! let store = Sqlite::open("jobs.db", Options::default())?;
//! # Ok::<(), tideway::jobs::StoreError>(())
//! ```
//!
//! It runs on any runtime and needs none: one thread of its own owns the connection that writes,
//! another the one that reads. Calls that wait while a transaction commits are done together in the next
//! one, so that many callers share one flush to the disk; if one of them fails, each is done again alone.
//!
//! The rejected alternative is a pool of connections driven through a runtime's blocking threads. SQLite
//! has one writer at a time whatever the pool; its members would only wait for each other, each with
//! a transaction and a flush of its own.
//!
//! **Several processes** may open one file, on one host: WAL needs shared memory, so a network file system
//! will not do. Wake-ups reach the handles of one process; a job enqueued by another process
//! is seen at the worker's next poll.

#![forbid(unsafe_code)]

mod error;
mod hub;
mod open;
mod options;
mod row;
mod store;
mod thread;
mod tx;

pub use options::{Options, Synchronous};
pub use store::Sqlite;
