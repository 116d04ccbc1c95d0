//! Many workers with the same schedule and no leader, killed at random: one job per slot, and no slot
//! without one.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use tideway::Wall;
use tideway::jobs::cron::job_id;
use tideway_engine::{Rng, Seed};

use crate::journal::starts;
use crate::site::{RUNTIMES, Site, Store, Worker, full, loading, on_every_store};

on_every_store!(however_many_workers_there_are_and_die);

fn however_many_workers_there_are_and_die(store: Store) {
    let _alone = loading();
    let (workers, seconds) = if full() { (20, 60) } else { (5, 10) };
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut rng = Rng::new(&Seed::from_u64(seed));
    let site = Site::new(store);
    let mut started = 0;
    let mut hire = || {
        started += 1;
        let runtime = RUNTIMES[started % RUNTIMES.len()];
        let args = ["--lease", "2", "--missed", "all", "--cron", "* * * * * *"];
        site.work(&format!("worker-{started}"), runtime, &args)
    };
    let mut crew: Vec<Worker> = (0..workers).map(|_| hire()).collect();
    let mut lives = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) {
        thread::sleep(Duration::from_millis(rng.below(1_000)));
        let victim = &mut crew[rng.below(workers) as usize];
        victim.kill();
        lives.push(victim.life());
        *victim = hire();
    }
    for worker in &mut crew {
        worker.stop();
        lives.push(worker.life());
    }
    // What the last slots left, without a schedule.
    if site.stats()[0] + site.stats()[1] > 0 {
        let mut last = site.work("last", "tokio", &["--lease", "2"]);
        site.drained();
        last.stop();
        lives.push(last.life());
    }

    let cells = site.ask(&["cron"]);
    assert_eq!(
        (&cells[0]["key"], &cells[0]["rev"]),
        (&"cron-1".into(), &0.into())
    );
    let newest = cells[0]["slot"].as_i64().expect("a slot");
    let jobs = site.list(&[]);
    let ids: BTreeSet<_> = jobs.iter().filter_map(|job| job["id"].as_str()).collect();
    let slots = jobs.len() as i64;
    // The store was asked for one job per second up to the newest, and has no other.
    for slot in (0..slots).map(|before| newest - before * 1_000) {
        let id = job_id("cron-1", "default", Wall(slot)).to_string();
        assert!(
            ids.contains(&*id),
            "no job for the slot {slot} of {slots} up to {newest}"
        );
    }
    println!("{slots} slots, {} kills", lives.len());
    assert!(slots >= seconds as i64, "{slots} slots in {seconds} s");
    assert_eq!(site.stats(), [0, 0, slots.unsigned_abs(), 0, 0]);
    let starts = starts(&lives);
    assert_eq!(starts.keys().copied().collect::<BTreeSet<_>>(), ids);
    site.sound();
}
