//! Jobs that were there when a process died: poison among bystanders, and the kill of a whole fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use super::world::{Act, World, act, ends, ms, secs, succeeded};
use crate::jobs::call::{Claimed, Settled};
use crate::jobs::pool::{Input, Output, Pool, PoolConfig};
use crate::jobs::{Id, Kind, Reason, SUSPECT, State};
use crate::rng::Seed;
use crate::time::{Mono, Wall};

fn nodes(count: usize, slots: u32) -> Vec<PoolConfig> {
    let config = PoolConfig {
        slots,
        lease: secs(2),
        ..PoolConfig::default()
    };
    vec![config; count]
}

#[test]
fn a_poison_job_dies_after_at_most_five_deaths_and_none_of_two_thousand_others_does() {
    for seed in 0..6 {
        let workers = 1 + seed as usize % 3;
        let mut world = World::new(seed, &nodes(workers, 16), |job| match job.spec.band {
            1 => act(ms(50), Act::Kill),
            _ => ends(ms(100), succeeded()),
        });
        let ids = world.put(2_001, |at, spec| spec.band = u8::from(at == 700));
        world.finish(secs(600));
        let poison = world.job(ids[700]);
        assert_eq!(
            (poison.state, poison.reason),
            (State::Dead, Some(Reason::Crash))
        );
        assert!(world.deaths <= 5, "seed {seed}: {} deaths", world.deaths);
        assert_eq!(world.store.count(State::Succeeded), 2_000, "seed {seed}");
        world.judge();
    }
}

#[test]
fn two_that_crashed_twice_in_one_claim_are_given_back_before_either_starts() {
    let start = Mono::START;
    let mut pool = Pool::new(PoolConfig::default(), &Seed::from_u64(1), start).unwrap();
    let claimed = |crashes: [u32; 2]| {
        let job = |(n, crashes): (u128, u32)| {
            let mut job = crate::jobs::tests::job();
            let mut spec = (*job.spec).clone();
            spec.id = Id::from_u128(n);
            job.spec = spec.into();
            (job.state, job.token, job.crashes) = (State::Running, 1, crashes);
            job
        };
        Input::Claimed(Claimed {
            jobs: [(1, crashes[0]), (2, crashes[1])].map(job).into(),
            next_due: None,
            now: Wall(0),
        })
    };
    let outputs = |pool: &mut Pool, input| {
        pool.input(start, input);
        let all: Vec<Output> = std::iter::from_fn(|| pool.poll()).collect();
        let started = all.iter().filter(|out| matches!(out, Output::Start(..)));
        (started.count(), all)
    };
    outputs(&mut pool, Input::Tick);
    let (started, all) = outputs(&mut pool, claimed([2, 2]));
    assert_eq!(started, 0, "its companion is still leased: {all:?}");
    let released = |out: &Output| matches!(out, Output::Settle(settles) if settles.len() == 2);
    assert!(all.iter().any(released), "{all:?}");
    // While the releases are on their way, no suspect is asked for.
    let suspects = |out: &Output| matches!(out, Output::Claim(req) if req.lanes.iter().any(|(lane, _)| lane.band == SUSPECT));
    assert!(!all.iter().any(suspects), "{all:?}");
    let settled = Input::Settled(vec![Settled::Applied(Kind::Release); 2]);
    let (_, all) = outputs(&mut pool, settled);
    let (_, more) = outputs(
        &mut pool,
        Input::Claimed(Claimed {
            jobs: vec![],
            next_due: None,
            now: Wall(0),
        }),
    );
    let one = |out: &Output| matches!(out, Output::Claim(req) if req.lanes.iter().any(|(lane, max)| lane.band == SUSPECT && *max == 1));
    assert!(all.iter().chain(&more).any(one), "{all:?} {more:?}");
}

#[test]
fn fifty_poison_jobs_among_two_thousand_bury_next_to_no_bystander() {
    let mut world = World::new(7, &nodes(4, 16), |job| match job.spec.kind.as_str() {
        "poison" => act(ms(50), Act::Kill),
        _ => ends(ms(200), succeeded()),
    });
    world.put(2_000, |at, spec| {
        if at % 40 == 7 {
            spec.kind = crate::jobs::Name::new("poison").unwrap();
        }
    });
    world.finish(secs(4 * 3600));
    let dead = world.store.count(State::Dead);
    assert!((50..=52).contains(&dead), "{dead} dead");
}

#[test]
fn the_kill_of_a_whole_fleet_with_two_thousand_jobs_costs_at_most_three_times_the_time() {
    let time = |kill: bool| {
        let mut configs = nodes(20, 100);
        for config in &mut configs {
            config.lease = secs(30);
        }
        let mut world = World::new(8, &configs, |_| ends(secs(30), succeeded()));
        world.net.jitter = ms(5);
        world.put(4_000, |_, _| {});
        if kill {
            world.at(secs(15), |world| (0..20).for_each(|node| world.kill(node)));
        }
        let took = world.finish(secs(3_600));
        assert_eq!(world.store.count(State::Succeeded), 4_000);
        world.judge();
        took
    };
    let (calm, killed) = (time(false), time(true));
    assert!(killed <= calm * 3, "{killed:?} instead of {calm:?}");
}

/// How many suspects with at least `crashes` ran at once at most.
fn most(world: &World, takes: Duration, crashes: u32) -> usize {
    let starts = world
        .started
        .iter()
        .filter(|start| start.crashes >= crashes);
    let mut steps: BTreeMap<Mono, i32> = BTreeMap::new();
    for start in starts {
        *steps.entry(start.at).or_default() += 1;
        *steps.entry(start.at.plus(takes)).or_default() -= 1;
    }
    let mut now = 0;
    let counts = steps.values().map(|step| {
        now += step;
        now
    });
    counts.max().unwrap_or(0) as usize
}

#[test]
fn suspects_start_alone_and_double() {
    let mut world = World::new(9, &nodes(1, 16), |_| ends(secs(2), succeeded()));
    world.put(16, |_, _| {});
    world.run(secs(1));
    world.kill(0);
    world.finish(secs(120));
    let mut waves: Vec<(Mono, u32)> = Vec::new();
    for start in world.started.iter().filter(|start| start.crashes > 0) {
        match waves.last_mut() {
            Some((at, count)) if start.at.since(*at) < ms(500) => *count += 1,
            _ => waves.push((start.at, 1)),
        }
    }
    let counts: Vec<u32> = waves.iter().map(|(_, count)| *count).collect();
    assert_eq!(counts[..2], [1, 2]);
    assert!(counts[2] >= 3, "{counts:?}");
    assert_eq!(counts.iter().sum::<u32>(), 16);
}

#[test]
fn jobs_that_crashed_twice_run_one_at_a_time() {
    let mut world = World::new(10, &nodes(1, 16), |_| ends(secs(2), succeeded()));
    let ids = world.put(6, |_, _| {});
    world.run(secs(1));
    world.kill(0);
    // Until all run again as suspects; then the second death.
    let mut all = false;
    for _ in 0..600 {
        world.run(ms(100));
        all = world.handlers(0) >= 3 && world.started.iter().any(|start| start.crashes > 0);
        if all {
            break;
        }
    }
    assert!(all);
    world.kill(0);
    world.finish(secs(120));
    assert!(world.started.iter().any(|start| start.crashes == 2));
    assert_eq!(most(&world, secs(2), 2), 1);
    let died = |id: &&Id| world.job(**id).state != State::Succeeded;
    assert_eq!(ids.iter().filter(died).count(), 0);
}

#[test]
fn ordinary_jobs_go_on_beside_suspects() {
    let mut world = World::new(11, &nodes(1, 4), |job| match job.spec.band {
        1 => ends(secs(60), succeeded()),
        _ => ends(ms(100), succeeded()),
    });
    let ids = world.put(4, |_, spec| spec.band = 1);
    world.run(secs(1));
    world.kill(0);
    world.run(secs(6));
    assert!(world.job(ids[0]).crashes > 0);
    world.put(100, |_, _| {});
    world.run(secs(10));
    assert_eq!(world.store.count(State::Succeeded), 100);
}
