//! A claim leaves a job that a limit blocks where it is, expired or not: the other stores do, and `prune` ends it.

use std::time::Duration;

use tideway::jobs::JobStore;
use tideway_conformance::jobs::TestClock;
use tideway_engine::jobs::State;
use tideway_engine::jobs::call::{Control, Limit, Scope};

use crate::world::{
    block_on, claim, enqueue, fresh, id, job_in, name, open, record, request, sound, url,
};

#[test]
fn by_a_rate_of_its_group() {
    let time = TestClock::default();
    let store = open(&url(), fresh().clock(time.store_clock())).expect("a store");
    let milli = Duration::from_millis(1);
    let grouped = job_in("mail", 1, |spec| {
        (spec.group, spec.expiry) = (Some(name("x")), Some(milli));
    });
    enqueue(&store, &[grouped]);
    let none = Limit {
        rate: Some((0, 100 * milli)),
        ..Limit::default()
    };
    let limit = Control::Limit(Scope::EachGroup(name("mail")), none);
    block_on(store.control(&limit)).expect("an answer");
    time.advance(milli);
    assert_eq!(claim(&store, &request(1, 1, 9)), []);
    let state = || record(&store, id(1)).expect("a job").state;
    assert_eq!(state(), State::Pending);
    sound(&store);
    block_on(store.prune(9)).expect("an answer");
    assert_eq!(state(), State::Dead);
    sound(&store);
}
