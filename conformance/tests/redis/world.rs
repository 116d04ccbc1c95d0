//! Servers, time that the test sets, and short ways to ask.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::servers::{Persistence, RedisServer};
use tideway_engine::jobs::call::{ClaimReq, Enqueued, Settled};
use tideway_engine::jobs::{Id, NewJob, Record, Spec, shard_of};
use tideway_redis::{Options, Redis};

#[path = "../job_stores/short.rs"]
mod short;
#[path = "../job_stores/tokio_multi.rs"]
mod tokio_multi;

pub(crate) use short::{LEASE, name, request, success};
pub(crate) use tokio_multi::{block_on, net};

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

/// Job `n` of a queue has this id.
pub(crate) fn id_in(queue: &str, n: u128) -> Id {
    Id::from_u128(n << 64 | u128::from(shard_of(queue)) << 50)
}

pub(crate) fn id(n: u128) -> Id {
    id_in("mail", n)
}

/// Job `n` of `queue`, changed by `edit`.
pub(crate) fn job_in(queue: &str, n: u128, edit: impl FnOnce(&mut Spec)) -> NewJob {
    short::job(n, |spec| {
        (spec.id, spec.queue) = (id_in(queue, n), name(queue));
        edit(spec);
    })
}

pub(crate) fn plain(n: u128) -> NewJob {
    job_in("mail", n, |_| {})
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
