//! An old program beside new tables, and the reverse: both versions are named, and nothing is lost.

use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::servers;

use crate::world::{World, block_on, open, plain, record, request};

fn fatal<T: std::fmt::Debug>(done: Result<T, StoreError>) -> String {
    match done {
        Err(StoreError::Fatal(text)) => text.into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_newer_one_when_it_is_opened_and_when_it_comes_while_a_worker_runs() {
    let world = World::new();
    let running = world.open();
    block_on(running.enqueue(&[plain(1)])).unwrap();
    // What a later migration does: another version, other functions.
    world.sql(
        "UPDATE {s}.migration SET version = 2; \
         ALTER FUNCTION {s}.enqueue_1 RENAME TO enqueue_2; ALTER FUNCTION {s}.claim_1 RENAME TO claim_2; \
         ALTER FUNCTION {s}.succeed_1 RENAME TO succeed_2; ALTER FUNCTION {s}.beat_1 RENAME TO beat_2",
    );
    let url = servers::postgres().unwrap().url();
    let says = [
        fatal(open(&url, world.options())),
        fatal(open(&url, world.options().migrate(false))),
        fatal(block_on(running.enqueue(&[plain(2)]))),
        fatal(block_on(running.claim(&request(1, 1, 9)))),
        fatal(block_on(running.prune(9))),
        fatal(block_on(running.health())),
    ];
    for text in says {
        assert!(
            text.contains("has version 2, this program knows version 1"),
            "{text}"
        );
    }
    world.sql(
        "UPDATE {s}.migration SET version = 1; \
         ALTER FUNCTION {s}.enqueue_2 RENAME TO enqueue_1; ALTER FUNCTION {s}.claim_2 RENAME TO claim_1; \
         ALTER FUNCTION {s}.succeed_2 RENAME TO succeed_1; ALTER FUNCTION {s}.beat_2 RENAME TO beat_1",
    );
    assert!(record(&running, 2).is_none());
    assert_eq!(
        block_on(running.claim(&request(1, 1, 9)))
            .unwrap()
            .jobs
            .len(),
        1
    );
}

#[test]
fn an_older_one_unless_it_may_be_brought_up_to_date() {
    let world = World::new();
    let url = servers::postgres().unwrap().url();
    let text = fatal(open(&url, world.options().migrate(false)));
    assert!(text.contains("has no tables of a job store"), "{text}");
    let running = world.open();
    world.sql("UPDATE {s}.migration SET version = 0");
    let text = fatal(open(&url, world.options().migrate(false)));
    assert!(
        text.contains("has version 0, this program needs version 1"),
        "{text}"
    );
    assert!(fatal(block_on(running.prune(9))).contains("has version 0"));
}

#[test]
fn many_processes_make_the_tables_once() {
    let world = World::new();
    let url = servers::postgres().unwrap().url();
    let openers: Vec<_> = (0..8)
        .map(|_| {
            let (url, options) = (url.clone(), world.options());
            std::thread::spawn(move || open(&url, options).map(|_| ()))
        })
        .collect();
    for opener in openers {
        opener.join().unwrap().unwrap();
    }
    assert_eq!(block_on(world.open().health()), Ok(()));
}

#[test]
fn a_name_that_needs_quotes() {
    let url = servers::postgres().unwrap().url();
    let world = World::new();
    for name in ["", "Jobs", "a\"; DROP TABLE x; --", "pg_jobs"] {
        let text = fatal(open(&url, world.options().schema(name)));
        assert!(text.contains("is no name for a schema"), "{text}");
    }
}
