//! A schema of its own on the shared server, time that the test sets, and short ways to ask.

use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use tideway::jobs::{JobStore, StoreClock, StoreError};
use tideway_conformance::servers;
use tideway_driver::Net;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{ClaimReq, Lane, Settle};
use tideway_engine::jobs::{Fence, Id, Name, NewJob, Outcome, Owner, Record, Spec, Start};
use tideway_postgres::{Options, Postgres};

pub(crate) const LEASE: Duration = Duration::from_secs(30);

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().unwrap()
});

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

pub(crate) fn net() -> Net {
    let _inside = RUNTIME.enter();
    Net::of(tideway_tokio::Tokio::current())
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn id(n: u128) -> Id {
    Id::from_u128(n)
}

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Job `n` of the queue `mail`, changed by `edit`.
pub(crate) fn job(n: u128, edit: impl FnOnce(&mut Spec)) -> NewJob {
    let mut spec = Spec::new(id(n), name("mail"), name("send"));
    edit(&mut spec);
    NewJob {
        spec: Arc::new(spec),
        payload: Bytes::from(format!("payload {n}")),
        start: Start::Now,
    }
}

pub(crate) fn plain(n: u128) -> NewJob {
    job(n, |_| {})
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
            owner: job.owner.unwrap(),
        },
        outcome: Outcome::Succeeded(Bytes::from_static(b"done")),
        progress: None,
        then: Vec::new(),
    }
}

/// A schema nobody else uses.
pub(crate) fn schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("world_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) struct World {
    pub(crate) schema: String,
    time: Arc<AtomicI64>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            schema: schema(),
            time: Arc::new(AtomicI64::new(1_000_000)),
        }
    }

    pub(crate) fn clock(&self) -> StoreClock {
        let time = self.time.clone();
        Arc::new(move || Wall(time.load(Ordering::SeqCst)))
    }

    pub(crate) fn wait(&self, millis: i64) {
        self.time.fetch_add(millis, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Wall {
        Wall(self.time.load(Ordering::SeqCst))
    }

    pub(crate) fn options(&self) -> Options {
        Options::default().schema(&self.schema).clock(self.clock())
    }

    pub(crate) fn open(&self) -> Postgres {
        open(&servers::postgres().unwrap().url(), self.options()).unwrap()
    }

    /// A connection past the store, as a person with `psql` has it.
    pub(crate) fn sql(&self, text: &str) -> Vec<tokio_postgres::SimpleQueryMessage> {
        sql(
            &servers::postgres().unwrap().url(),
            &text.replace("{s}", &self.schema),
        )
    }
}

pub(crate) fn open(url: &str, options: Options) -> Result<Postgres, StoreError> {
    block_on(Postgres::open(net(), url, options))
}

/// A client of the test's own.
pub(crate) async fn client(url: &str) -> tokio_postgres::Client {
    let config: tokio_postgres::Config = url.parse().unwrap();
    let stream = net()
        .connect("127.0.0.1", config.get_ports()[0])
        .await
        .unwrap();
    let (client, connection) = config
        .connect_raw(stream, tokio_postgres::NoTls)
        .await
        .unwrap();
    net().spawn(async move {
        let _ = connection.await;
    });
    client
}

pub(crate) fn sql(url: &str, text: &str) -> Vec<tokio_postgres::SimpleQueryMessage> {
    block_on(async { client(url).await.simple_query(text).await.unwrap() })
}

pub(crate) fn record(store: &Postgres, n: u128) -> Option<Record> {
    block_on(store.jobs(&[id(n)])).unwrap().remove(0)
}

/// The tables agree with each other.
pub(crate) fn sound(store: &Postgres) {
    let none: Vec<String> = Vec::new();
    assert_eq!(block_on(store.audit()).unwrap().flaws, none);
}
