//! What every machine, adapter and backend of Tideway keeps, as code that anyone can run.
//!
//! - [`jobs`]: the guarantees of a store of jobs; [`job_store_suite!`] runs them on yours.
//! - [`laws`]: the laws of a sans-IO machine, for a machine of ours or of yours.
//! - [`proxy`]: a TCP proxy as bad as a network, to test what a backend makes of that.
//! - [`pubsub`]: the guarantees of a broker of messages; [`pubsub_suite!`] runs them on yours.
//! - [`retry`]: a retry policy's promises; [`strategies`] draws valid ones for property tests.
//! - [`servers`]: real PostgreSQL and Redis servers for tests of backends.
//! - [`suite`]: the guarantees of a server on an async runtime; [`adapter_suite!`] runs them on yours.
//!
//! Nothing here knows a runtime under test by name: the suites talk to a server through sockets, and to a runtime
//! through [`Runtime`] alone. The runtimes that Tideway brings are named in `tests/` only. (The proxy and the
//! suite's HTTP/2 client run on a tokio of their own, each in a thread; the store suite waits in threads.)

pub mod jobs;
mod judge;
pub mod laws;
mod mutants;
pub mod proxy;
pub mod pubsub;
pub mod retry;
pub mod servers;
pub mod strategies;
pub mod suite;

pub use tideway_driver::Runtime;
