//! What somebody else wrote over a record: it ends dead and visible, and holds up nobody.

use tideway::jobs::JobStore;
use tideway_engine::jobs::call::{Cursor, Filter};
use tideway_engine::jobs::{Reason, State};

use crate::world::{
    block_on, claim, enqueue, fresh, id, open, plain, raw, record, request, sound, url,
};

/// Overwrites the field of job `n` in the hash `part`.
fn damage(prefix: &str, part: &str, n: u128, with: &[u8]) {
    let key = format!("{{{prefix}}}:{part}");
    let field = id(n).as_u128().to_be_bytes();
    raw(&url(), &[b"HSET", key.as_bytes(), &field, with]);
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
    let key = format!("{{{prefix}}}:s");
    let field = id(3).as_u128().to_be_bytes();
    let redis::Value::BulkString(mut fixed) = raw(&url(), &[b"HGET", key.as_bytes(), &field])
    else {
        panic!("no specification");
    };
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
