//! The SQLite store as the suite opens it: a file in a directory of its own, and a clock that the test
//! moves.

use tempfile::TempDir;
use tideway::BoxFuture;
use tideway_conformance::jobs::{Harness, OpenError, TestClock};
use tideway_sqlite::{Options, Sqlite, Synchronous};

/// The SQLite store on the runtime that `block_on` runs.
pub(crate) struct OnSqlite {
    clock: TestClock,
    directory: Result<TempDir, String>,
    synchronous: Synchronous,
    block_on: fn(BoxFuture<'_, ()>),
}

impl OnSqlite {
    /// A harness for one case.
    pub(crate) fn new(block_on: fn(BoxFuture<'_, ()>)) -> Self {
        Self {
            clock: TestClock::default(),
            directory: tempfile::tempdir().map_err(|error| error.to_string()),
            synchronous: Synchronous::Full,
            block_on,
        }
    }

    /// With another durability than the usual one.
    #[allow(dead_code, reason = "used by one of the files that share this one")]
    pub(crate) fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }
}

impl Harness for OnSqlite {
    type Store = Sqlite;

    async fn open(&self) -> Result<Sqlite, OpenError> {
        let directory = self.directory.as_ref().map_err(String::as_str)?;
        let options = Options::default().clock(self.clock.store_clock());
        Ok(Sqlite::open(directory.path().join("jobs.db"), options)?)
    }

    async fn reopen(&self) -> Result<Sqlite, OpenError> {
        self.open().await
    }

    fn namespace(&self) -> Option<String> {
        let path = self.directory.as_ref().ok()?.path().join("jobs.db");
        path.to_str().map(str::to_owned)
    }

    async fn open_at(&self, namespace: &str) -> Result<Sqlite, OpenError> {
        let options = Options::default().clock(self.clock.store_clock());
        Ok(Sqlite::open(namespace, options)?)
    }

    fn clock(&self) -> Option<TestClock> {
        Some(self.clock.clone())
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        (self.block_on)(task);
    }
}
