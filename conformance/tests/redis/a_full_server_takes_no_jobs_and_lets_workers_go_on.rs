//! `maxmemory` is reached: an enqueue is refused and changes nothing; claims, settles and prunes go on.

use bytes::Bytes;
use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::servers::{Persistence, RedisServer};
use tideway_engine::jobs::call::{Beaten, Settled};

use crate::world::{
    LEASE, block_on, claim, enqueue, fresh, open, plain, raw, record, request, settle, sound,
    success,
};

#[test]
fn an_enqueue_is_refused_with_what_to_do() {
    let server = RedisServer::start(Persistence::None).expect("a server");
    let store = open(&server.url(), fresh()).expect("a store");
    enqueue(&store, &[plain(1), plain(2)]);
    raw(&server.url(), &[b"CONFIG", b"SET", b"maxmemory", b"1mb"]);
    let mut big = plain(3);
    big.payload = Bytes::from(vec![7; 1000]);
    let refused = block_on(store.enqueue(&[big.clone()])).expect_err("there is no room");
    let StoreError::Transient(text) = &refused else {
        panic!("{refused:?}");
    };
    assert!(text.contains("maxmemory"), "{text}");
    assert_eq!(record(&store, big.spec.id), None);
    let claimed = claim(&store, &request(1, 1, 9));
    assert_eq!(claimed.len(), 2);
    let beat = tideway_engine::jobs::call::Beat {
        id: claimed[0].id(),
        fence: success(&claimed[0]).fence,
        progress: None,
    };
    let beaten = block_on(store.heartbeat(&[beat], LEASE)).expect("an answer");
    assert_eq!(beaten, [Beaten::Alive { cancel: false }]);
    assert!(matches!(settle(&store, &claimed[0]), Settled::Applied(_)));
    block_on(store.prune(10)).expect("an answer");
    block_on(store.stats()).expect("an answer");
    sound(&store);
    raw(&server.url(), &[b"CONFIG", b"SET", b"maxmemory", b"0"]);
    enqueue(&store, &[big]);
}
