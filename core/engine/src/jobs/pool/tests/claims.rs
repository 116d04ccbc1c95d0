//! What a pool asks for, and what it does with what it gets.

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::{World, ends, failed, ms, secs, succeeded};
use crate::jobs::pool::{End, Input, Note, Order, PoolConfig, Share};
use crate::jobs::{Kind, Name, State};

fn config(slots: u32) -> PoolConfig {
    PoolConfig {
        slots,
        ..PoolConfig::default()
    }
}

#[test]
fn a_pool_claims_at_most_its_free_slots() {
    // The harness fails on a start beyond the slots.
    let mut world = World::new(1, &[config(3)], |_| ends(ms(100), succeeded()));
    world.put(10, |_, _| {});
    world.run(ms(50));
    assert_eq!(world.store.count(State::Running), 3, "and no prefetch");
    let took = world.finish(secs(5));
    assert!(took < ms(500), "slots were left idle: {took:?}");
    world.judge();
}

#[test]
fn a_lost_claim_reply_is_repeated_and_is_neither_crash_nor_loss() {
    let mut world = World::new(2, &[config(4)], |_| ends(ms(100), succeeded()));
    let ids = world.put(4, |_, _| {});
    world.net.lose_reply = 1_000_000;
    world.at(secs(3), |world| world.net.lose_reply = 0);
    world.finish(secs(20));
    for id in ids {
        let job = world.job(id);
        assert_eq!((job.attempt, job.token, job.crashes), (1, 1, 0));
    }
    world.judge();
}

#[test]
fn a_claim_reply_that_comes_after_its_lease_is_given_back() {
    let mut world = World::new(3, &[config(4)], |_| ends(ms(100), succeeded()));
    let ids = world.put(4, |_, _| {});
    world.net.lose_reply = 1_000_000;
    world.at(secs(29), |world| world.net.down = BTreeSet::from(["all"]));
    world.at(secs(36), |world| {
        world.net.lose_reply = 0;
        world.net.down.clear();
    });
    world.finish(secs(90));
    for id in ids {
        assert_eq!((world.job(id).attempt, world.job(id).crashes), (1, 0));
    }
    assert_eq!(
        world.started.len(),
        4,
        "none was started under a lease that was over"
    );
    world.judge();
}

#[test]
fn a_store_that_takes_claims_but_no_settles_is_not_drained_into_memory() {
    let mut world = World::new(4, &[config(4)], |_| ends(ms(10), succeeded()));
    world.put(100, |_, _| {});
    world.net.down = BTreeSet::from(["settle"]);
    world.run(secs(120));
    let started = world.started.len();
    assert!(started <= 8, "{started} jobs claimed for 4 slots");
    world.net.down.clear();
    world.finish(secs(30));
    world.judge();
}

#[test]
fn a_repeat_of_a_settle_is_harmless() {
    let mut world = World::new(5, &[config(4)], |_| ends(ms(10), failed()));
    let ids = world.put(20, |_, spec| spec.retry.attempts = 3);
    world.net.lose_reply = 300_000;
    world.finish(secs(120));
    for id in ids {
        assert_eq!((world.job(id).failures, world.job(id).crashes), (3, 0));
        assert_eq!(world.starts(id).len(), 3);
    }
    assert!(
        !world
            .notes
            .iter()
            .any(|note| matches!(note, Note::Fenced(_)))
    );
    world.judge();
}

#[test]
fn an_unknown_kind_is_given_back_for_twice_as_long_each_time_up_to_five_minutes() {
    let mut world = World::new(6, &[config(4)], |_| ends(Duration::ZERO, End::Unknown));
    let id = world.put(1, |_, _| {})[0];
    world.run(secs(3600));
    let starts = world.starts(id);
    let waits: Vec<u64> = starts
        .windows(2)
        .map(|pair| pair[1].at.since(pair[0].at).as_secs())
        .collect();
    assert_eq!(waits[..9], [1, 2, 4, 8, 16, 32, 64, 128, 256]);
    assert!(waits[9..].iter().all(|wait| *wait == 300), "{waits:?}");
    assert!(starts.iter().all(|start| start.attempt == 1));
}

#[test]
fn a_wake_hint_makes_it_look_at_once_and_storms_cost_one_call_at_a_time() {
    let mut world = World::new(7, &[config(4)], |_| ends(ms(10), succeeded()));
    world.run(secs(10));
    let before = world.calls("claim");
    let id = world.put(1, |_, _| {})[0];
    for _ in 0..1000 {
        let queue = Name::new("default").unwrap();
        world.input(0, Input::Wake(crate::jobs::call::Wake::Queue(queue)));
    }
    world.run(ms(5));
    assert_eq!(world.starts(id).len(), 1);
    assert!(world.calls("claim") - before <= 3);
}

#[test]
fn follow_ups_of_a_success_start_at_once_without_a_hint() {
    let mut world = World::new(8, &[config(4)], |_| ends(ms(10), succeeded()));
    let (first, follow) = (world.put(1, |_, _| {})[0], world.spec(|_| {}));
    let then = vec![crate::jobs::NewJob {
        spec: follow.clone().into(),
        payload: bytes::Bytes::new(),
        start: crate::jobs::Start::Now,
    }];
    world.script = Box::new(move |job| {
        let result = bytes::Bytes::new();
        let then = if job.id() == first {
            then.clone()
        } else {
            Vec::new()
        };
        ends(ms(10), End::Succeeded { result, then })
    });
    world.run(ms(100));
    assert_eq!(world.job(follow.id).state, State::Succeeded);
}

#[test]
fn strict_order_takes_the_first_lane_first_and_fair_order_lets_nobody_starve() {
    for order in [Order::Strict, Order::Fair] {
        let share = |name: &str| Share {
            queue: Name::new(name).unwrap(),
            weight: 1,
        };
        let config = PoolConfig {
            order,
            queues: vec![share("a"), share("b")],
            ..config(1)
        };
        let mut world = World::new(9, &[config], |_| ends(ms(10), succeeded()));
        // More than can be done in the time: lane by lane (queue, band) the first comes first.
        world.put(4000, |at, spec| {
            spec.queue = Name::new(["a", "b"][at % 2]).unwrap();
            spec.band = (at / 2 % 8) as u8;
        });
        world.run(secs(20));
        let lanes: BTreeSet<_> = world
            .started
            .iter()
            .map(|start| world.job(start.id).lane())
            .collect();
        match order {
            Order::Strict => {
                let bands: Vec<u8> = world
                    .started
                    .iter()
                    .map(|start| world.job(start.id).band())
                    .collect();
                assert!(bands.is_sorted(), "{bands:?}");
                assert_eq!(world.job(world.started[0].id).spec.queue.as_str(), "a");
            }
            Order::Fair => assert_eq!(lanes.len(), 16),
        }
    }
}

#[test]
fn a_job_that_is_claimed_again_while_its_old_handler_runs_waits_for_it() {
    let config = PoolConfig {
        lease: secs(2),
        ..config(4)
    };
    let mut world = World::new(10, &[config], |_| ends(secs(5), succeeded()));
    let id = world.put(1, |_, _| {})[0];
    // The store alone decides that the lease is lost, as after a failover; the pool is not told yet.
    world.at(ms(500), move |world| {
        let now = world.store.now;
        let job = world.store.jobs.get_mut(&id).unwrap();
        job.lease_until = now;
        let fence = crate::jobs::Fence {
            token: job.token,
            owner: job.owner.unwrap(),
        };
        let outcome = &crate::jobs::Outcome::Crashed {
            after: Duration::ZERO,
            strike: false,
        };
        let event = crate::jobs::Event::Settle {
            fence,
            outcome,
            progress: None,
        };
        world.store.event(id, &event).unwrap().unwrap();
        let queue = Name::new("default").unwrap();
        world.input(0, Input::Wake(crate::jobs::call::Wake::Queue(queue)));
    });
    world.finish(secs(60));
    assert_eq!(world.job(id).state, State::Succeeded);
    assert_eq!(
        world.nodes[0].pool.as_ref().unwrap().running(),
        0,
        "a slot leaked"
    );
    assert_eq!(world.store.times(id, Kind::Succeed), 1);
}
