//! `Options::delete_succeeded`: the record goes with the success, whichever way that takes; what is tied to it is told.

use tideway::jobs::JobStore;
use tideway_conformance::servers;
use tideway_engine::jobs::call::{Enqueued, Settled};
use tideway_engine::jobs::{Conflict, Hold, Kind, State, Unique};

use crate::world::{World, block_on, id, job, name, open, plain, record, request, sound, success};

#[test]
fn and_everything_else_goes_on() {
    let world = World::new();
    let url = servers::postgres().unwrap().url();
    let store = open(&url, world.options().delete_succeeded(true)).unwrap();
    let keyed = job(2, |spec| {
        spec.unique = Some(Unique {
            key: name("k"),
            hold: Hold::UntilDone,
            conflict: Conflict::Keep,
        });
    });
    let waiter = job(4, |spec| spec.waits = vec![id(3)]);
    block_on(store.enqueue(&[plain(1), keyed.clone(), plain(3), waiter])).unwrap();
    let claimed = block_on(store.claim(&request(1, 1, 9))).unwrap().jobs;
    assert_eq!(claimed.len(), 3);
    for job in &claimed {
        let done = block_on(store.settle(&[success(job)])).unwrap();
        assert_eq!(done, [Settled::Applied(Kind::Succeed)]);
        assert_eq!(
            block_on(store.settle(&[success(job)])).unwrap(),
            [Settled::NotFound]
        );
    }
    assert!((1..4).all(|n| record(&store, n).is_none()));
    assert_eq!(record(&store, 4).unwrap().state, State::Pending);
    assert_eq!(
        block_on(store.enqueue(&[keyed])).unwrap(),
        [Enqueued::Inserted],
        "its key is free, its id forgotten"
    );
    sound(&store);
}
