//! A schema of its own on the shared server, time that the test sets, and short ways to ask.

use std::sync::atomic::{AtomicU32, Ordering};

use tideway::jobs::{JobStore, StoreClock, StoreError};
use tideway_conformance::jobs::TestClock;
use tideway_conformance::servers;
use tideway_engine::jobs::Record;
use tideway_postgres::{Options, Postgres};

#[path = "../job_stores/short.rs"]
mod short;
#[path = "../job_stores/tokio_multi.rs"]
mod tokio_multi;

pub(crate) use short::*;
pub(crate) use tokio_multi::{block_on, net};

/// A schema nobody else uses.
pub(crate) fn schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("world_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) struct World {
    pub(crate) schema: String,
    time: TestClock,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            schema: schema(),
            time: TestClock::default(),
        }
    }

    pub(crate) fn clock(&self) -> StoreClock {
        self.time.store_clock()
    }

    pub(crate) fn wait(&self, millis: u64) {
        self.time.advance(ms(millis));
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
