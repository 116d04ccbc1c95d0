//! A proxy swallows the reply to a call: the caller hears that it may have been done, and its repeat finds that.

use std::time::Duration;

use bytes::Bytes;
use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::proxy::{Faults, Proxy};
use tideway_conformance::servers;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{
    Beat, Beaten, Control, CronCas, Enqueued, Select, Settle, Settled,
};
use tideway_engine::jobs::cron::Cell;
use tideway_engine::jobs::{Conflict, Failure, Hold, Kind, Outcome, State, Unique};
use tideway_postgres::Postgres;

use crate::world::{
    LEASE, World, block_on, id, job, ms, name, open, plain, record, request, sound, success,
};

fn behind(world: &World, seed: u64) -> (Proxy, Postgres) {
    let port = servers::postgres().unwrap().port();
    let proxy = Proxy::start(([127, 0, 0, 1], port).into(), seed).unwrap();
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/postgres",
        proxy.addr().port()
    );
    let store = open(&url, world.options().timeout(ms(1500))).unwrap();
    (proxy, store)
}

/// The next call of a quiet store gets no reply.
fn lose(proxy: &Proxy) {
    // What is said after a call, to those who listen, shall not take the loss upon it.
    std::thread::sleep(ms(100));
    proxy.lose_next_reply();
}

#[track_caller]
fn ambiguous<T: std::fmt::Debug>(done: Result<T, StoreError>) {
    assert!(matches!(done, Err(StoreError::Ambiguous(_))), "{done:?}");
}

#[track_caller]
fn transient<T: std::fmt::Debug>(done: Result<T, StoreError>) {
    assert!(matches!(done, Err(StoreError::Transient(_))), "{done:?}");
}

#[test]
fn of_each_call_that_is_one_statement() {
    let world = World::new();
    let (proxy, store) = behind(&world, 1);
    block_on(store.health()).unwrap();
    let jobs = [plain(1), plain(2)];
    lose(&proxy);
    ambiguous(block_on(store.enqueue(&jobs)));
    assert_eq!(
        block_on(store.enqueue(&jobs)).unwrap(),
        [Enqueued::Duplicate; 2]
    );

    lose(&proxy);
    ambiguous(block_on(store.claim(&request(7, 1, 1))));
    let claimed = block_on(store.claim(&request(7, 1, 1))).unwrap().jobs;
    assert_eq!(
        (claimed.len(), claimed[0].id(), claimed[0].token),
        (1, id(1), 1)
    );
    assert_eq!(
        record(&store, 2).unwrap().state,
        State::Pending,
        "the repeat took nothing more"
    );

    let beat = Beat {
        id: id(1),
        fence: success(&claimed[0]).fence,
        progress: Some(Bytes::from_static(b"half")),
    };
    lose(&proxy);
    ambiguous(block_on(
        store.heartbeat(std::slice::from_ref(&beat), LEASE),
    ));
    assert_eq!(
        block_on(store.heartbeat(&[beat], LEASE)).unwrap(),
        [Beaten::Alive { cancel: false }]
    );

    lose(&proxy);
    ambiguous(block_on(store.settle(&[success(&claimed[0])])));
    assert_eq!(
        block_on(store.settle(&[success(&claimed[0])])).unwrap(),
        [Settled::Already(Kind::Succeed)]
    );

    lose(&proxy);
    transient(block_on(store.stats()));
    lose(&proxy);
    transient(block_on(store.jobs(&[id(1)])));
    lose(&proxy);
    transient(block_on(store.expired(&Default::default(), 9)));
    sound(&store);
}

/// Whichever of its replies is lost: nothing is done before the last, and a repeat finishes it.
#[test]
fn of_each_call_that_is_a_transaction() {
    for seed in 0..12 {
        let world = World::new();
        let (proxy, store) = behind(&world, seed);
        let keyed = job(1, |spec| {
            spec.unique = Some(Unique {
                key: name("k"),
                hold: Hold::UntilDone,
                conflict: Conflict::Keep,
            });
        });
        let waiting = job(2, |spec| spec.waits = vec![id(1)]);
        let quiet = Faults::default();
        let bad = Faults {
            drop_reply: 0.2,
            reset: 0.05,
            ..Faults::default()
        };
        proxy.set(bad);
        let first = until(|| block_on(store.enqueue(&[keyed.clone(), waiting.clone()])));
        assert!(
            first == [Enqueued::Inserted; 2] || first == [Enqueued::Duplicate; 2],
            "{first:?}"
        );
        let claimed = until(|| block_on(store.claim(&request(1, 1, 9)))).jobs;
        assert_eq!(claimed.len(), 1);
        let failed = Settle {
            outcome: Outcome::Retry {
                after: Duration::ZERO,
                failure: Failure::new("no luck"),
            },
            ..success(&claimed[0])
        };
        let settled = until(|| block_on(store.settle(std::slice::from_ref(&failed))));
        assert!(
            matches!(
                settled[..],
                [Settled::Applied(Kind::Retry) | Settled::Already(Kind::Retry)]
            ),
            "{settled:?}"
        );
        let cas = CronCas {
            key: name("tick"),
            prev: None,
            next: Cell {
                slot: Wall(5),
                rev: 1,
                spec: "@daily".into(),
                last_job: Some(id(3)),
            },
            jobs: vec![plain(3)],
        };
        let moved = until(|| block_on(store.cron_cas(&cas)));
        assert_eq!(moved.cell, Some(cas.next.clone()));
        let cancel = Control::Cancel(Select::Ids(vec![id(1)]));
        until(|| block_on(store.control(&cancel)));
        until(|| block_on(store.prune(9)));
        proxy.set(quiet);
        let states: Vec<State> = (1..4).map(|n| record(&store, n).unwrap().state).collect();
        assert_eq!(states, [State::Cancelled, State::Cancelled, State::Pending]);
        assert_eq!(
            record(&store, 1).unwrap().failures,
            1,
            "the retry counted once"
        );
        sound(&store);
    }
}

fn until<T>(mut call: impl FnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..200 {
        match call() {
            Ok(done) => return done,
            Err(StoreError::Transient(_) | StoreError::Ambiguous(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    panic!("two hundred times the reply was lost");
}

#[test]
fn a_silent_connection_is_given_up_and_not_used_again() {
    let world = World::new();
    let (proxy, store) = behind(&world, 3);
    block_on(store.enqueue(&[plain(1)])).unwrap();
    std::thread::sleep(ms(100));
    proxy.set(Faults {
        half_open: 1.0,
        ..Faults::default()
    });
    ambiguous(block_on(store.enqueue(&[plain(2)])));
    proxy.set(Faults::default());
    let again = block_on(store.enqueue(&[plain(2)])).unwrap();
    assert!(again == [Enqueued::Inserted] || again == [Enqueued::Duplicate]);
}
