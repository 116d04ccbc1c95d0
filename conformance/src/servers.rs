//! Real PostgreSQL, PgBouncer and Redis servers for tests of backends, ours and yours: each on a free port of
//! the loopback, with its data in a directory of its own, gone with the test process however that ends.
//!
//! [`postgres`], [`pgbouncer`], [`redis`] and [`redis_cluster`] are shared by the tests of a process and start
//! at the first call; nothing can stop them, since they are handed out by shared reference. A test that kills
//! its server starts one of its own: [`PostgresServer::start`] and the like.
//!
//! A program that is missing is an error that names its package, never a test passed over. Nothing here
//! waits without a deadline, uses a server that is already there, or writes outside the system's directory
//! for temporary files. Started as root, PostgreSQL and PgBouncer run as the user `postgres`: they refuse to
//! be root.

use std::sync::OnceLock;

mod cluster;
mod pgbouncer;
mod postgres;
mod process;
mod redis;

pub use cluster::RedisCluster;
pub use pgbouncer::PgBouncer;
pub use postgres::PostgresServer;
pub(crate) use process::free_port;
pub use redis::{Persistence, RedisServer};

/// The PostgreSQL of this process's tests.
///
/// # Errors
/// What kept it from starting, with the end of its log; the same text at every further call.
pub fn postgres() -> Result<&'static PostgresServer, String> {
    static SHARED: OnceLock<Result<PostgresServer, String>> = OnceLock::new();
    shared(&SHARED, PostgresServer::start)
}

/// The PgBouncer of this process's tests, before the PostgreSQL of [`postgres`].
///
/// # Errors
/// As [`postgres`].
pub fn pgbouncer() -> Result<&'static PgBouncer, String> {
    static SHARED: OnceLock<Result<PgBouncer, String>> = OnceLock::new();
    shared(&SHARED, || PgBouncer::start(postgres()?))
}

/// The Redis of this process's tests; it keeps nothing on disk.
///
/// # Errors
/// As [`postgres`].
pub fn redis() -> Result<&'static RedisServer, String> {
    static SHARED: OnceLock<Result<RedisServer, String>> = OnceLock::new();
    shared(&SHARED, || RedisServer::start(Persistence::None))
}

/// The Redis Cluster of this process's tests.
///
/// # Errors
/// As [`postgres`].
pub fn redis_cluster() -> Result<&'static RedisCluster, String> {
    static SHARED: OnceLock<Result<RedisCluster, String>> = OnceLock::new();
    shared(&SHARED, RedisCluster::start)
}

fn shared<T>(
    cell: &'static OnceLock<Result<T, String>>,
    start: impl FnOnce() -> Result<T, String>,
) -> Result<&'static T, String> {
    cell.get_or_init(start).as_ref().map_err(Clone::clone)
}
