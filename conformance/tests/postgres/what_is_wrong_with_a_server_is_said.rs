//! Wrong password, a server that takes no writes, a full pool, a statement that takes too long: the exact error.

use std::future::Future;
use std::time::{Duration, Instant};

use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::servers::{self, PostgresServer};
use tideway_engine::jobs::call::Durability;

use crate::world::{World, block_on, client, ms, open, plain, record, request, schema, sql};

#[track_caller]
fn transient<T: std::fmt::Debug>(done: Result<T, StoreError>, with: &str) {
    match done {
        Err(StoreError::Transient(text)) if text.contains(with) => {}
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn fatal<T: std::fmt::Debug>(done: Result<T, StoreError>, with: &str) {
    match done {
        Err(StoreError::Fatal(text)) if text.contains(with) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_address_that_cannot_be() {
    let options = || World::new().options().timeout(ms(2000));
    let server = servers::postgres().unwrap();
    fatal(
        open(&server.url_with_password("wrong"), options()),
        "does not let this user in",
    );
    let nowhere = format!("postgres://postgres@127.0.0.1:{}/none", server.port());
    fatal(
        open(&nowhere, options()),
        "database \"none\" does not exist",
    );
    fatal(open("not an address", options()), "cannot be read");
    fatal(open("postgres:///x?host=/tmp", options()), "Unix socket");
    fatal(
        open("postgres://a@h/x?sslmode=require", options()),
        "without TLS",
    );
    transient(
        open("postgres://postgres@127.0.0.1:1/postgres", options()),
        "cannot connect to 127.0.0.1:1",
    );
}

#[test]
fn no_right_to_make_the_tables() {
    let url = servers::postgres().unwrap().url();
    let role = schema();
    sql(&url, &format!("CREATE ROLE {role} LOGIN"));
    let theirs = url.replace("//postgres@", &format!("//{role}@"));
    fatal(open(&theirs, World::new().options()), "permission denied");
}

#[test]
fn a_server_that_takes_no_writes_and_takes_them_again() {
    let url = servers::postgres().unwrap().url();
    let role = schema();
    sql(&url, &format!("CREATE ROLE {role} LOGIN SUPERUSER"));
    let theirs = url.replace("//postgres@", &format!("//{role}@"));
    let world = World::new();
    let store = open(&theirs, world.options()).unwrap();
    block_on(store.enqueue(&[plain(1)])).unwrap();
    let set = |to: &str| {
        let all = format!(
            "ALTER ROLE {role} {to}; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
        );
        sql(&url, &all);
        std::thread::sleep(ms(200));
    };
    set("SET default_transaction_read_only = on");
    transient(block_on(store.enqueue(&[plain(2)])), "takes no writes");
    transient(block_on(store.prune(1)), "takes no writes");
    fatal(block_on(store.health()), "takes no writes");
    fatal(open(&theirs, world.options()), "takes no writes");
    fatal(open(&theirs, World::new().options()), "takes no writes");
    set("RESET default_transaction_read_only");
    block_on(store.health()).unwrap();
    block_on(store.enqueue(&[plain(2)])).unwrap();
}

/// `work` while somebody has locked the jobs.
async fn while_locked<T>(world: &World, work: impl Future<Output = T>) -> T {
    let other = client(&servers::postgres().unwrap().url()).await;
    let lock = format!("BEGIN; LOCK TABLE {}.job", world.schema);
    other.batch_execute(&lock).await.unwrap();
    let out = work.await;
    other.batch_execute("ROLLBACK").await.unwrap();
    out
}

#[test]
fn a_statement_that_takes_too_long() {
    let world = World::new();
    let url = servers::postgres().unwrap().url();
    let store = open(&url, world.options().timeout(ms(700))).unwrap();
    block_on(async {
        let begun = Instant::now();
        let claim = while_locked(&world, store.claim(&request(1, 1, 1))).await;
        transient(claim, "longer than its time limit");
        let prune = while_locked(&world, store.prune(1)).await;
        transient(prune, "longer than its time limit");
        assert!(begun.elapsed() < Duration::from_secs(20));
        store.prune(1).await.unwrap();
    });
}

#[test]
fn a_full_pool() {
    let world = World::new();
    let url = servers::postgres().unwrap().url();
    // Behind a pooler the server is told no limit: the calls themselves give up.
    let store = open(
        &url,
        world.options().connections(1).timeout(ms(600)).pooled(true),
    )
    .unwrap();
    block_on(async {
        let jobs = [plain(1)];
        let first = store.enqueue(&jobs);
        let second = async {
            // It gets a connection when the first has given up; that of the first is closed.
            tokio::time::sleep(ms(500)).await;
            store.prune(1).await
        };
        // It gives up with the first: no time is left to connect.
        let third = store.stats();
        let all = futures_util::future::join3(first, third, second);
        let (first, third, second) = while_locked(&world, all).await;
        match first {
            Err(StoreError::Ambiguous(text)) => {
                assert!(text.contains("no answer within"), "{text}");
            }
            other => panic!("{other:?}"),
        }
        transient(second, "no answer within");
        transient(third, "no connection within");
        // The server was told to stop what nobody waited for.
        assert_eq!(store.claim(&request(1, 1, 9)).await.unwrap().jobs.len(), 0);
    });
    assert!(
        record(&store, 1).is_none(),
        "it was cancelled before it could be done"
    );
}

#[test]
fn what_is_kept_is_declared() {
    let with = |settings: &[_]| {
        let server = PostgresServer::start_with(settings).expect("a server");
        let store = open(&server.url(), World::new().options()).expect("a store");
        store.caps().durability
    };
    let synced = ("fsync", "on");
    assert_eq!(with(&[synced]), Durability::Power);
    assert_eq!(with(&[("fsync", "off")]), Durability::Process);
    let later = ("synchronous_commit", "off");
    assert_eq!(with(&[synced, later]), Durability::Delayed);
    assert_eq!(with(&[("fsync", "off"), later]), Durability::Delayed);
}
