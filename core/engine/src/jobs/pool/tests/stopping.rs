//! Stops: what may end, what is dropped, what is given back, and by when.

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::{Script, World, ends, ms, secs, succeeded};
use crate::jobs::pool::{Input, Phase, PoolConfig, PoolReport};
use crate::jobs::{Outcome, State};

fn one(slots: u32) -> Vec<PoolConfig> {
    vec![PoolConfig {
        slots,
        soft: secs(1),
        hard: secs(3),
        ..PoolConfig::default()
    }]
}

/// How long the stop took, and what it came to.
fn stop(world: &mut World, input: Input, most: Duration) -> (Duration, PoolReport) {
    let begun = world.now;
    world.input(0, input);
    world.run(most);
    let node = &world.nodes[0];
    let report = node.report.expect("it stopped");
    let phase = node.pool.as_ref().unwrap().phase();
    assert_eq!(phase, Phase::Stopped);
    assert_eq!(node.pool.as_ref().unwrap().poll_timeout(), None);
    world.judge();
    (node.stopped_at.unwrap().since(begun), report)
}

#[test]
fn an_idle_pool_stops_at_once() {
    let mut world = World::new(1, &one(4), |_| ends(ms(10), succeeded()));
    world.run(secs(10));
    let (took, report) = stop(&mut world, Input::Stop, secs(10));
    assert!(took < ms(5), "{took:?}");
    assert_eq!(report, PoolReport::default());
}

#[test]
fn a_drained_pool_stops_early() {
    let mut world = World::new(2, &one(50), |_| ends(secs(1), succeeded()));
    world.put(50, |_, _| {});
    world.run(ms(500));
    world.nodes[0].config.soft = secs(20);
    let (took, report) = stop(&mut world, Input::Stop, secs(10));
    assert!(took < ms(520), "{took:?}");
    assert_eq!(
        (report.settled, report.released, report.abandoned),
        (50, 0, 0)
    );
    assert_eq!(world.store.count(State::Succeeded), 50);
}

#[test]
fn nothing_is_claimed_while_draining_and_a_late_reply_is_given_back_unstarted() {
    let mut world = World::new(3, &one(4), |_| ends(ms(800), succeeded()));
    let first = world.put(1, |_, _| {})[0];
    world.run(ms(100));
    assert_eq!(world.starts(first).len(), 1);
    let ids = world.put(10, |_, _| {});
    let queue = crate::jobs::Name::new("default").unwrap();
    world.input(0, Input::Wake(crate::jobs::call::Wake::Queue(queue)));
    let claims = world.calls("claim");
    let (took, report) = stop(&mut world, Input::Stop, secs(10));
    assert!(took < ms(750), "{took:?}");
    assert_eq!(world.calls("claim"), claims);
    assert_eq!((world.started.len(), report.released), (1, 3));
    for id in ids {
        assert_eq!(
            (world.job(id).state, world.job(id).attempt),
            (State::Pending, 0)
        );
    }
}

#[test]
fn handlers_are_asked_at_the_soft_deadline_and_dropped_at_the_hard_one() {
    let mut world = World::new(4, &one(4), |job| Script {
        cancel: (job.spec.band == 0).then_some(ms(100)),
        ..ends(secs(60), succeeded())
    });
    let ids = world.put(4, |at, spec| spec.band = (at % 2) as u8);
    world.run(ms(100));
    world.input(0, Input::Stop);
    world.run(ms(900));
    assert_eq!(world.handlers(0), 4);
    world.run(ms(300));
    assert_eq!(world.handlers(0), 2, "those who listen are gone");
    world.run(ms(1_700));
    assert_eq!(world.handlers(0), 2, "the others may still end");
    world.run(ms(200));
    assert_eq!(world.handlers(0), 0);
    let report = world.nodes[0].report.unwrap();
    assert_eq!((report.released, report.abandoned), (4, 0));
    for id in ids {
        assert_eq!(
            (world.job(id).state, world.job(id).attempt),
            (State::Pending, 0)
        );
    }
}

#[test]
fn fifty_sleeping_jobs_are_pending_again_within_the_hard_deadline() {
    let mut world = World::new(5, &one(50), |_| ends(secs(60), succeeded()));
    world.net.latency = ms(20);
    world.put(50, |_, _| {});
    world.run(secs(1));
    let (took, report) = stop(&mut world, Input::Stop, secs(10));
    assert!(took <= ms(3_200), "{took:?}");
    assert_eq!((report.released, report.abandoned), (50, 0));
    for job in world.store.jobs.values() {
        assert_eq!(
            (job.state, job.attempt, job.crashes),
            (State::Pending, 0, 0)
        );
    }
}

#[test]
fn force_drops_everything_at_once() {
    let mut world = World::new(6, &one(50), |_| ends(secs(60), succeeded()));
    world.put(50, |_, _| {});
    world.run(secs(1));
    let (took, report) = stop(&mut world, Input::Force, secs(10));
    assert!(took < ms(100), "{took:?}");
    assert_eq!(report.released, 50);
}

#[test]
fn force_shortens_a_stop_that_has_begun() {
    let mut world = World::new(7, &one(4), |_| ends(secs(60), succeeded()));
    world.put(4, |_, _| {});
    world.run(secs(1));
    world.input(0, Input::Stop);
    world.run(ms(100));
    let (took, _) = stop(&mut world, Input::Force, secs(10));
    assert!(took < ms(100), "{took:?}");
}

#[test]
fn handlers_not_proved_stopped_are_abandoned_and_their_jobs_wait_for_the_lease() {
    let mut configs = one(4);
    configs[0].lease = secs(10);
    configs.push(configs[0].clone());
    let mut world = World::new(8, &configs[..1], |job| Script {
        abort: (job.spec.band == 1).then_some(Duration::ZERO),
        ..ends(secs(60), succeeded())
    });
    let ids = world.put(4, |at, spec| spec.band = (at % 2) as u8);
    world.run(secs(1));
    let (took, report) = stop(&mut world, Input::Stop, secs(10));
    assert!((secs(4)..ms(4_100)).contains(&took), "{took:?}");
    assert_eq!((report.released, report.abandoned), (2, 2));
    for (at, id) in ids.iter().enumerate() {
        let job = world.job(*id);
        assert_eq!(job.abandoned, at % 2 == 0);
        assert_eq!(job.state == State::Running, at % 2 == 0);
    }
    let abandoned = world
        .started
        .iter()
        .filter(|start| start.settled == Some(Outcome::Abandoned));
    assert_eq!(abandoned.count(), 2);
}

#[test]
fn a_stop_ends_in_time_though_the_store_is_gone() {
    let mut world = World::new(9, &one(4), |_| ends(secs(60), succeeded()));
    world.put(4, |_, _| {});
    world.run(secs(1));
    world.net.down = BTreeSet::from(["all"]);
    let (took, report) = stop(&mut world, Input::Stop, secs(10));
    assert!(took <= secs(5), "{took:?}");
    assert_eq!((report.released, report.abandoned), (0, 4));
}

#[test]
fn a_store_that_comes_back_just_before_the_end_still_gets_the_last_settles() {
    for seed in 0..20 {
        let mut world = World::new(seed, &one(4), |_| ends(ms(500), succeeded()));
        world.put(4, |_, _| {});
        world.run(ms(100));
        world.net.down = BTreeSet::from(["settle"]);
        // Long enough for the waits between repeats to be their longest.
        world.run(secs(28));
        world.net.down.clear();
        world.input(0, Input::Force);
        world.run(secs(6));
        assert_eq!(world.store.count(State::Succeeded), 4, "seed {seed}");
    }
}

#[test]
fn a_stopped_pool_says_nothing_more() {
    let mut world = World::new(10, &one(4), |_| ends(secs(60), succeeded()));
    let ids = world.put(2, |_, _| {});
    world.run(secs(1));
    stop(&mut world, Input::Force, secs(10));
    let pool = world.nodes[0].pool.as_mut().unwrap();
    let queue = crate::jobs::Name::new("default").unwrap();
    for input in [
        Input::Tick,
        Input::Wake(crate::jobs::call::Wake::Queue(queue)),
        Input::Wake(crate::jobs::call::Wake::Cancel(ids)),
        Input::Stop,
        Input::Force,
    ] {
        pool.input(world.now.plus(secs(100)), input);
        assert_eq!(pool.poll(), None);
        assert_eq!(pool.poll_timeout(), None);
    }
}

#[test]
fn a_stop_while_cron_and_reaper_wait_does_not_spin() {
    let mut configs = one(4);
    configs[0].soft = secs(100);
    configs[0].hard = secs(200);
    configs[0].cron = vec![super::cron::every_second("tick", "default")];
    let mut world = World::new(11, &configs, |_| ends(secs(90), succeeded()));
    world.put(2, |_, _| {});
    world.run(ms(500));
    let before: u64 = world.calls.values().sum();
    let (took, report) = stop(&mut world, Input::Stop, secs(300));
    assert!((secs(89)..secs(90)).contains(&took), "{took:?}");
    assert_eq!((report.settled, report.abandoned), (2, 0));
    let calls: u64 = world.calls.values().sum();
    assert!(calls - before < 40, "{} calls", calls - before);
}
