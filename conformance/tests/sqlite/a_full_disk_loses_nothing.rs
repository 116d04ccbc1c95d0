//! A call for which there is no room says so and changes nothing; the rest goes on.

use bytes::Bytes;
use tideway::jobs::{JobStore, StoreError};
use tideway_engine::jobs::NewJob;
use tideway_sqlite::Sqlite;

use crate::world::{World, block_on, claim, enqueue, id, plain, record, request, settle, sound};

fn large(n: u128) -> NewJob {
    NewJob {
        payload: Bytes::from(vec![7; 20_000]),
        ..plain(n)
    }
}

#[test]
fn and_says_that_it_is_full() {
    let world = World::new();
    let store = Sqlite::open(world.path(), world.options().max_size(512 * 1024)).unwrap();
    let mut kept = 0;
    let error = loop {
        match block_on(store.enqueue(&[large(kept), large(1000 + kept)])) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100, "the file has no cap");
    };
    assert!(
        matches!(&error, StoreError::Fatal(text) if text.contains("full")),
        "{error:?}"
    );
    assert!(kept > 2);
    sound(&store);
    let there = block_on(store.jobs(&[id(kept - 1), id(999 + kept), id(kept), id(1000 + kept)]));
    let there: Vec<bool> = there.unwrap().iter().map(Option::is_some).collect();
    assert_eq!(there, [true, true, false, false], "half a batch");

    // A success gives back the room of its payload.
    let jobs = claim(&store, &request(1, 1, 4));
    for job in &jobs {
        settle(&store, job);
    }
    enqueue(&store, &[large(kept)]);
    sound(&store);
    drop(store);
    let store = world.open();
    enqueue(&store, &[large(5000)]);
    assert_eq!(record(&store, kept).id(), id(kept));
    sound(&store);
}
