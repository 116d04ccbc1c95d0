//! Leases that ran out: who is charged, when, and who is not.

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::{World, ends, ms, secs, succeeded};
use crate::jobs::call::Wake;
use crate::jobs::pool::{Input, PoolConfig};
use crate::jobs::{Id, Name, State};

fn nodes(count: usize, lease: Duration) -> Vec<PoolConfig> {
    let config = PoolConfig {
        slots: 8,
        lease,
        ..PoolConfig::default()
    };
    vec![config; count]
}

#[test]
fn a_restarted_worker_has_its_jobs_again_within_two_leases() {
    for (seed, lease) in (0..20).flat_map(|seed| [(seed, secs(2)), (seed, secs(30))]) {
        let mut world = World::new(seed, &nodes(1, lease), |_| ends(secs(300), succeeded()));
        world.net.jitter = ms(10);
        let id = world.put(1, |_, _| {})[0];
        let when = lease / 2 + lease.mul_f64(seed as f64 / 20.0);
        world.run(when);
        let killed = world.now;
        world.kill(0);
        world.run(lease * 3);
        let starts = world.starts(id);
        assert_eq!(starts.len(), 2, "seed {seed}");
        let took = starts[1].at.since(killed);
        assert!(took <= lease * 2, "seed {seed}: {took:?} for {lease:?}");
        assert_eq!((starts[1].attempt, starts[1].crashes), (2, 1));
    }
}

#[test]
fn a_store_clock_that_jumps_ahead_or_back_crashes_nobody_whose_worker_lives() {
    for (seed, lease) in (0..40).flat_map(|seed| [(seed, secs(2)), (seed, secs(30))]) {
        let mut world = World::new(seed, &nodes(3, lease), move |_| {
            ends(lease * 4, succeeded())
        });
        world.net.jitter = ms(10);
        let ids = world.put(20, |_, _| {});
        let when = lease.mul_f64(0.1 + seed as f64 / 20.0);
        let jump = if seed % 2 == 0 { 3_600_000 } else { -3_600_000 };
        world.at(when, move |world| world.shift += jump);
        world.finish(lease * 20);
        for id in ids {
            let job = world.job(id);
            assert_eq!((job.crashes, job.attempt), (0, 1), "seed {seed}");
        }
        world.judge();
    }
}

#[test]
fn dead_workers_are_charged_once_each_however_many_reap() {
    let mut world = World::new(3, &nodes(5, secs(2)), |_| ends(secs(5), succeeded()));
    world.net.jitter = ms(20);
    let ids = world.put(8, |_, _| {});
    world.run(ms(500));
    let node = world.started[0].node;
    let held: BTreeSet<Id> = world
        .started
        .iter()
        .filter(|start| start.node == node)
        .map(|start| start.id)
        .collect();
    world.remove(node);
    world.finish(secs(60));
    for id in ids {
        let job = world.job(id);
        assert_eq!(job.crashes, u32::from(held.contains(&id)));
        assert_eq!(
            job.strikes,
            u32::from(held.len() == 1 && held.contains(&id))
        );
    }
}

#[test]
fn bystanders_are_never_struck_even_when_many_reap_at_different_times() {
    let mut cohorts = 0;
    for seed in 0..40 {
        let mut world = World::new(seed, &nodes(4, secs(2)), |_| ends(secs(3), succeeded()));
        world.net.jitter = ms(200);
        // One node claims one job, and more a little later: their leases end at different times.
        world.put(1, |_, _| {});
        world.run(ms(600));
        let node = world.started[0].node;
        world.put(5, |_, _| {});
        let queue = Name::new("default").unwrap();
        world.input(node, Input::Wake(Wake::Queue(queue)));
        world.run(ms(450));
        let held = world.starts_of(node);
        world.remove(node);
        world.finish(secs(60));
        for id in held.iter().filter(|_| held.len() > 1) {
            assert_eq!(
                world.job(*id).strikes,
                0,
                "seed {seed}: one of {}",
                held.len()
            );
        }
        cohorts += u32::from(held.len() > 1);
    }
    assert!(cohorts > 20, "only {cohorts} deaths were in company");
}

#[test]
fn while_the_store_takes_no_settles_the_charges_do_not_pile_up() {
    let mut world = World::new(4, &nodes(2, secs(2)), |_| ends(secs(1), succeeded()));
    let ids = world.put(8, |_, _| {});
    world.run(ms(500));
    let node = world.started[0].node;
    world.net.down = BTreeSet::from(["settle"]);
    world.remove(node);
    world.run(secs(600));
    let other = world.nodes[1 - node].pool.as_ref().unwrap();
    assert!(
        other.queued.len() <= 8 + 16,
        "{} settles wait",
        other.queued.len()
    );
    world.net.down.clear();
    world.finish(secs(60));
    for id in ids {
        assert!(world.job(id).crashes <= 1);
    }
}

#[test]
fn a_page_that_never_goes_hides_no_lease_behind_it() {
    // More dead leases than fit a page, all at once.
    let mut configs = nodes(2, secs(2));
    configs[0].slots = 500;
    configs[1].slots = 500;
    let mut world = World::new(5, &configs, |_| ends(secs(2), succeeded()));
    world.put(900, |_, _| {});
    world.run(secs(1));
    world.remove(0);
    let took = world.finish(secs(600));
    assert_eq!(world.store.count(State::Succeeded), 900);
    assert!(took < secs(60), "{took:?}");
}
