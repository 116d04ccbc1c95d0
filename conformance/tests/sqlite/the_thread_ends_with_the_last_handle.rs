//! Threads and connections go with the last handle; a thread that dies before is no secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tideway::jobs::{JobStore, StoreError};
use tideway_engine::Wall;
use tideway_sqlite::{Options, Sqlite};

use crate::world::{World, block_on, enqueue, plain, record};

#[test]
fn and_closes_the_file() {
    let world = World::new();
    let log = world.dir.path().join("jobs.db-wal");
    let store = world.open();
    let clone = store.clone();
    enqueue(&store, &[plain(1)]);
    drop(store);
    enqueue(&clone, &[plain(2)]);
    assert!(log.exists());
    drop(clone);
    assert!(!log.exists(), "a connection is open still");
    assert_eq!(record(&world.open(), 2).id(), plain(2).spec.id);
}

#[test]
fn a_call_that_is_given_up_is_done_all_the_same() {
    let world = World::new();
    let store = world.open();
    let other = world.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let jobs = [plain(1)];
    let mut call = Box::pin(store.enqueue(&jobs));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending());
    drop(call);
    other.execute_batch("ROLLBACK").unwrap();
    drop(store);
    assert_eq!(record(&world.open(), 1).id(), plain(1).spec.id);
}

#[test]
fn a_dead_thread_is_told_of_at_every_call() {
    let world = World::new();
    let broken = Arc::new(AtomicBool::new(false));
    let tell = broken.clone();
    let options = Options::default().clock(Arc::new(move || {
        assert!(
            !tell.load(Ordering::SeqCst),
            "the clock is broken, as this test wants it"
        );
        Wall(1)
    }));
    let store = Sqlite::open(world.path(), options).unwrap();
    enqueue(&store, &[plain(1)]);
    broken.store(true, Ordering::SeqCst);
    let first = block_on(store.enqueue(&[plain(2)])).unwrap_err();
    assert!(matches!(first, StoreError::Ambiguous(_)), "{first:?}");
    broken.store(false, Ordering::SeqCst);
    let after = block_on(store.enqueue(&[plain(2)])).unwrap_err();
    assert!(
        matches!(&after, StoreError::Fatal(text) if text.contains("thread")),
        "{after:?}"
    );
    assert_eq!(record(&world.open(), 1).id(), plain(1).spec.id);
}
