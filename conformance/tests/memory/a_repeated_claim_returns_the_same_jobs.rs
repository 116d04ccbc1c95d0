//! A claim whose reply was lost is asked again: nothing may be claimed twice over, or lost.

use crate::world::*;

#[test]
fn the_newest_claim_again_gives_the_same_jobs_and_takes_no_more() {
    let mut world = World::new();
    world.enqueue(&[plain(1), plain(2), plain(3)]);
    let req = world.request(A, 2);
    let first = world.ask(&req);
    let before = world.model.clone();
    assert_eq!(world.ask(&req), first);
    assert!(world.model == before);
    world.settle(&first.jobs[0], done());
    assert_eq!(world.ask(&req).jobs, first.jobs[1..]);
}

#[test]
fn an_empty_claim_is_remembered_too() {
    let mut world = World::new();
    let req = world.request(A, 1);
    assert!(world.ask(&req).jobs.is_empty());
    world.enqueue(&[plain(1)]);
    assert!(world.ask(&req).jobs.is_empty());
}

#[test]
fn an_older_claim_takes_nothing() {
    let mut world = World::new();
    let old = world.request(A, 1);
    world.claim(A, 1);
    world.enqueue(&[plain(1)]);
    let late = world.ask(&old);
    assert!(late.jobs.is_empty());
    assert_eq!(late.next_due, Some(world.wall()));
}

#[test]
fn a_job_that_went_on_to_another_claim_is_not_in_the_repeat() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    let req = world.request(A, 1);
    let first = world.ask(&req).jobs;
    world.settle(&first[0], retry(0));
    let second = world.claim(B, 1);
    assert_eq!(second[0].token, 2);
    assert!(world.ask(&req).jobs.is_empty());
}

#[test]
fn an_owner_is_forgotten_a_day_after_its_last_claim() {
    let day = 24 * 3600 * 1000;
    for (idle, repeats) in [(day - 1, true), (day, false)] {
        let mut world = World::new();
        let req = world.request(A, 1);
        world.ask(&req);
        world.enqueue(&[plain(1)]);
        world.now += idle;
        assert_eq!(world.ask(&req).jobs.is_empty(), repeats, "after {idle} ms");
    }
}
