//! What `open` refuses, and what it says.

use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::servers::{Persistence, RedisServer};
use tideway_engine::jobs::call::Durability;
use tideway_redis::{Options, Tags};

use crate::world::{block_on, enqueue, fresh, open, plain, raw, url};

#[track_caller]
fn refused(url: &str, options: Options, says: &str) {
    match open(url, options) {
        Err(StoreError::Fatal(text)) => assert!(text.contains(says), "{text}"),
        other => panic!("{other:?}"),
    }
}

fn server(settings: &[(&str, &str)]) -> RedisServer {
    RedisServer::start_with(Persistence::None, settings).expect("a server")
}

#[test]
fn a_server_that_may_drop_jobs() {
    let server = server(&[("maxmemory-policy", "allkeys-lru")]);
    refused(&server.url(), fresh(), "noeviction");
}

#[test]
fn a_wrong_password() {
    let server = server(&[("requirepass", "secret")]);
    let at = server.url().replace("secret", "wrong");
    refused(&at, fresh(), "password");
    refused(&server.url().replace(":secret@", ""), fresh(), "password");
    assert!(open(&server.url(), fresh()).is_ok());
}

#[test]
fn a_replica_and_a_master_that_became_one() {
    let master = server(&[]);
    let other = server(&[]);
    let store = open(&other.url(), fresh()).expect("a store");
    let port = master.port().to_string();
    raw(&other.url(), &[b"REPLICAOF", b"127.0.0.1", port.as_bytes()]);
    refused(&other.url(), fresh(), "replica");
    let error = block_on(store.enqueue(&[plain(1)])).expect_err("it takes no writes");
    assert!(matches!(error, StoreError::Transient(_)), "{error}");
    assert!(block_on(store.health()).is_err());
    raw(&other.url(), &[b"REPLICAOF", b"NO", b"ONE"]);
    enqueue(&store, &[plain(1)]);
    block_on(store.health()).expect("it is a master again");
}

#[test]
fn keys_of_other_tags_or_a_newer_release() {
    let options = fresh();
    let key = format!("{{{}}}:meta", options.prefix);
    drop(open(&url(), options.clone()).expect("a store"));
    refused(&url(), options.clone().tags(Tags::PerQueue), "tags");
    raw(&url(), &[b"HSET", key.as_bytes(), b"schema", b"2"]);
    refused(&url(), options, "newer");
}

#[test]
fn what_is_no_url_and_no_prefix() {
    refused("postgres://localhost", fresh(), "redis://");
    refused(&url().replace("redis", "redis-cluster"), fresh(), "cluster");
    refused(&url(), fresh().prefix("a{b}"), "prefix");
    let nobody = open("redis://127.0.0.1:1", fresh());
    assert!(
        matches!(nobody, Err(StoreError::Transient(_))),
        "{nobody:?}"
    );
}

#[test]
fn what_is_kept_is_declared() {
    let with = |persistence, settings: &[_]| {
        let server = RedisServer::start_with(persistence, settings).expect("a server");
        open(&server.url(), fresh())
            .expect("a store")
            .caps()
            .durability
    };
    let of = |persistence| with(persistence, &[]);
    assert_eq!(of(Persistence::None), Durability::Memory);
    assert_eq!(of(Persistence::EverySecond), Durability::Delayed);
    assert_eq!(of(Persistence::Always), Durability::Power);
    let settings = [("no-appendfsync-on-rewrite", "yes")];
    assert_eq!(with(Persistence::Always, &settings), Durability::Process);
    let settings = [("appendfsync", "no")];
    assert_eq!(
        with(Persistence::EverySecond, &settings),
        Durability::Process
    );
}
