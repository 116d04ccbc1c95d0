//! A server that does not answer: every call ends, and says whether it may have been done.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::servers::{Persistence, RedisServer};

use crate::world::{block_on, enqueue, fresh, open, plain, raw, sound};

#[test]
fn those_that_were_sent_are_in_doubt_and_those_without_a_connection_are_not() {
    let server = RedisServer::start(Persistence::None).expect("a server");
    let options = fresh().timeout(Duration::from_millis(300)).connections(2);
    let store = open(&server.url(), options).expect("a store");
    enqueue(&store, &[plain(1)]);
    raw(&server.url(), &[b"CLIENT", b"PAUSE", b"6000", b"ALL"]);
    let begun = Instant::now();
    let jobs: Vec<_> = (2..8).map(|n| [plain(n)]).collect();
    let errors = block_on(join_all(jobs.iter().map(|job| store.enqueue(job))));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let mut doubts = 0;
    for error in &errors {
        match error {
            Err(StoreError::Ambiguous(_)) => doubts += 1,
            Err(StoreError::Transient(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((1..errors.len()).contains(&doubts), "{errors:?}");
    std::thread::sleep(Duration::from_secs(6));
    // No connection that is out of step was kept: each answer is that of its own call.
    for n in 1..8 {
        enqueue(&store, &[plain(n)]);
        let found = block_on(store.jobs(&[plain(n).spec.id])).expect("an answer");
        assert_eq!(
            found[0].as_ref().map(|job| job.id()),
            Some(plain(n).spec.id)
        );
    }
    sound(&store);
}
