//! What somebody else wrote over a record: it ends dead and visible, and holds up nobody.

use std::time::Duration;

use tideway::jobs::JobStore;
use tideway_conformance::jobs::TestClock;
use tideway_engine::jobs::call::{Cursor, Filter};
use tideway_engine::jobs::{Reason, Record, State};

use crate::world::{
    LEASE, block_on, claim, enqueue, fresh, id, job_in, open, plain, raw, record, request, sound,
    url,
};

/// Overwrites the field of job `n` in the hash `part`.
fn damage(prefix: &str, part: &str, n: u128, with: &[u8]) {
    let key = format!("{{{prefix}}}:{part}");
    let field = id(n).as_u128().to_be_bytes();
    raw(&url(), &[b"HSET", key.as_bytes(), &field, with]);
}

fn specification(prefix: &str, n: u128) -> Vec<u8> {
    let key = format!("{{{prefix}}}:s");
    let field = id(n).as_u128().to_be_bytes();
    match raw(&url(), &[b"HGET", key.as_bytes(), &field]) {
        redis::Value::BulkString(fixed) => fixed,
        other => panic!("no specification: {other:?}"),
    }
}

#[test]
fn one_that_another_release_packed_waits_for_it() {
    let time = TestClock::default();
    let options = fresh().clock(time.store_clock());
    let prefix = options.prefix.clone();
    let store = open(&url(), options).expect("a store");
    let expires = job_in("mail", 2, |spec| spec.expiry = Some(LEASE * 3));
    enqueue(&store, &[plain(1), expires, plain(3)]);
    let ours = specification(&prefix, 2);
    // The version stands before the id.
    let bits = id(2).as_u128().to_be_bytes();
    let at = ours.windows(16).position(|some| some == bits);
    let mut newer = ours.clone();
    newer[at.expect("its id") - 1] = 2;
    damage(&prefix, "s", 2, &newer);
    let ids = |jobs: &[Record]| jobs.iter().map(Record::id).collect::<Vec<_>>();
    assert_eq!(ids(&claim(&store, &request(7, 1, 10))), [id(1), id(3)]);
    let left = record(&store, id(2)).expect("it stays visible");
    assert_eq!((left.state, left.reason), (State::Pending, None));
    assert_eq!((left.attempt, left.returns), (0, 1));
    sound(&store);

    // The other release, which can read it.
    damage(&prefix, "s", 2, &ours);
    time.advance(Duration::from_millis(29_999));
    assert_eq!(ids(&claim(&store, &request(8, 1, 10))), []);
    time.advance(Duration::from_millis(1));
    assert_eq!(ids(&claim(&store, &request(8, 2, 10))), [id(2)]);
    sound(&store);
}

#[test]
fn whatever_part_of_it_is_damaged() {
    let options = fresh();
    let prefix = options.prefix.clone();
    let store = open(&url(), options).expect("a store");
    enqueue(&store, &[plain(1), plain(2), plain(3), plain(4)]);
    damage(&prefix, "m", 1, b"?");
    damage(&prefix, "s", 2, b"");
    // The part that scripts read stays; the packed specification behind it goes.
    let mut fixed = specification(&prefix, 3);
    fixed.truncate(fixed.len() - 5);
    damage(&prefix, "s", 3, &fixed);
    let claimed = claim(&store, &request(1, 1, 9));
    let ids: Vec<_> = claimed.iter().map(|job| job.id()).collect();
    assert_eq!(ids, [id(4)]);
    for n in 1..4 {
        let job = record(&store, id(n)).expect("it stays visible");
        assert_eq!(
            (job.state, job.reason),
            (State::Dead, Some(Reason::Corrupt)),
            "job {n}"
        );
    }
    let filter = Filter {
        state: Some(State::Dead),
        ..Filter::default()
    };
    let listed = block_on(store.list(&filter, &Cursor::default(), 9)).expect("a page");
    assert_eq!(listed.items.len(), 3);
    sound(&store);
}
