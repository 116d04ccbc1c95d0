//! Cron entries of many pools over one store.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::world::{World, ends, ms, secs, succeeded};
use crate::jobs::cron::{Entry, Missed, Overlap, Schedule};
use crate::jobs::pool::{CronJob, PoolConfig};
use crate::jobs::{Name, NewJob, Start, State};

/// An entry that fires every second.
pub(super) fn every_second(key: &str, queue: &str) -> CronJob {
    let spec = World::new(0, &[], |_| ends(ms(1), succeeded())).spec(|_| {});
    CronJob {
        entry: Entry {
            key: Name::new(key).unwrap(),
            rev: 1,
            schedule: Schedule::parse("@every 1s").unwrap(),
            missed: Missed::All(100),
            overlap: Overlap::Allow,
            queue: Name::new(queue).unwrap(),
        },
        job: NewJob {
            spec: Arc::new(spec),
            payload: Bytes::new(),
            start: Start::Now,
        },
    }
}

fn nodes(count: usize) -> Vec<PoolConfig> {
    let config = PoolConfig {
        cron: vec![every_second("tick", "default")],
        lease: secs(2),
        ..PoolConfig::default()
    };
    vec![config; count]
}

#[test]
fn twenty_pools_fire_each_slot_once_under_lost_replies_and_kills() {
    for seed in 0..5 {
        let mut world = World::new(seed, &nodes(20), |_| ends(ms(10), succeeded()));
        world.net.jitter = ms(20);
        world.net.lose_reply = 200_000;
        world.net.lose_call = 100_000;
        for second in 1..60 {
            world.at(secs(second), move |world| {
                world.kill((second as usize * 7) % 20);
            });
        }
        world.run(secs(60));
        world.net.lose_reply = 0;
        world.net.lose_call = 0;
        world.run(secs(3));
        // The store fails a slot that fires twice.
        let slots: BTreeSet<i64> = world
            .store
            .fired
            .iter()
            .map(|id| (id.as_u128() >> 80) as i64 / 1000)
            .collect();
        let (first, last) = (*slots.first().unwrap(), *slots.last().unwrap());
        assert_eq!(
            slots.len() as i64,
            last - first + 1,
            "seed {seed}: a slot is missing"
        );
        assert!(slots.len() >= 60, "seed {seed}: {}", slots.len());
        world.judge();
    }
}

#[test]
fn a_slot_starts_its_job_at_once_and_costs_few_calls() {
    let mut world = World::new(6, &nodes(1), |_| ends(ms(10), succeeded()));
    world.run(secs(100));
    assert!(world.store.count(State::Succeeded) >= 98);
    for start in &world.started {
        let slot = world.job(start.id).run_at.0;
        let at = world.store.now.0 - world.now.since(start.at).as_millis() as i64;
        assert!(at - slot < 20, "{} ms late", at - slot);
    }
    let calls = world.calls("cron");
    assert!(calls <= 210, "{calls} calls for 100 slots");
}

#[test]
fn a_clock_that_jumps_ahead_does_not_spin() {
    let mut world = World::new(7, &nodes(3), |_| ends(ms(10), succeeded()));
    world.at(secs(5), |world| world.shift += 3_600_000);
    world.at(secs(15), |world| world.shift -= 3_600_000);
    world.run(secs(60));
    assert!(world.calls("cron") < 2_000, "{}", world.calls("cron"));
}
