//! A server that comes back without its last writes: tokens are given again, owners are not.

use tideway::jobs::JobStore;
use tideway_conformance::servers::{Persistence, RedisServer};
use tideway_engine::jobs::State;
use tideway_engine::jobs::call::Settled;

use crate::world::{
    block_on, claim, enqueue, fresh, id, open, plain, raw, record, request, settle, sound,
};

#[test]
fn the_token_comes_again_and_the_finish_of_the_zombie_does_not_count() {
    let mut server = RedisServer::start(Persistence::None).expect("a server");
    let options = fresh();
    let store = open(&server.url(), options.clone()).expect("a store");
    enqueue(&store, &[plain(1)]);
    raw(&server.url(), &[b"SAVE"]);
    let zombie = claim(&store, &request(1, 1, 1)).remove(0);
    // What was written since the snapshot is what the new master never got.
    server.kill();
    server.restart().expect("a server");
    let store = open(&server.url(), options).expect("a store");
    let job = record(&store, id(1)).expect("it was in the snapshot");
    assert_eq!((job.state, job.token), (State::Pending, 0));
    let second = claim(&store, &request(2, 1, 1)).remove(0);
    assert_eq!(second.token, zombie.token, "the same token again");
    assert_eq!(settle(&store, &zombie), Settled::Fenced);
    let lost = block_on(store.heartbeat(
        &[tideway_engine::jobs::call::Beat {
            id: zombie.id(),
            fence: crate::world::success(&zombie).fence,
            progress: None,
        }],
        crate::world::LEASE,
    ));
    assert_eq!(
        lost.expect("an answer"),
        [tideway_engine::jobs::call::Beaten::Lost]
    );
    assert!(matches!(settle(&store, &second), Settled::Applied(_)));
    sound(&store);
}
