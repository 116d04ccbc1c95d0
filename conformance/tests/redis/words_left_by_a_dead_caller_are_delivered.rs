//! A caller dies between a settle and what follows from it in other queues: the next `prune` of anybody goes on.

use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::proxy::Proxy;
use tideway_engine::jobs::State;
use tideway_redis::Tags;

use crate::world::{
    block_on, claim, enqueue, fresh, id_in, job_in, open, plain, record, request, sound, success,
    url,
};

#[test]
fn of_those_that_wait_and_of_jobs_that_come_with_it() {
    let upstream = url()
        .trim_start_matches("redis://")
        .parse()
        .expect("an address");
    let proxy = Proxy::start(upstream, 7).expect("a proxy");
    let options = fresh().tags(Tags::PerQueue);
    let dying = open(&format!("redis://{}", proxy.addr()), options.clone()).expect("a store");
    let other = open(&url(), options).expect("a store");
    // Once before, so that the scripts are loaded.
    enqueue(&dying, &[plain(7)]);
    let first = claim(&dying, &request(1, 1, 1)).remove(0);
    block_on(dying.settle(&[success(&first)])).expect("an answer");
    let waiting = job_in("push", 2, |spec| spec.waits = vec![plain(1).spec.id]);
    enqueue(&dying, &[plain(1), waiting]);
    assert_eq!(
        record(&other, id_in("push", 2)).expect("it is there").state,
        State::Waiting
    );
    let job = claim(&dying, &request(1, 2, 1)).remove(0);
    let mut end = success(&job);
    end.then = vec![job_in("push", 3, |_| {})];
    proxy.lose_next_reply();
    let lost = block_on(dying.settle(&[end]));
    assert!(matches!(lost, Err(StoreError::Ambiguous(_))), "{lost:?}");
    drop(dying);
    assert_eq!(
        record(&other, job.id()).expect("it is there").state,
        State::Succeeded
    );
    assert_eq!(record(&other, id_in("push", 3)), None, "it is on its way");
    block_on(other.prune(10)).expect("an answer");
    for n in [2, 3] {
        let job = record(&other, id_in("push", n)).expect("it is there");
        assert_eq!(job.state, State::Pending, "job {n}");
    }
    sound(&other);
}
