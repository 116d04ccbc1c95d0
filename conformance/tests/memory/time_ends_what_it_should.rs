//! Pruning: expiry of jobs that did not start, retention of those that ended.

use tideway_engine::Wall;
use tideway_engine::jobs::{Reason, State};

use crate::world::*;

#[test]
fn a_job_that_did_not_start_in_time_is_dead_at_the_millisecond() {
    let mut world = World::new();
    world.enqueue(&[
        plain(1),
        job(2, |spec| spec.expiry = Some(ms(100))),
        job(3, |spec| {
            spec.expiry = Some(ms(100));
            spec.waits = vec![id(1)];
        }),
        waiting(4, &[2]),
    ]);
    world.now += 99;
    assert_eq!(world.prune(), 0);
    world.now += 1;
    assert_eq!(world.prune(), 2);
    assert_eq!(world.job(2).reason, Some(Reason::Expired));
    assert_eq!(world.state(3), Some(State::Dead));
    assert_eq!(world.job(4).reason, Some(Reason::Wait(id(2))));
}

#[test]
fn a_running_job_does_not_expire() {
    let mut world = World::new();
    world.enqueue(&[job(1, |spec| spec.expiry = Some(ms(100)))]);
    let got = world.claim(A, 1);
    world.now += 200;
    assert_eq!(world.prune(), 0);
    world.settle(&got[0], retry(0));
    assert_eq!(world.prune(), 1, "but it starts no other attempt");
}

#[test]
fn records_are_kept_as_long_as_asked_but_a_minute_at_least() {
    let mut world = World::new();
    let keep = |succeeded, failed| {
        move |spec: &mut tideway_engine::jobs::Spec| {
            spec.keep.succeeded = ms(succeeded);
            spec.keep.failed = ms(failed);
        }
    };
    world.enqueue(&[
        job(1, keep(0, 1 << 40)),
        job(2, keep(1 << 40, 90_000)),
        plain(3),
    ]);
    let got = world.claim(A, 2);
    world.settle(&got[0], done());
    world.settle(&got[1], dead());
    let mut left = Vec::new();
    for (wait, gone) in [(59_999, 0), (1, 1), (29_999, 0), (1, 1), (1 << 41, 0)] {
        world.now += wait;
        assert_eq!(world.prune(), gone);
        left.push(world.model.len());
    }
    assert_eq!(left, [3, 2, 2, 1, 1]);
}

#[test]
fn a_prune_ends_and_forgets_no_more_than_it_may() {
    let mut world = World::new();
    let all: Vec<_> = (1..=7)
        .map(|n| job(n, |spec| spec.expiry = Some(ms(1))))
        .collect();
    world.enqueue(&all);
    world.now += 1;
    let mut counts = Vec::new();
    for _ in 0..4 {
        counts.push(world.model.prune(3, Wall(world.now)));
    }
    assert_eq!(counts, [3, 3, 1, 0]);
    world.now += 30 * 24 * 3600 * 1000;
    assert_eq!((world.prune(), world.model.len()), (7, 0));
    assert!(world.model.stats(Wall(world.now)).queues.is_empty());
}
