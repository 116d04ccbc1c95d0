//! The reply to each call is lost once: the caller hears that it may have been done, and the same call again says
//! what was. One that only asks is done never, and never in doubt.

use std::fmt::Debug;
use std::future::Future;

use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::proxy::Proxy;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{
    Beat, Beaten, Control, CronCas, Cursor, Enqueued, Filter, Select, Settled,
};
use tideway_engine::jobs::cron::Cell;
use tideway_engine::jobs::{Kind, Start};

use crate::world::{
    LEASE, block_on, claim, enqueue, fresh, id, name, open, plain, request, sound, success, url,
};

/// Makes the call with its reply lost, then again.
fn twice<T: Debug, F: Future<Output = Result<T, StoreError>>>(
    proxy: &Proxy,
    what: &str,
    call: impl Fn() -> F,
) -> T {
    let in_doubt = |error: &StoreError| matches!(error, StoreError::Ambiguous(_));
    again(proxy, what, in_doubt, call)
}

/// As [`twice`], of a call that changes nothing.
fn asked<T: Debug, F: Future<Output = Result<T, StoreError>>>(
    proxy: &Proxy,
    what: &str,
    call: impl Fn() -> F,
) -> T {
    let undone = |error: &StoreError| matches!(error, StoreError::Transient(_));
    again(proxy, what, undone, call)
}

fn again<T: Debug, F: Future<Output = Result<T, StoreError>>>(
    proxy: &Proxy,
    what: &str,
    expected: impl Fn(&StoreError) -> bool,
    call: impl Fn() -> F,
) -> T {
    proxy.lose_next_reply();
    let lost = block_on(call());
    assert!(lost.as_ref().is_err_and(expected), "{what}: {lost:?}");
    block_on(call()).unwrap_or_else(|error| panic!("{what}: {error}"))
}

#[test]
fn whatever_the_call() {
    let upstream = url()
        .trim_start_matches("redis://")
        .parse()
        .expect("an address");
    let proxy = Proxy::start(upstream, 7).expect("a proxy");
    let direct = open(&url(), fresh()).expect("a store");
    let cas = CronCas {
        key: name("tick"),
        prev: None,
        next: Cell {
            slot: Wall(1),
            rev: 1,
            spec: "@daily".into(),
            last_job: None,
        },
        jobs: vec![plain(9)],
    };
    // Once past the proxy, so that every script is loaded.
    enqueue(&direct, &[plain(1)]);
    let job = claim(&direct, &request(1, 1, 1)).remove(0);
    let beat = Beat {
        id: job.id(),
        fence: success(&job).fence,
        progress: None,
    };
    let page = || Cursor::default();
    block_on(direct.heartbeat(&[beat], LEASE)).expect("an answer");
    block_on(direct.settle(&[success(&job)])).expect("an answer");
    block_on(direct.expired(&page(), 9)).expect("an answer");
    block_on(direct.cron_cas(&cas)).expect("an answer");
    block_on(direct.control(&Control::Pause(name("push")))).expect("an answer");
    block_on(direct.control(&Control::Delete(Select::Ids(vec![id(1)])))).expect("an answer");
    block_on(direct.list(&Filter::default(), &page(), 9)).expect("an answer");
    block_on(direct.prune(9)).expect("an answer");
    block_on(direct.stats()).expect("an answer");
    sound(&direct);

    let store = open(&format!("redis://{}", proxy.addr()), fresh()).expect("a store");
    let (jobs, ids) = ([plain(1)], [id(1)]);
    let out = twice(&proxy, "enqueue", || store.enqueue(&jobs));
    assert_eq!(out, [Enqueued::Duplicate]);
    let req = request(1, 1, 1);
    let claimed = twice(&proxy, "claim", || store.claim(&req)).jobs;
    assert_eq!(claimed.len(), 1);
    let beat = [Beat {
        id: id(1),
        fence: success(&claimed[0]).fence,
        progress: None,
    }];
    let out = twice(&proxy, "heartbeat", || store.heartbeat(&beat, LEASE));
    assert_eq!(out, [Beaten::Alive { cancel: false }]);
    let settles = [success(&claimed[0])];
    let out = twice(&proxy, "settle", || store.settle(&settles));
    assert_eq!(out, [Settled::Already(Kind::Succeed)]);
    let out = twice(&proxy, "cron", || store.cron_cas(&cas));
    assert!(!out.won && out.cell == Some(cas.next.clone()));
    let pause = Control::Pause(name("push"));
    twice(&proxy, "pause", || store.control(&pause));
    let cancel = Control::Cancel(Select::Ids(vec![id(9)]));
    let out = twice(&proxy, "cancel", || store.control(&cancel));
    assert_eq!((out.done.len(), out.left.len()), (0, 1));
    let revive = Control::Revive(Select::Ids(vec![id(9)]), Start::Now);
    twice(&proxy, "revive", || store.control(&revive));
    let (filter, from) = (Filter::default(), page());
    assert_eq!(
        asked(&proxy, "list", || store.list(&filter, &from, 9))
            .items
            .len(),
        2
    );
    assert_eq!(asked(&proxy, "jobs", || store.jobs(&ids)).len(), 1);
    assert!(
        asked(&proxy, "expired", || store.expired(&from, 9))
            .items
            .is_empty()
    );
    assert_eq!(twice(&proxy, "prune", || store.prune(9)), 0);
    assert_eq!(asked(&proxy, "stats", || store.stats()).queues.len(), 2);
    sound(&store);
}
