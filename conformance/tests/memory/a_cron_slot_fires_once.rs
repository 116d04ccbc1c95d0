//! Of all workers that see a slot due, one moves the cell, and its jobs come with it.

use tideway_engine::Wall;
use tideway_engine::jobs::call::CronCas;
use tideway_engine::jobs::cron::Cell;

use crate::world::*;

fn cell(slot: i64, rev: u32) -> Cell {
    Cell {
        slot: Wall(slot),
        rev,
        spec: "@hourly".into(),
        last_job: None,
    }
}

fn cas(prev: Option<i64>, next: Cell, n: u128) -> CronCas {
    CronCas {
        key: name("clean"),
        prev: prev.map(Wall),
        next,
        jobs: vec![plain(n)],
    }
}

#[test]
fn the_second_worker_loses_and_learns_the_cell() {
    let mut world = World::new();
    let now = world.wall();
    assert!(world.model.cron_cas(&cas(None, cell(1, 0), 1), now).won);
    let first = cas(Some(1), cell(2, 0), 2);
    assert!(world.model.cron_cas(&first, now).won);
    let before = world.model.clone();
    let lost = world.model.cron_cas(&cas(Some(1), cell(2, 0), 3), now);
    assert!(!lost.won);
    assert_eq!(lost.cell, Some(cell(2, 0)));
    assert!(!world.model.cron_cas(&first, now).won, "a repeat loses too");
    assert!(!world.model.cron_cas(&cas(None, cell(9, 0), 4), now).won);
    assert!(world.model == before);
    assert_eq!(ids(&world.claim(A, 9)), [1, 2]);
    assert_eq!(
        world.model.cron_cell(&name("clean"), now).cell,
        Some(cell(2, 0))
    );
    assert_eq!(world.model.cron_cell(&name("other"), now).cell, None);
}

#[test]
fn a_lower_rev_never_moves_the_cell() {
    let mut world = World::new();
    let now = world.wall();
    world.model.cron_cas(&cas(None, cell(1, 5), 1), now);
    assert!(!world.model.cron_cas(&cas(Some(1), cell(2, 4), 2), now).won);
    assert!(world.model.cron_cas(&cas(Some(1), cell(2, 6), 3), now).won);
}
