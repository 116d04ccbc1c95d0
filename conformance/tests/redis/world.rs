//! Servers, time that the test sets, and short ways to ask.

use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tideway::jobs::{JobStore, StoreClock, StoreError};
use tideway_conformance::servers::{Persistence, RedisServer};
use tideway_driver::Net;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{ClaimReq, Enqueued, Lane, Settle, Settled};
use tideway_engine::jobs::{
    Fence, Id, Name, NewJob, Outcome, Owner, Record, Spec, Start, shard_of,
};
use tideway_redis::{Options, Redis};
use tideway_tokio::Tokio;
use tokio::runtime::Runtime;

pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// One for all tests: a store's task outlives the future that opened it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

pub(crate) fn block_on<T>(task: impl Future<Output = T>) -> T {
    RUNTIME.block_on(task)
}

pub(crate) fn net() -> Net {
    Net::of(Tokio::new(RUNTIME.handle().clone()))
}

/// The server that most tests share.
pub(crate) fn url() -> String {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    let server = SERVER.get_or_init(|| RedisServer::start(Persistence::None).expect("a server"));
    server.url()
}

/// Options with a prefix that nobody had.
pub(crate) fn fresh() -> Options {
    static PREFIXES: AtomicU64 = AtomicU64::new(0);
    let number = PREFIXES.fetch_add(1, Ordering::Relaxed);
    Options::default().prefix(format!("test-{number}"))
}

pub(crate) fn open(url: &str, options: Options) -> Result<Redis, StoreError> {
    block_on(Redis::open(net(), url, options))
}

/// A command past the store, as a person or another program would send it.
pub(crate) fn raw(url: &str, command: &[&[u8]]) -> redis::Value {
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_connection().expect("a connection");
    let mut cmd = redis::Cmd::new();
    for part in command {
        cmd.arg(*part);
    }
    cmd.query(&mut connection).expect("an answer")
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// Job `n` of a queue has this id.
pub(crate) fn id_in(queue: &str, n: u128) -> Id {
    Id::from_u128(n << 64 | u128::from(shard_of(queue)) << 50)
}

pub(crate) fn id(n: u128) -> Id {
    id_in("mail", n)
}

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Job `n` of `queue`, changed by `edit`.
pub(crate) fn job_in(queue: &str, n: u128, edit: impl FnOnce(&mut Spec)) -> NewJob {
    let mut spec = Spec::new(id_in(queue, n), name(queue), name("send"));
    edit(&mut spec);
    NewJob {
        spec: Arc::new(spec),
        payload: Bytes::from(format!("payload {n}")),
        start: Start::Now,
    }
}

pub(crate) fn plain(n: u128) -> NewJob {
    job_in("mail", n, |_| {})
}

pub(crate) fn request(owner: u128, seq: u64, limit: u32) -> ClaimReq {
    let queue = name("mail");
    ClaimReq {
        owner: Owner(owner),
        seq,
        lanes: vec![(Lane { queue, band: 0 }, limit)],
        limit,
        max_bytes: 1 << 20,
        lease: LEASE,
    }
}

pub(crate) fn success(job: &Record) -> Settle {
    Settle {
        id: job.id(),
        fence: Fence {
            token: job.token,
            owner: job.owner.expect("a claimed job"),
        },
        outcome: Outcome::Succeeded(Bytes::from_static(b"done")),
        progress: None,
        then: Vec::new(),
    }
}

/// Time that a test sets.
#[derive(Clone)]
pub(crate) struct Time(Arc<AtomicI64>);

impl Time {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_000_000)))
    }

    pub(crate) fn clock(&self) -> StoreClock {
        let time = self.0.clone();
        Arc::new(move || Wall(time.load(Ordering::SeqCst)))
    }

    pub(crate) fn wait(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Wall {
        Wall(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) fn enqueue(store: &Redis, jobs: &[NewJob]) -> Vec<Enqueued> {
    block_on(store.enqueue(jobs)).expect("an answer")
}

pub(crate) fn claim(store: &Redis, req: &ClaimReq) -> Vec<Record> {
    block_on(store.claim(req)).expect("an answer").jobs
}

pub(crate) fn settle(store: &Redis, job: &Record) -> Settled {
    block_on(store.settle(&[success(job)])).expect("an answer")[0]
}

pub(crate) fn record(store: &Redis, id: Id) -> Option<Record> {
    block_on(store.jobs(&[id])).expect("an answer").remove(0)
}

/// The store agrees with itself.
pub(crate) fn sound(store: &Redis) {
    let none: Vec<String> = Vec::new();
    assert_eq!(block_on(store.audit()).expect("an answer").flaws, none);
}
