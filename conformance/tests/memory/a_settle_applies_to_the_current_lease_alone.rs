//! The fence: one lease ends once, and nobody else's settle or beat counts.

use tideway_engine::jobs::call::{Beaten, Settled};
use tideway_engine::jobs::{Fence, Kind, Outcome, State};

use crate::world::*;

#[test]
fn a_repeat_is_told_how_it_was_settled_and_changes_nothing() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    let got = world.claim(A, 1);
    assert_eq!(
        world.settle(&got[0], done()),
        Settled::Applied(Kind::Succeed)
    );
    let before = world.model.clone();
    world.now += 5;
    assert_eq!(
        world.settle(&got[0], done()),
        Settled::Already(Kind::Succeed)
    );
    assert_eq!(
        world.settle(&got[0], retry(0)),
        Settled::Already(Kind::Succeed)
    );
    assert!(world.model == before);
    assert!(world.job(1).payload.is_empty());
    assert_eq!(world.job(1).result, "done");
}

#[test]
fn a_zombie_is_fenced_by_token_and_by_owner() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    let zombie = world.claim(A, 1).remove(0);
    world.now += 30_000;
    world.settle(&zombie, crashed());
    let mut req = world.request(B, 1);
    req.lanes = vec![(lane(tideway_engine::jobs::SUSPECT), 1)];
    let new = world.ask(&req).jobs.remove(0);
    let before = world.model.clone();
    assert_eq!(world.settle(&zombie, done()), Settled::Fenced);
    assert_eq!(world.beat(&zombie), Beaten::Lost);
    // After a failover that lost a claim the same token is another's.
    let mut stolen = settle_of(&new, done());
    stolen.fence = Fence {
        owner: A,
        ..stolen.fence
    };
    let now = world.wall();
    assert_eq!(world.model.settle(&[stolen], now), [Settled::Fenced]);
    assert!(world.model == before);
}

#[test]
fn a_lease_is_live_until_it_has_run_out_and_a_late_beat_revives_it() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    let got = world.claim(A, 1).remove(0);
    world.now += 29_999;
    assert_eq!(world.settle(&got, crashed()), Settled::Refused);
    world.now += 10_000;
    assert_eq!(world.beat(&got), Beaten::Alive { cancel: false });
    assert_eq!(world.settle(&got, crashed()), Settled::Refused);
    assert!(world.expired().is_empty());
    assert_eq!(world.settle(&got, done()), Settled::Applied(Kind::Succeed));
}

#[test]
fn a_job_that_is_gone_is_not_found() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    let mut got = world.claim(A, 1).remove(0);
    got.spec = plain(2).spec;
    assert_eq!(world.settle(&got, done()), Settled::NotFound);
    assert_eq!(world.beat(&got), Beaten::Lost);
}

#[test]
fn a_cancel_request_overrides_a_retry() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    let got = world.claim(A, 1).remove(0);
    assert_eq!(world.cancel(1).done, [id(1)]);
    assert_eq!(world.beat(&got), Beaten::Alive { cancel: true });
    assert_eq!(world.settle(&got, retry(0)), Settled::Applied(Kind::Stop));
    assert_eq!(world.state(1), Some(State::Cancelled));
}

#[test]
fn follow_up_jobs_come_with_a_settle_that_is_applied_and_with_no_other() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    let got = world.claim(A, 1).remove(0);
    let mut fenced = settle_of(&got, done());
    fenced.fence.token += 1;
    fenced.then = vec![plain(2)];
    let now = world.wall();
    assert_eq!(world.model.settle(&[fenced], now), [Settled::Fenced]);
    assert_eq!(world.state(2), None);
    let mut applied = settle_of(&got, done());
    // One waits for the very job that is settled.
    applied.then = vec![plain(3), waiting(4, &[1])];
    let twice = [applied.clone(), applied];
    assert_eq!(
        world.model.settle(&twice, now),
        [
            Settled::Applied(Kind::Succeed),
            Settled::Already(Kind::Succeed)
        ]
    );
    assert_eq!(ids(&world.claim(A, 9)), [3, 4]);
}

#[test]
fn a_stop_that_was_not_proved_is_no_crash() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    let got = world.claim(A, 1).remove(0);
    assert_eq!(
        world.settle(&got, Outcome::Abandoned),
        Settled::Applied(Kind::Abandon)
    );
    assert_eq!(world.state(1), Some(State::Running));
    world.now += 30_000;
    assert!(world.expired()[0].abandoned);
    assert_eq!(
        world.settle(&got, Outcome::Lapsed),
        Settled::Applied(Kind::Lapse)
    );
    assert_eq!((world.job(1).attempt, world.job(1).crashes), (0, 0));
    assert_eq!(world.claim(B, 1)[0].attempt, 1);
}
