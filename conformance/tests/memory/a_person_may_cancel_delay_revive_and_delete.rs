//! Controls: what they do to a job of each state, by ids and by filter, and what they leave.

use tideway_engine::Wall;
use tideway_engine::jobs::call::{Control, Cursor, Filter, Left, Select};
use tideway_engine::jobs::{Reason, Start, State};

use crate::world::*;

fn by_id(ids: &[u128]) -> Select {
    Select::Ids(ids.iter().map(|n| id(*n)).collect())
}

/// 1 waits, 2 is pending, 3 runs, 4 succeeded, 5 is dead, 6 is cancelled.
fn one_of_each() -> World {
    let mut world = World::new();
    let all: Vec<_> = (3..=6).map(plain).collect();
    world.enqueue(&all);
    let got = world.claim(A, 3);
    world.settle(&got[1], done());
    world.settle(&got[2], dead());
    world.cancel(6);
    world.enqueue(&[plain(2), waiting(1, &[2])]);
    world
}

fn left(states: &[(u128, State)]) -> Vec<(tideway_engine::jobs::Id, Left)> {
    states
        .iter()
        .map(|(n, state)| (id(*n), Left::State(*state)))
        .collect()
}

#[test]
fn cancelling_ends_what_does_not_run() {
    let mut world = one_of_each();
    // 1 first: else it ends with what it waits for.
    let out = world.control(Control::Cancel(by_id(&[1, 2, 3, 4, 5, 6])));
    assert_eq!(out.done, [id(1), id(2), id(3)]);
    let ended = [
        (4, State::Succeeded),
        (5, State::Dead),
        (6, State::Cancelled),
    ];
    assert_eq!(out.left, left(&ended));
    assert_eq!(world.job(1).reason, Some(Reason::Asked));
    assert_eq!(
        (world.state(3), world.job(3).cancel),
        (Some(State::Running), true)
    );
}

#[test]
fn only_pending_jobs_are_put_off() {
    let mut world = one_of_each();
    let time = Wall(world.now + 77);
    let all = by_id(&[1, 2, 3, 4, 9]);
    let out = world.control(Control::Reschedule(all, Start::At(time)));
    assert_eq!(out.done, [id(2)]);
    let mut rest = left(&[
        (1, State::Waiting),
        (3, State::Running),
        (4, State::Succeeded),
    ]);
    rest.push((id(9), Left::NotFound));
    assert_eq!(out.left, rest);
    let req = world.request(A, 1);
    assert_eq!(world.ask(&req).next_due, Some(time));
}

#[test]
fn dead_and_cancelled_jobs_run_again_with_a_token_that_grew() {
    let mut world = one_of_each();
    let out = world.control(Control::Revive(by_id(&[2, 4, 5, 6]), Start::Now));
    assert_eq!(out.done, [id(5), id(6)]);
    assert_eq!(
        out.left,
        left(&[(2, State::Pending), (4, State::Succeeded)])
    );
    let got = world.claim(A, 9);
    assert_eq!(ids(&got), [2, 5, 6]);
    assert_eq!((got[1].attempt, got[1].token), (1, 2));
}

#[test]
fn only_ended_jobs_are_deleted() {
    let mut world = one_of_each();
    let out = world.control(Control::Delete(by_id(&[1, 2, 3, 4, 5, 6])));
    assert_eq!(out.done, [id(4), id(5), id(6)]);
    assert_eq!(world.model.len(), 3);
    let stats = world.model.stats(world.wall()).queues.remove(0);
    assert_eq!((stats.waiting, stats.pending, stats.running), (1, 1, 1));
}

#[test]
fn a_filter_is_worked_off_page_by_page() {
    let mut world = World::new();
    let all: Vec<_> = (1..=5)
        .map(|n| grouped(n, if n == 3 { "y" } else { "x" }))
        .collect();
    world.enqueue(&all);
    let filter = Filter {
        group: Some(name("x")),
        ..Filter::default()
    };
    let mut after = Cursor::default();
    let mut pages = Vec::new();
    loop {
        let out = world.control(Control::Cancel(Select::Filter {
            filter: filter.clone(),
            after,
            limit: 3,
        }));
        pages.push(out.done.iter().map(|id| id.as_u128()).collect::<Vec<_>>());
        match out.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(pages, [vec![1, 2, 4], vec![5]]);
    assert_eq!(world.state(3), Some(State::Pending));
}
