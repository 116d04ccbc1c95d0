//! `kill -9` of random workers while thousands of jobs run: none is lost, none is stuck, and none is
//! started twice but those that a killed worker held.

use std::collections::{BTreeMap, BTreeSet};

use tideway_engine::{Rng, Seed};

use crate::journal::{Life, starts};
use crate::site::{RUNTIMES, Site, Store, Worker, full, loading, on_every_store, until};

on_every_store!(none_is_stuck_and_only_what_was_held_starts_again);

const WORKERS: usize = 4;

/// The shortest line of the journal, in bytes.
const LINE: u64 = 121;

fn none_is_stuck_and_only_what_was_held_starts_again(store: Store) {
    let _alone = loading();
    let (jobs, kills) = if full() { (20_000, 100) } else { (2_000, 10) };
    let seed = std::env::var("TIDEWAY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("TIDEWAY_SEED={seed}");
    let mut rng = Rng::new(&Seed::from_u64(seed));

    let site = Site::new(store);
    let count = jobs.to_string();
    let ids = site.enqueue(&["--kind", "sleep", "--ms", "20", "--count", &count]);
    let mut started = 0;
    let mut hire = || {
        started += 1;
        let runtime = RUNTIMES[started % RUNTIMES.len()];
        site.work(
            &format!("worker-{started}"),
            runtime,
            &["--lease", "2", "--slots", "4"],
        )
    };
    let mut workers: Vec<Worker> = (0..WORKERS).map(|_| hire()).collect();
    let mut lives: Vec<Life> = Vec::new();
    let (mut buried, mut in_flight) = (0, 0);
    for kill in 1..=kills {
        // Spread over the jobs, not over time: however slow the machine is, each falls amid work.
        let share = jobs * 2 * LINE * kill / (kills + 1);
        until("the jobs go on", || {
            buried + workers.iter().map(Worker::journal_len).sum::<u64>() >= share
        });
        let victim = rng.below(WORKERS as u64) as usize;
        let mut victim = std::mem::replace(&mut workers[victim], hire());
        victim.kill();
        let life = victim.life();
        let theirs: BTreeSet<_> = life.lines.iter().map(|line| &*line.id).collect();
        let running = site.list(&["--state", "running"]);
        let held = running
            .iter()
            .filter(|job| job["id"].as_str().is_some_and(|id| theirs.contains(id)));
        in_flight += held.count();
        buried += victim.journal_len();
        lives.push(life);
    }
    site.drained();
    for worker in &mut workers {
        worker.stop();
        lives.push(worker.life());
    }

    assert_eq!(site.stats(), [0, 0, jobs, 0, 0], "one state for all");
    let starts = starts(&lives);
    let finishes: BTreeSet<_> = lives
        .iter()
        .flat_map(|life| &life.lines)
        .filter(|line| !line.is_start())
        .map(|line| (&*line.id, line.token))
        .collect();
    let records = site.list(&[]);
    let records: BTreeMap<_, _> = records
        .iter()
        .filter_map(|job| Some((job["id"].as_str()?, job)))
        .collect();
    assert_eq!(records.len(), ids.len());
    for id in &ids {
        let (last, _) = starts[&**id].last().expect("it was started");
        let job = records[&**id];
        // What counts is the last start, and what it did is what was kept.
        assert_eq!(job["token"], *last, "{job}");
        assert_eq!(job["result"]["token"], *last, "{job}");
        assert!(finishes.contains(&(&**id, *last)), "{job}");
    }
    let again: usize = starts.values().map(|starts| starts.len() - 1).sum();
    println!("{kills} kills, {in_flight} jobs in flight, {again} started again");
    assert!(
        again <= in_flight,
        "{again} started again, {in_flight} in flight at the kills"
    );
    site.sound();
}
