//! Calls that share a transaction do not share their errors.

use std::time::Duration;

use bytes::Bytes;
use tideway::jobs::{JobStore, StoreError};
use tideway_engine::jobs::NewJob;
use tideway_engine::jobs::call::Enqueued;
use tideway_sqlite::Sqlite;

use crate::world::{World, block_on, plain, sound};

#[test]
fn in_one_transaction() {
    let world = World::new();
    let store = Sqlite::open(world.path(), world.options().max_size(1 << 20)).unwrap();
    // While the file is locked, all calls but the first wait for one transaction.
    let other = world.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let calls: Vec<_> = (0..9_u128)
        .map(|n| {
            let store = store.clone();
            std::thread::spawn(move || {
                let size = if n == 4 { 4 << 20 } else { 10 };
                let payload = Bytes::from(vec![1; size]);
                block_on(store.enqueue(&[NewJob {
                    payload,
                    ..plain(n)
                }]))
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    other.execute_batch("ROLLBACK").unwrap();
    for (n, call) in calls.into_iter().enumerate() {
        let out = call.join().unwrap();
        if n == 4 {
            assert!(matches!(out, Err(StoreError::Fatal(_))), "{out:?}");
        } else {
            assert_eq!(out, Ok(vec![Enqueued::Inserted]), "job {n}");
        }
    }
    let stats = block_on(store.stats()).unwrap();
    assert_eq!(stats.queues[0].pending, 8);
    sound(&store);
}
