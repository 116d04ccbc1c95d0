//! The job store in PostgreSQL, on any runtime, also behind PgBouncer. Tested on PostgreSQL 15.
//!
//! ```no_run
//! # async fn example(runtime: impl tideway_driver::Runtime) -> Result<(), tideway::jobs::StoreError> {
//! use tideway_driver::Net;
//! use tideway_postgres::{Options, Postgres};
//!
//! let net = Net::of(runtime); // of the adapter that runs the application
//! let store = Postgres::open(net, "postgres://app:secret@localhost/app", Options::default()).await?;
//! # Ok(()) }
//! ```
//!
//! Enqueue, claim, success and beat are one function call each, installed by the migrations: one round trip,
//! whatever the batch, and their plans stay with the server's session. What is rare (retries, unique keys, limits,
//! waits, controls) takes a transaction in which the records are locked, changed by the same rule as in every other
//! store ([`step`](tideway_engine::jobs::step)) and written back together.
//!
//! It keeps no state in a session but where it listens, so a pooler in transaction mode may stand between: see
//! [`Options::pooled`] and [`Options::listen_url`].
//!
//! A claim's look at its queues is a snapshot, older than its commit: it may miss a job whose enqueue commits in
//! between, though others saw that before. The hint that follows every enqueue makes up for it.
//!
//! # What is lost with the server
//!
//! Settings are those of the user, database and server at the moment of [`Postgres::open`].
//!
//! | PostgreSQL is set to | [`Caps::durability`](tideway_engine::jobs::call::Caps::durability) | what is lost |
//! |---|---|---|
//! | `fsync on`, `synchronous_commit` anything but `off` | `Power` | nothing that was answered |
//! | `fsync off` | `Process` | nothing when PostgreSQL is killed; perhaps the whole database when the machine is |
//! | `synchronous_commit off` | `Delayed` | when either is killed, calls answered in the last moments: three times `wal_writer_delay` at most, 0.6 s unless set; nothing else is harmed |
//!
//! Hints alone are always sent without waiting for the disk. A failover to a replica may lose the last calls unless
//! replication is synchronous (`synchronous_standby_names`). A lost claim is harmless, since a finish counts only for the
//! owner that claimed last; a lost enqueue is lost.
//!
//! # Alternatives
//!
//! The rejected alternative is sqlx: see `docs/decisions/012`. Connections have no TLS; a server that demands it is
//! to be reached through a proxy on the host.

#![forbid(unsafe_code)]

mod call;
mod connect;
mod error;
mod fast;
mod notify;
mod options;
mod pool;
mod row;
mod schema;
mod sql;
mod store;
mod tx;
mod view;

pub use options::Options;
pub use store::Postgres;
