//! A server forgets scripts when it restarts, or when somebody tells it to.

use tideway::jobs::JobStore;
use tideway_conformance::servers::{Persistence, RedisServer};

use crate::world::{block_on, claim, enqueue, fresh, open, plain, raw, request, settle, sound};

#[test]
fn between_any_two_calls() {
    let server = RedisServer::start(Persistence::None).expect("a server");
    let store = open(&server.url(), fresh()).expect("a store");
    let forget = || raw(&server.url(), &[b"SCRIPT", b"FLUSH"]);
    enqueue(&store, &[plain(1), plain(2)]);
    forget();
    // More than one script's worth: all in one flight, none of them known.
    let many: Vec<_> = (3..400).map(plain).collect();
    enqueue(&store, &many);
    forget();
    let jobs = claim(&store, &request(1, 1, 300));
    assert_eq!(jobs.len(), 300);
    forget();
    settle(&store, &jobs[0]);
    forget();
    let stats = block_on(store.stats()).expect("an answer");
    assert_eq!(
        (stats.queues[0].running, stats.queues[0].succeeded),
        (299, 1)
    );
    forget();
    sound(&store);
}
