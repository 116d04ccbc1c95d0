//! Listings are by id; pages join without gap or repeat, and the last one says so.

use tideway_engine::jobs::State;
use tideway_engine::jobs::call::{Cursor, Filter};

use crate::world::*;

fn pages(world: &World, filter: &Filter, limit: u32) -> Vec<Vec<u128>> {
    let mut pages = Vec::new();
    let mut from = Cursor::default();
    loop {
        let page = world.model.list(filter, &from, limit, world.wall());
        pages.push(ids(&page.items));
        match page.next {
            Some(next) => from = next,
            None => return pages,
        }
    }
}

#[test]
fn pages_are_full_and_the_last_is_known_as_such() {
    let mut world = World::new();
    world.enqueue(&[5, 3, 1, 4, 2].map(plain));
    let all = Filter::default();
    assert_eq!(pages(&world, &all, 2), [vec![1, 2], vec![3, 4], vec![5]]);
    assert_eq!(pages(&world, &all, 5), [vec![1, 2, 3, 4, 5]]);
    assert_eq!(pages(&world, &all, 0), [[1], [2], [3], [4], [5]]);
    world.cancel(3);
    let pending = Filter {
        state: Some(State::Pending),
        ..Filter::default()
    };
    assert_eq!(pages(&world, &pending, 3), [vec![1, 2, 4], vec![5]]);
}

#[test]
fn a_filter_few_jobs_match_is_worked_off_in_bounded_steps() {
    let mut world = World::new();
    let all: Vec<_> = (1..=25_000).map(plain).collect();
    world.enqueue(&all);
    world.cancel(24_000);
    let cancelled = Filter {
        state: Some(State::Cancelled),
        ..Filter::default()
    };
    assert_eq!(
        pages(&world, &cancelled, 10),
        [vec![], vec![], vec![24_000]]
    );
}

#[test]
fn a_foreign_cursor_lists_nothing() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    let foreign = Cursor(Some("x".into()));
    let page = world
        .model
        .list(&Filter::default(), &foreign, 9, world.wall());
    assert!(page.items.is_empty() && page.next.is_none());
    assert!(
        world
            .model
            .expired(&foreign, 9, world.wall())
            .items
            .is_empty()
    );
}

#[test]
fn jobs_come_in_the_order_asked_with_gaps() {
    let mut world = World::new();
    world.enqueue(&[plain(1), plain(2)]);
    let got = world.model.jobs(&[id(2), id(7), id(1)]);
    let got: Vec<_> = got
        .iter()
        .map(|job| job.as_ref().map(|job| job.id()))
        .collect();
    assert_eq!(got, [Some(id(2)), None, Some(id(1))]);
}
