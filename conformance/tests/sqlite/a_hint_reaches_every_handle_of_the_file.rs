//! Hints go to all listeners of one process, after the commit; cancel requests to the owner alone.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use tideway::jobs::JobStore;
use tideway_engine::jobs::Owner;
use tideway_engine::jobs::call::{Control, Select, Wake};

use crate::world::{World, block_on, claim, enqueue, id, name, plain, request, settle};

type Wakes = Pin<Box<dyn Stream<Item = Wake> + Send>>;

fn next(wakes: &mut Wakes) -> Option<Wake> {
    block_on(poll_fn(|cx| wakes.as_mut().poll_next(cx)))
}

fn silent(wakes: &mut Wakes) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(wakes.as_mut().poll_next(&mut cx), Poll::Pending)
}

#[test]
fn and_only_what_concerns_it() {
    let world = World::new();
    let (here, there) = (world.open(), world.open());
    let mut ours = here.wakeups(Owner(1));
    let mut theirs = there.wakeups(Owner(2));
    enqueue(&there, &[plain(1)]);
    assert_eq!(next(&mut ours), Some(Wake::Queue(name("mail"))));
    assert_eq!(next(&mut theirs), Some(Wake::Queue(name("mail"))));

    let jobs = claim(&there, &request(2, 1, 1));
    assert!(silent(&mut ours), "a claim is no news");
    block_on(here.control(&Control::Cancel(Select::Ids(vec![id(1)])))).unwrap();
    assert_eq!(next(&mut theirs), Some(Wake::Cancel(vec![id(1)])));
    assert!(silent(&mut ours), "another's cancel request");

    settle(&there, &jobs[0]);
    enqueue(&here, &[plain(1)]);
    assert!(silent(&mut ours), "nothing was inserted");
}

#[test]
fn a_listener_that_never_looks_costs_a_bounded_room() {
    let world = World::new();
    let store = world.open();
    let mut wakes = store.wakeups(Owner(1));
    for n in 0..1000 {
        enqueue(&store, &[plain(n)]);
    }
    let mut seen = 0;
    while !silent(&mut wakes) {
        seen += 1;
    }
    assert!((1..1000).contains(&seen), "{seen}");
}
