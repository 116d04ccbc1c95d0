//! Limits hold within the claim, and what one blocks delays nobody else.

use tideway_engine::Wall;
use tideway_engine::jobs::call::Scope;

use crate::world::*;

fn queue() -> Scope {
    Scope::Queue(name("mail"))
}

fn each() -> Scope {
    Scope::EachGroup(name("mail"))
}

fn group(text: &str) -> Scope {
    Scope::Group(name("mail"), name(text))
}

#[test]
fn a_queue_runs_no_more_than_its_limit() {
    let mut world = World::new();
    world.limit(queue(), Some(2), None);
    world.enqueue(&[plain(1), plain(2), grouped(3, "x")]);
    let req = world.request(A, 9);
    let got = world.ask(&req);
    assert_eq!(ids(&got.jobs), [1, 2]);
    assert_eq!(got.next_due, None, "no time will make 3 claimable");
    world.settle(&got.jobs[0], done());
    assert_eq!(ids(&world.claim(A, 9)), [3]);
}

#[test]
fn a_full_group_lets_the_others_pass() {
    let mut world = World::new();
    world.limit(each(), Some(1), None);
    let x = (1..=3).map(|n| grouped(n, "x"));
    let all: Vec<_> = x.chain([grouped(4, "y"), plain(5)]).collect();
    world.enqueue(&all);
    let got = world.claim(A, 9);
    assert_eq!(ids(&got), [1, 4, 5]);
    assert!(world.claim(A, 9).is_empty());
    world.settle(&got[0], done());
    assert_eq!(ids(&world.claim(A, 9)), [2]);
    assert_eq!(world.model.stats(world.wall()).queues[0].pending, 1);
}

#[test]
fn parked_jobs_count_as_pending_and_the_oldest_of_them_is_shown() {
    let mut world = World::new();
    world.limit(group("x"), Some(0), None);
    world.enqueue(&[grouped(1, "x")]);
    let enqueued = world.wall();
    world.now += 10;
    world.enqueue(&[plain(2)]);
    let stats = world.model.stats(world.wall()).queues.remove(0);
    assert_eq!((stats.pending, stats.oldest), (2, Some(enqueued)));
    assert_eq!(ids(&world.claim(A, 9)), [2]);
}

#[test]
fn a_group_of_its_own_limit_does_not_have_that_of_each() {
    let mut world = World::new();
    world.limit(each(), Some(1), None);
    world.limit(group("x"), Some(2), None);
    let all: Vec<_> = (1..=3).map(|n| grouped(n, "x")).collect();
    world.enqueue(&all);
    world.enqueue(&[grouped(4, "y"), grouped(5, "y")]);
    assert_eq!(ids(&world.claim(A, 9)), [1, 2, 4]);
    world.limit(group("x"), None, None);
    assert!(
        world.claim(A, 9).is_empty(),
        "x has the limit of each again"
    );
    world.limit(each(), None, None);
    assert_eq!(ids(&world.claim(A, 9)), [3, 5]);
}

#[test]
fn no_window_of_a_rate_holds_more_claims_than_it_says() {
    let mut world = World::new();
    world.limit(queue(), None, Some((2, 100)));
    let all: Vec<_> = (1..=5).map(plain).collect();
    world.enqueue(&all);
    assert_eq!(ids(&world.claim(A, 1)), [1]);
    world.now += 60;
    let req = world.request(A, 9);
    let got = world.ask(&req);
    assert_eq!(ids(&got.jobs), [2]);
    assert_eq!(got.next_due, Some(Wall(world.now + 40)));
    world.now += 39;
    assert!(world.claim(A, 9).is_empty());
    world.now += 1;
    assert_eq!(ids(&world.claim(A, 9)), [3]);
    world.now += 59;
    assert!(world.claim(A, 9).is_empty());
    world.now += 1;
    assert_eq!(ids(&world.claim(A, 9)), [4]);
}

#[test]
fn a_job_behind_a_rate_falls_due_when_both_its_start_and_the_rate_allow() {
    for scope in [queue(), each()] {
        for (start, due) in [(50, 100), (250, 250)] {
            let mut world = World::new();
            world.limit(scope.clone(), None, Some((1, 100)));
            world.enqueue(&[grouped(1, "x")]);
            world.claim(A, 1);
            let mut late = grouped(2, "x");
            late.start = tideway_engine::jobs::Start::After(ms(start));
            world.enqueue(&[late]);
            let req = world.request(A, 1);
            let got = world.ask(&req);
            assert_eq!(got.next_due, Some(Wall(world.now + due)), "{scope:?}");
        }
    }
}

#[test]
fn a_group_whose_rate_is_used_up_falls_due_when_its_window_has_room() {
    let mut world = World::new();
    world.limit(each(), None, Some((1, 100)));
    world.enqueue(&[grouped(1, "x"), grouped(2, "x"), plain(3)]);
    let req = world.request(A, 9);
    let got = world.ask(&req);
    assert_eq!(ids(&got.jobs), [1, 3]);
    assert_eq!(got.next_due, Some(Wall(world.now + 100)));
    // The end of a job gives its claim not back.
    world.settle(&got.jobs[0], retry(1));
    world.now += 99;
    assert!(world.claim(A, 9).is_empty());
    world.now += 1;
    assert_eq!(ids(&world.claim(A, 9)), [2]);
    world.now += 100;
    assert_eq!(ids(&world.claim(A, 9)), [1]);
}

#[test]
fn a_rate_of_a_million_an_hour_is_kept_though_its_log_is_coarse() {
    let mut world = World::new();
    let (n, window) = (70_000_u32, 3_600_000);
    world.limit(queue(), None, Some((n, window)));
    let all: Vec<_> = (0..u128::from(n) + 10).map(plain).collect();
    world.enqueue(&all);
    let start = world.now;
    let mut got = 0;
    while got < n as usize {
        got += world.claim(A, 1000).len();
        world.now += 7;
    }
    assert!(world.claim(A, 1).is_empty());
    world.now = start + window as i64 - 1;
    assert!(world.claim(A, 1).is_empty());
    // 1/32 768 of an hour is 110 ms.
    world.now = start + window as i64 + 110;
    assert_eq!(world.claim(A, 1).len(), 1);
}

#[test]
fn a_clock_that_goes_back_blocks_a_rate_for_a_window_at_most() {
    let mut world = World::new();
    world.limit(each(), None, Some((1, 100)));
    world.limit(queue(), None, Some((2, 100)));
    world.enqueue(&[grouped(1, "x")]);
    assert_eq!(world.claim(A, 9).len(), 1);
    world.now -= 1_000_000;
    let mut early = grouped(2, "x");
    early.start = tideway_engine::jobs::Start::At(Wall(0));
    world.enqueue(&[early]);
    assert!(world.claim(A, 9).is_empty());
    world.now += 100;
    assert_eq!(ids(&world.claim(A, 9)), [2]);
}

#[test]
fn a_group_without_jobs_is_forgotten_after_its_window() {
    let mut world = World::new();
    world.limit(each(), None, Some((1, 100)));
    let bare = world.model.clone();
    world.enqueue(&[job(1, |spec| {
        spec.group = Some(name("x"));
        spec.keep.succeeded = ms(0);
    })]);
    let got = world.claim(A, 1);
    world.settle(&got[0], done());
    assert!(format!("{:?}", world.model).contains("\"x\""));
    world.now += 24 * 3600 * 1000;
    assert_eq!(world.prune(), 1);
    assert!(!format!("{:?}", world.model).contains("\"x\""));
    assert_eq!(
        bare.stats(Wall(0)).queues,
        world.model.stats(Wall(0)).queues
    );
}
