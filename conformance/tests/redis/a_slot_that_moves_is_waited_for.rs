//! A cluster that is changed while it is used: a slot that moved is followed, one that is moving is waited for.

use redis::Value;
use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::servers::RedisCluster;
use tideway_engine::jobs::call::Enqueued;

use crate::world::{block_on, enqueue, fresh, job_in, open, plain, raw, record, sound};

fn text(value: Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).expect("text"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_moved_slot_is_followed_and_a_moving_one_is_not_seen_in_part() {
    let cluster = RedisCluster::start().expect("a cluster");
    let nodes = cluster.urls();
    let hosts: Vec<&str> = nodes
        .iter()
        .map(|url| url.trim_start_matches("redis://"))
        .collect();
    let at = format!("redis-cluster://{}", hosts.join(","));
    let options = fresh();
    // The tag of the queue "mail": see `shard_of`.
    let tag = format!("{{{}:8e4}}:m", options.prefix);
    let Value::Int(slot) = raw(&nodes[0], &[b"CLUSTER", b"KEYSLOT", tag.as_bytes()]) else {
        panic!("no slot");
    };
    let from = usize::from(slot > 5460) + usize::from(slot > 10922);
    let to = (from + 1) % 3;
    let names: Vec<String> = nodes
        .iter()
        .map(|url| text(raw(url, &[b"CLUSTER", b"MYID"])))
        .collect();
    let slot = slot.to_string();
    let set = |node: usize, words: &[&str]| {
        let mut command: Vec<&[u8]> = vec![b"CLUSTER", b"SETSLOT", slot.as_bytes()];
        command.extend(words.iter().map(|word| word.as_bytes()));
        raw(&nodes[node], &command);
    };
    let store = open(&at, options).expect("a store");
    // An empty slot changes hands; the store has the old map.
    for node in [to, from, 3 - to - from] {
        set(node, &["NODE", &names[to]]);
    }
    enqueue(&store, &[plain(1)]);
    // The way back, with keys: while it lasts nothing is done.
    set(from, &["IMPORTING", &names[to]]);
    set(to, &["MIGRATING", &names[from]]);
    let error = block_on(store.enqueue(&[plain(2)])).expect_err("the slot is moving");
    assert!(
        matches!(&error, StoreError::Transient(text) if text.contains("moved")),
        "{error}"
    );
    // With another queue's job, that one was done.
    let push = job_in("push", 3, |_| {});
    let both = [plain(2), push.clone()];
    let error = block_on(store.enqueue(&both)).expect_err("the slot is moving");
    assert!(matches!(&error, StoreError::Ambiguous(_)), "{error}");
    assert!(record(&store, push.spec.id).is_some());
    set(to, &["STABLE"]);
    set(from, &["STABLE"]);
    assert_eq!(
        enqueue(&store, &[plain(1), plain(2)]),
        [Enqueued::Duplicate, Enqueued::Inserted]
    );
    assert!(record(&store, plain(2).spec.id).is_some());
    sound(&store);
}
