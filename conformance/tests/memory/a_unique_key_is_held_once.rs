//! At most one job in the hold set per queue and key, for as long as its hold says.

use tideway_engine::jobs::call::{Control, Enqueued, Left, Select};
use tideway_engine::jobs::{Conflict, Hold, Reason, Start, State, Unique};

use crate::world::*;

fn held(n: u128, hold: Hold, conflict: Conflict) -> tideway_engine::jobs::NewJob {
    let key = name("report");
    unique(
        n,
        Unique {
            key,
            hold,
            conflict,
        },
    )
}

fn keep(n: u128, hold: Hold) -> tideway_engine::jobs::NewJob {
    held(n, hold, Conflict::Keep)
}

#[test]
fn until_start_ends_with_the_first_claim_and_is_not_taken_again() {
    let mut world = World::new();
    world.enqueue(&[keep(1, Hold::UntilStart)]);
    assert_eq!(
        world.enqueue(&[keep(2, Hold::UntilStart)]),
        [Enqueued::UniqueHit(id(1))]
    );
    let got = world.claim(A, 1);
    assert_eq!(
        world.enqueue(&[keep(3, Hold::UntilStart)]),
        [Enqueued::Inserted]
    );
    world.settle(&got[0], retry(0));
    // The retry of 1 neither took the key nor freed that of 3.
    assert_eq!(
        world.enqueue(&[keep(4, Hold::UntilStart)]),
        [Enqueued::UniqueHit(id(3))]
    );
}

#[test]
fn until_done_ends_with_the_job_however_it_ends() {
    for how in [done(), dead()] {
        let mut world = World::new();
        world.enqueue(&[keep(1, Hold::UntilDone)]);
        let got = world.claim(A, 1);
        assert_eq!(
            world.enqueue(&[keep(2, Hold::UntilDone)]),
            [Enqueued::UniqueHit(id(1))]
        );
        world.settle(&got[0], how);
        assert_eq!(
            world.enqueue(&[keep(2, Hold::UntilDone)]),
            [Enqueued::Inserted]
        );
        world.cancel(2);
        assert_eq!(
            world.enqueue(&[keep(3, Hold::UntilDone)]),
            [Enqueued::Inserted]
        );
    }
}

#[test]
fn a_hold_by_time_ends_at_its_time_whatever_became_of_the_job() {
    let mut world = World::new();
    world.enqueue(&[keep(1, Hold::For(ms(100)))]);
    let got = world.claim(A, 1);
    world.settle(&got[0], done());
    world.control(Control::Delete(Select::Ids(vec![id(1)])));
    world.now += 99;
    assert_eq!(
        world.enqueue(&[keep(2, Hold::UntilDone)]),
        [Enqueued::UniqueHit(id(1))]
    );
    world.now += 1;
    assert_eq!(
        world.enqueue(&[keep(2, Hold::UntilDone)]),
        [Enqueued::Inserted]
    );
    world.prune();
    assert_eq!(
        world.enqueue(&[keep(3, Hold::UntilDone)]),
        [Enqueued::UniqueHit(id(2))]
    );
}

#[test]
fn a_hold_by_time_is_no_flaw_when_the_id_of_its_job_comes_again_as_another() {
    let mut world = World::new();
    world.enqueue(&[keep(1, Hold::For(ms(70_000)))]);
    world.cancel(1);
    world.control(Control::Delete(Select::Ids(vec![id(1)])));
    world.now += 60_000;
    // The world audits at its end.
    assert_eq!(world.enqueue(&[plain(1)]), [Enqueued::Inserted]);
}

#[test]
fn a_key_is_of_its_queue() {
    let mut world = World::new();
    let mut other = keep(2, Hold::UntilDone);
    std::sync::Arc::make_mut(&mut other.spec).queue = name("push");
    assert_eq!(
        world.enqueue(&[keep(1, Hold::UntilDone), other]),
        [Enqueued::Inserted, Enqueued::Inserted]
    );
}

#[test]
fn a_newer_job_replaces_a_pending_holder_and_a_repeat_changes_nothing() {
    let mut world = World::new();
    world.enqueue(&[keep(1, Hold::UntilDone)]);
    let new = held(2, Hold::UntilDone, Conflict::Replace);
    assert_eq!(
        world.enqueue(std::slice::from_ref(&new)),
        [Enqueued::Superseded(id(1))]
    );
    assert_eq!(world.job(1).reason, Some(Reason::Superseded(id(2))));
    let before = world.model.clone();
    assert_eq!(
        world.enqueue(&[new, keep(1, Hold::UntilDone)]),
        [Enqueued::Duplicate, Enqueued::Duplicate]
    );
    assert!(world.model == before);
    let got = world.claim(A, 9);
    assert_eq!((ids(&got), &*got[0].payload), (vec![2], &b"payload 2"[..]));
    // Now that the holder runs, it stays.
    assert_eq!(
        world.enqueue(&[held(3, Hold::UntilDone, Conflict::Replace)]),
        [Enqueued::UniqueHit(id(2))]
    );
    assert_eq!(world.state(3), None);
}

#[test]
fn a_rescheduling_job_takes_over_the_payload() {
    let mut world = World::new();
    let hold = Hold::For(ms(5000));
    world.enqueue(&[keep(1, hold)]);
    let mut new = held(2, hold, Conflict::Reschedule);
    new.start = Start::After(ms(50));
    assert_eq!(
        world.enqueue(std::slice::from_ref(&new)),
        [Enqueued::Superseded(id(1))]
    );
    assert_eq!(world.enqueue(&[new]), [Enqueued::Duplicate]);
    world.now += 50;
    let got = world.claim(A, 9);
    assert_eq!((ids(&got), &*got[0].payload), (vec![2], &b"payload 1"[..]));
    // Its hold counts from its own enqueue.
    world.now += 4949;
    assert_eq!(
        world.enqueue(&[keep(3, hold)]),
        [Enqueued::UniqueHit(id(2))]
    );
    world.now += 1;
    assert_eq!(world.enqueue(&[keep(3, hold)]), [Enqueued::Inserted]);
}

#[test]
fn a_waiting_holder_is_not_replaced() {
    let mut world = World::new();
    let mut holder = keep(2, Hold::UntilDone);
    std::sync::Arc::make_mut(&mut holder.spec).waits = vec![id(1)];
    world.enqueue(&[plain(1), holder]);
    assert_eq!(
        world.enqueue(&[held(3, Hold::UntilDone, Conflict::Replace)]),
        [Enqueued::UniqueHit(id(2))]
    );
}

#[test]
fn a_revival_takes_the_key_again_unless_another_holds_it() {
    let mut world = World::new();
    world.enqueue(&[keep(1, Hold::UntilDone)]);
    world.cancel(1);
    world.enqueue(&[keep(2, Hold::UntilDone)]);
    let revive = Control::Revive(Select::Ids(vec![id(1)]), Start::Now);
    let left = world.control(revive.clone()).left;
    assert_eq!(left, [(id(1), Left::UniqueHit(id(2)))]);
    assert_eq!(world.state(1), Some(State::Cancelled));
    world.cancel(2);
    assert_eq!(world.control(revive).done, [id(1)]);
    assert_eq!(
        world.enqueue(&[keep(3, Hold::UntilDone)]),
        [Enqueued::UniqueHit(id(1))]
    );
}
