//! The Redis store as the suite opens it: a prefix of its own on a server that the tests start, and a clock that
//! the test moves.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tideway::BoxFuture;
use tideway_conformance::jobs::{Harness, OpenError, TestClock};
use tideway_conformance::servers::{Persistence, RedisServer};
use tideway_driver::Net;
use tideway_redis::{Options, Redis, Tags};

/// The Redis store on the runtime that `net` is of and `block_on` runs.
pub(crate) struct OnRedis {
    clock: TestClock,
    url: fn() -> Result<String, String>,
    prefix: String,
    tags: Option<Tags>,
    net: Net,
    block_on: fn(BoxFuture<'_, ()>),
}

/// The server of this process's tests: one that writes down what it answers.
#[allow(dead_code, reason = "those of the cluster have another")]
pub(crate) fn server() -> Result<String, String> {
    static SERVER: OnceLock<Result<RedisServer, String>> = OnceLock::new();
    let server = SERVER.get_or_init(|| RedisServer::start(Persistence::EverySecond));
    server.as_ref().map(RedisServer::url).map_err(Clone::clone)
}

impl OnRedis {
    /// A harness for one case, on the server of `url`.
    pub(crate) fn new(
        url: fn() -> Result<String, String>,
        net: Net,
        block_on: fn(BoxFuture<'_, ()>),
    ) -> Self {
        static CASES: AtomicU64 = AtomicU64::new(0);
        Self {
            clock: TestClock::default(),
            url,
            prefix: format!("case-{}", CASES.fetch_add(1, Ordering::Relaxed)),
            tags: None,
            net,
            block_on,
        }
    }

    /// With other tags than the URL gives.
    #[allow(dead_code, reason = "used by one of the files that share this one")]
    pub(crate) fn tags(mut self, tags: Tags) -> Self {
        self.tags = Some(tags);
        self
    }

    async fn open_in(&self, url: &str, prefix: &str) -> Result<Redis, OpenError> {
        let clock = self.clock.store_clock();
        let mut options = Options::default().prefix(prefix).clock(clock);
        options.tags = self.tags;
        Ok(Redis::open(self.net.clone(), url, options).await?)
    }
}

impl Harness for OnRedis {
    type Store = Redis;

    async fn open(&self) -> Result<Redis, OpenError> {
        self.open_in(&(self.url)()?, &self.prefix).await
    }

    async fn reopen(&self) -> Result<Redis, OpenError> {
        self.open().await
    }

    /// Queues have tags of their own on a cluster, and what goes from one to another an outbox.
    fn sends_follow_ups_by_prune(&self) -> bool {
        (self.url)().is_ok_and(|url| url.starts_with("redis-cluster:"))
    }

    fn namespace(&self) -> Option<String> {
        Some(format!("{} {}", (self.url)().ok()?, self.prefix))
    }

    async fn open_at(&self, namespace: &str) -> Result<Redis, OpenError> {
        let (url, prefix) = namespace.split_once(' ').ok_or("no address and prefix")?;
        self.open_in(url, prefix).await
    }

    fn clock(&self) -> Option<TestClock> {
        Some(self.clock.clone())
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        (self.block_on)(task);
    }
}
