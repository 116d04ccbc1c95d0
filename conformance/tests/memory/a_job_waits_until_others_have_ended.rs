//! Chains and fan-in: a waiting job is in no lane, and learns of every end at once.

use tideway_engine::jobs::{Reason, State, WaitFailed};

use crate::world::*;

fn stubborn(n: u128, waits: &[u128]) -> tideway_engine::jobs::NewJob {
    job(n, |spec| {
        spec.waits = waits.iter().map(|n| id(*n)).collect();
        spec.wait_failed = WaitFailed::Run;
    })
}

#[test]
fn a_job_starts_when_all_it_waits_for_have_succeeded() {
    let mut world = World::new();
    world.enqueue(&[plain(1), plain(2), waiting(3, &[1, 2, 1])]);
    let got = world.claim(A, 9);
    assert_eq!(ids(&got), [1, 2]);
    world.settle(&got[1], done());
    assert_eq!(world.job(3).waits, [id(1)]);
    assert!(world.claim(A, 9).is_empty());
    world.settle(&got[0], done());
    assert_eq!(ids(&world.claim(A, 9)), [3]);
}

#[test]
fn a_failure_cancels_the_whole_chain_behind_it() {
    let mut world = World::new();
    world.enqueue(&[
        plain(1),
        waiting(2, &[1]),
        waiting(3, &[2]),
        stubborn(4, &[3]),
    ]);
    let got = world.claim(A, 9);
    world.settle(&got[0], dead());
    assert_eq!(world.job(2).reason, Some(Reason::Wait(id(1))));
    assert_eq!(world.job(3).reason, Some(Reason::Wait(id(2))));
    assert_eq!(ids(&world.claim(A, 9)), [4]);
}

#[test]
fn a_long_chain_falls_without_a_recursion() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    for n in 2..=20_000 {
        world.enqueue(&[waiting(n, &[n - 1])]);
    }
    world.cancel(1);
    assert_eq!(world.state(20_000), Some(State::Cancelled));
}

#[test]
fn ends_of_the_past_count_when_the_job_comes() {
    let mut world = World::new();
    world.enqueue(&[plain(1), plain(2)]);
    let got = world.claim(A, 9);
    world.settle(&got[0], done());
    world.settle(&got[1], dead());
    world.enqueue(&[
        waiting(3, &[1]),
        waiting(4, &[1, 2]),
        stubborn(5, &[2]),
        waiting(6, &[4]),
    ]);
    assert_eq!(world.job(4).reason, Some(Reason::Wait(id(2))));
    assert_eq!(world.job(6).reason, Some(Reason::Wait(id(4))));
    assert_eq!(ids(&world.claim(A, 9)), [3, 5]);
}

#[test]
fn a_retry_is_no_end() {
    let mut world = World::new();
    world.enqueue(&[plain(1), waiting(2, &[1])]);
    let got = world.claim(A, 9);
    world.settle(&got[0], retry(0));
    assert_eq!(world.state(2), Some(State::Waiting));
    assert_eq!(ids(&world.claim(A, 9)), [1]);
}
