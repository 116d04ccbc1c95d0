//! Due jobs only, by `run_at`, then id; no more than the lane, the limit and the bytes allow.

use tideway_engine::Wall;
use tideway_engine::jobs::call::Control;
use tideway_engine::jobs::{SUSPECT, Start, State};

use crate::world::*;

#[test]
fn a_lane_is_taken_from_by_time_then_id() {
    let mut world = World::new();
    let mut early = plain(9);
    early.start = Start::At(Wall(world.now - 5));
    world.enqueue(&[plain(3), plain(1), early, plain(2)]);
    assert_eq!(ids(&world.claim(A, 3)), [9, 1, 2]);
    assert_eq!(ids(&world.claim(A, 3)), [3]);
}

#[test]
fn a_job_is_claimed_in_its_millisecond_and_none_before() {
    let mut world = World::new();
    let mut later = plain(1);
    later.start = Start::After(ms(100));
    world.enqueue(&[later]);
    world.now += 99;
    let req = world.request(A, 1);
    let none = world.ask(&req);
    assert!(none.jobs.is_empty());
    assert_eq!(none.next_due, Some(Wall(world.now + 1)));
    world.now += 1;
    let got = world.claim(A, 1);
    assert_eq!((got[0].token, got[0].attempt), (1, 1));
    assert_eq!(got[0].lease_until, Wall(world.now + 30_000));
}

#[test]
fn lanes_come_in_the_order_asked_each_with_its_most_and_all_under_the_limit() {
    let mut world = World::new();
    for n in 1..=6 {
        world.enqueue(&[job(n, |spec| spec.band = u8::from(n > 3))]);
    }
    let mut req = world.request(A, 4);
    req.lanes = vec![(lane(1), 2), (lane(0), 9), (lane(1), 9)];
    let got = world.ask(&req);
    assert_eq!(ids(&got.jobs), [4, 5, 1, 2]);
    // More could have been claimed.
    assert_eq!(got.next_due, Some(world.wall()));
    req.seq += 1;
    assert_eq!(ids(&world.ask(&req).jobs), [6, 3]);
}

#[test]
fn bytes_are_capped_but_the_first_job_is_given_whatever_its_size() {
    let mut world = World::new();
    world.enqueue(&[plain(1), plain(2), plain(3)]);
    let mut req = world.request(A, 9);
    req.max_bytes = 1;
    assert_eq!(ids(&world.ask(&req).jobs), [1]);
    let mut req = world.request(A, 9);
    req.max_bytes = 2 * "payload 2".len();
    assert_eq!(ids(&world.ask(&req).jobs), [2, 3]);
}

#[test]
fn a_paused_queue_gives_nothing_and_is_never_due() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    world.control(Control::Pause(name("mail")));
    let req = world.request(A, 1);
    let got = world.ask(&req);
    assert!(got.jobs.is_empty());
    assert_eq!(got.next_due, None);
    world.control(Control::Resume(name("mail")));
    assert_eq!(ids(&world.claim(A, 1)), [1]);
}

#[test]
fn a_crashed_job_waits_among_the_suspects() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    let got = world.claim(A, 1);
    world.now += 30_000;
    world.settle(&got[0], crashed());
    assert!(world.claim(B, 1).is_empty());
    let mut req = world.request(B, 1);
    req.lanes = vec![(lane(SUSPECT), 1)];
    let again = world.ask(&req).jobs;
    assert_eq!((again[0].token, again[0].attempt), (2, 2));
}

#[test]
fn an_expired_job_is_ended_instead_of_claimed() {
    let mut world = World::new();
    world.enqueue(&[job(1, |spec| spec.expiry = Some(ms(10))), plain(2)]);
    world.now += 10;
    assert_eq!(ids(&world.claim(A, 1)), [2]);
    assert_eq!(world.state(1), Some(State::Dead));
}
