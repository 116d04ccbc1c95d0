//! The PostgreSQL store as the suite opens it: a schema of its own on the server that the tests of a process
//! share, and a clock that the test moves.

use std::sync::atomic::{AtomicU32, Ordering};

use tideway::BoxFuture;
use tideway_conformance::jobs::{Harness, OpenError, TestClock};
use tideway_conformance::servers;
use tideway_driver::Net;
use tideway_postgres::{Options, Postgres};

/// The PostgreSQL store on the runtime that `block_on` runs and `net` reaches.
pub(crate) struct OnPostgres {
    clock: TestClock,
    schema: String,
    pooled: bool,
    url: fn() -> Result<String, String>,
    net: fn() -> Net,
    block_on: fn(BoxFuture<'_, ()>),
}

impl OnPostgres {
    /// A harness for one case.
    pub(crate) fn new(net: fn() -> Net, block_on: fn(BoxFuture<'_, ()>)) -> Self {
        static CASES: AtomicU32 = AtomicU32::new(0);
        Self {
            clock: TestClock::default(),
            schema: format!("case_{}", CASES.fetch_add(1, Ordering::Relaxed)),
            pooled: false,
            url: || Ok(servers::postgres()?.url()),
            net,
            block_on,
        }
    }

    /// It behind a PgBouncer.
    #[allow(dead_code, reason = "used by one of the files that share this one")]
    pub(crate) fn pooled(mut self) -> Self {
        self.pooled = true;
        self.url = || Ok(servers::pgbouncer()?.url());
        self
    }

    /// It behind what else there is before the server.
    #[allow(dead_code, reason = "used by one of the files that share this one")]
    pub(crate) fn at(mut self, url: fn() -> Result<String, String>) -> Self {
        self.url = url;
        self
    }

    async fn open_in(&self, url: &str, schema: &str) -> Result<Postgres, OpenError> {
        let options = Options::default()
            .schema(schema)
            .clock(self.clock.store_clock());
        Ok(Postgres::open((self.net)(), url, options.pooled(self.pooled)).await?)
    }
}

impl Harness for OnPostgres {
    type Store = Postgres;

    async fn open(&self) -> Result<Postgres, OpenError> {
        self.open_in(&(self.url)()?, &self.schema).await
    }

    async fn reopen(&self) -> Result<Postgres, OpenError> {
        self.open().await
    }

    fn namespace(&self) -> Option<String> {
        Some(format!("{} {}", (self.url)().ok()?, self.schema))
    }

    async fn open_at(&self, namespace: &str) -> Result<Postgres, OpenError> {
        let (url, schema) = namespace.split_once(' ').ok_or("no address and schema")?;
        self.open_in(url, schema).await
    }

    fn clock(&self) -> Option<TestClock> {
        Some(self.clock.clone())
    }

    /// A statement's snapshot is older than its commit: decision 012.
    fn looks_before_it_takes(&self) -> bool {
        true
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        (self.block_on)(task);
    }
}
