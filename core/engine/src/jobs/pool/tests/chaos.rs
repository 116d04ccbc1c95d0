//! Properties over random scripts, faults, kills and stops.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::world::{Act, Script, World, ends, failed, ms, secs, succeeded};
use crate::jobs::pool::{End, Input, Phase, PoolConfig};
use crate::jobs::{Event, Kind, Record};
use crate::rng::{Rng, Seed};

/// What a handler does follows from its job's number and its token.
fn script(seed: u64, job: &Record) -> Script {
    let lot = seed ^ (job.id().as_u128() as u64) ^ job.token << 7;
    let mut rng = Rng::new(&Seed::from_u64(lot));
    let millis = |rng: &mut Rng, most: u64| ms(rng.below(most));
    if job.payload.is_empty() {
        return ends(ms(5), succeeded()); // of the crontab
    }
    let act = match rng.below(100) {
        0..45 => Act::End(succeeded()),
        45..65 => Act::End(failed()),
        65..70 => Act::End(End::Fatal { text: "no".into() }),
        70..75 => Act::End(End::Unknown),
        75..80 => Act::End(End::Snoozed(millis(&mut rng, 3_000))),
        80..82 if job.token < 5 => Act::Kill,
        _ => Act::End(succeeded()),
    };
    let long = rng.chance(100_000);
    Script {
        takes: millis(&mut rng, if long { 20_000 } else { 800 }),
        act,
        cancel: rng.chance(500_000).then(|| millis(&mut rng, 2_000)),
        abort: (!rng.chance(100_000)).then(|| millis(&mut rng, 1_500)),
        checkpoint: rng.chance(200_000).then(|| {
            let at = millis(&mut rng, 500);
            (at, Bytes::from(rng.u64().to_be_bytes().to_vec()))
        }),
    }
}

fn world(seed: u64, nodes: usize, jobs: usize) -> World {
    let mut rng = Rng::new(&Seed::from_u64(seed));
    let configs: Vec<PoolConfig> = (0..nodes)
        .map(|_| PoolConfig {
            slots: 1 + rng.below(8) as u32,
            lease: ms(500 + rng.below(3_000)),
            look: ms(100 + rng.below(3_000)),
            max_batch: 1 + rng.below(10) as u32,
            soft: ms(rng.below(1_000)),
            hard: ms(1_000 + rng.below(2_000)),
            grace: ms(rng.below(2_000)),
            cron: vec![super::cron::every_second("tick", "default")],
            ..PoolConfig::default()
        })
        .collect();
    let mut world = World::new(seed, &configs, move |job| script(seed, job));
    world.net.latency = Duration::from_micros(rng.below(20_000));
    world.net.jitter = ms(rng.below(50));
    world.put(jobs, |at, spec| {
        spec.band = (at % 8) as u8;
        spec.retry.attempts = 1 + at as u32 % 5;
        spec.timeout = (at % 3 == 0).then_some(ms(400));
    });
    world
}

/// Faults for a minute, one every 1.2 seconds.
fn faults(world: &mut World, rng: &mut Rng, stops: bool) {
    for _ in 0..50 {
        let at = ms(rng.below(60_000));
        let node = rng.below(world.nodes.len() as u64) as usize;
        let (kind, odds, jump) = (
            rng.below(11),
            rng.below(400_000) as u32,
            rng.below(7_200_000) as i64,
        );
        let down = ["all", "settle", "beat", "claim", "expired", "cron"][rng.below(6) as usize];
        world.at(at, move |world| match kind {
            0 => world.kill(node),
            1 => world.shift += jump - 3_600_000,
            2 => world.freeze(node, ms(u64::from(odds) / 50)),
            3 => world.net.lose_reply = odds,
            4 => world.net.lose_call = odds,
            5 => world.net.down = BTreeSet::from([down]),
            6 => world.net.down.clear(),
            7 => {
                let ids: Vec<_> = world.store.jobs.keys().copied().collect();
                let id = ids[odds as usize % ids.len()];
                if let Some(Ok(Kind::Cancel)) = world.store.event(id, &Event::Cancel) {
                    world.wake(node, &[id]);
                }
            }
            10 => world.net.cut = odds,
            8 if stops => world.input(node, Input::Stop),
            9 if stops && odds % 2 == 0 => world.input(node, Input::Force),
            _ => {}
        });
    }
    world.at(secs(60), |world| {
        world.net.down.clear();
        (world.net.lose_call, world.net.lose_reply, world.net.cut) = (0, 0, 0);
        // Later than any time it showed before: all that waits for a retry is due.
        world.shift = 100 * 3_600_000;
    });
}

/// A process lists a lease of its own, and its charge waits for a settle that got no answer; meanwhile somebody else
/// charges it, and the process claims the job anew.
#[test]
fn a_charge_that_waited_until_its_job_was_claimed_again_is_dropped() {
    faulty(8_767_089_255_493_288_986, 2, 57);
}

fn faulty(seed: u64, nodes: usize, jobs: usize) -> World {
    let mut world = world(seed, nodes, jobs);
    let mut rng = Rng::new(&Seed::from_u64(!seed));
    faults(&mut world, &mut rng, false);
    world.run(secs(61));
    world.finish(secs(3_600));
    world.run(secs(1));
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 5))]

    /// The harness fails at a panic, a start beyond the slots or after a stop, a second settle of a lease,
    /// a deadline in the past and time that stands still.
    #[test]
    fn after_the_faults_every_job_ends(seed: u64, nodes in 1_usize..5, jobs in 1_usize..80) {
        let world = faulty(seed, nodes, jobs);
        for job in world.store.jobs.values() {
            prop_assert!(job.failures <= job.spec.retry.attempts);
            let ends = [Kind::Succeed, Kind::Die, Kind::Stop, Kind::Bury];
            let ends: u32 = ends.iter().map(|kind| world.store.times(job.id(), *kind)).sum();
            prop_assert!(ends <= 1);
        }
    }

    #[test]
    fn whatever_happens_a_stop_ends_in_time_and_leaves_nothing_unsettled(seed: u64, nodes in 1_usize..4, jobs in 1_usize..80) {
        let mut world = world(seed, nodes, jobs);
        let mut rng = Rng::new(&Seed::from_u64(!seed));
        faults(&mut world, &mut rng, true);
        world.run(secs(61));
        world.no_restarts();
        for node in 0..nodes {
            world.input(node, Input::Stop);
        }
        // The hard deadline, the proof, the last settles, and a freeze that was under way.
        world.run(secs(3 + 2 + 8));
        world.judge();
        for node in &world.nodes {
            if let Some(pool) = &node.pool {
                prop_assert_eq!(pool.phase(), Phase::Stopped);
            }
        }
    }
}
