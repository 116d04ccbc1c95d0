//! How handlers end, are stopped, and what their jobs come to.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;

use super::world::{Act, Script, World, act, ends, failed, ms, secs, succeeded};
use crate::jobs::pool::{End, Note, PoolConfig};
use crate::jobs::retry::{Policy, Retry};
use crate::jobs::{Event, Id, Kind, Outcome, Reason, State};

fn one(slots: u32) -> Vec<PoolConfig> {
    vec![PoolConfig {
        slots,
        ..PoolConfig::default()
    }]
}

#[test]
fn retry_delays_follow_the_policy() {
    let mut world = World::new(1, &one(4), |_| ends(ms(10), failed()));
    let retry = Retry::exp(secs(1), 2).attempts(6).full_jitter();
    let policy = retry.clone();
    let id = world.put(1, move |_, spec| spec.retry = retry.clone())[0];
    world.finish(secs(300));
    let job = world.job(id);
    assert_eq!(
        (job.state, job.reason),
        (State::Dead, Some(Reason::Attempts))
    );
    assert_eq!((job.failures, job.attempt), (6, 6));
    let starts = world.starts(id);
    assert_eq!(starts.len(), 6);
    for (at, pair) in starts.windows(2).enumerate() {
        let Some(Outcome::Retry { after, .. }) = &pair[0].settled else {
            panic!("{:?}", pair[0]);
        };
        let spread = policy.spread(at as u32 + 1, Duration::ZERO);
        assert!(spread.contains(after), "{after:?} is not in {spread:?}");
        let waited = pair[1].at.since(pair[0].at);
        assert!(waited >= *after, "early");
        assert!(waited < *after + ms(60), "{waited:?} instead of {after:?}");
    }
}

#[test]
fn a_failure_that_says_when_is_retried_then() {
    let end = End::Failed {
        text: "busy".into(),
        after: Some(secs(7)),
    };
    let mut world = World::new(2, &one(4), move |_| ends(ms(10), end.clone()));
    let id = world.put(1, |_, spec| spec.retry.attempts = 2)[0];
    world.finish(secs(30));
    let starts = world.starts(id);
    let waited = starts[1].at.since(starts[0].at);
    assert!((secs(7)..ms(7_100)).contains(&waited), "{waited:?}");
}

#[test]
fn no_retry_starts_after_retry_until() {
    let mut world = World::new(3, &one(4), |_| ends(ms(10), failed()));
    let id = world.put(1, |_, spec| {
        spec.retry.attempts = 100;
        spec.retry.until = Some(secs(10));
    })[0];
    let took = world.finish(secs(60));
    assert!(took < secs(11), "{took:?}");
    assert_eq!(world.job(id).reason, Some(Reason::RetryUntil));
    assert!((8..=10).contains(&world.starts(id).len()));
}

#[test]
fn a_fatal_failure_and_a_snooze_do_what_they_say() {
    let mut world = World::new(4, &one(4), |job| match job.snoozes {
        0..3 => ends(ms(10), End::Snoozed(secs(2))),
        _ => ends(ms(10), End::Fatal { text: "no".into() }),
    });
    let id = world.put(1, |_, _| {})[0];
    let took = world.finish(secs(60));
    assert!((secs(6)..ms(6_500)).contains(&took), "{took:?}");
    let job = world.job(id);
    assert_eq!(
        (job.snoozes, job.attempt, job.reason),
        (3, 1, Some(Reason::Fatal))
    );
}

#[test]
fn a_job_that_snoozes_for_no_time_does_not_spin() {
    let mut world = World::new(4, &one(4), |job| match job.snoozes {
        0..20 => ends(Duration::ZERO, End::Snoozed(Duration::ZERO)),
        _ => ends(Duration::ZERO, succeeded()),
    });
    world.put(1, |_, _| {});
    let took = world.finish(secs(60));
    assert!(took >= 20 * End::SHORTEST_SNOOZE, "{took:?}");
}

#[test]
fn a_timeout_asks_waits_drops_and_settles_a_failure() {
    for (cancel, lasts) in [(Some(ms(500)), ms(1_500)), (None, secs(6))] {
        let mut world = World::new(5, &one(4), move |_| Script {
            cancel,
            ..ends(secs(3600), succeeded())
        });
        let id = world.put(1, |_, spec| {
            spec.timeout = Some(secs(1));
            spec.retry.attempts = 2;
        })[0];
        let begun = world.now;
        let took = world.finish(secs(60));
        let job = world.job(id);
        assert_eq!((job.failures, job.reason), (2, Some(Reason::Attempts)));
        assert!(
            job.errors[0].text.contains("timed out after 1s"),
            "{:?}",
            job.errors
        );
        // Twice, with the retry's second in between.
        let least = lasts * 2 + secs(1);
        assert!(
            (least..least + ms(200)).contains(&took),
            "{took:?} from {begun:?}"
        );
        assert!(
            !world
                .notes
                .iter()
                .any(|note| matches!(note, Note::Leaked(_)))
        );
    }
}

#[test]
fn a_handler_that_cannot_be_stopped_leaks_its_slot_until_it_ends() {
    let mut world = World::new(6, &one(2), |job| match job.spec.timeout {
        Some(_) => Script {
            abort: None,
            ..ends(secs(60), succeeded())
        },
        None => ends(secs(1), succeeded()),
    });
    let stuck = world.put(1, |_, spec| {
        spec.timeout = Some(secs(1));
        spec.retry.attempts = 1;
    })[0];
    world.put(100, |_, _| {});
    world.run(secs(30));
    assert!(world.notes.contains(&Note::Leaked(stuck)));
    assert_eq!(
        (world.job(stuck).state, world.job(stuck).failures),
        (State::Dead, 1)
    );
    // One slot is left: one job per second. The harness counts the leaked handler against the slots.
    let before = world.store.count(State::Succeeded);
    assert!((25..=31).contains(&before), "{before}");
    world.run(secs(31));
    let middle = world.store.count(State::Succeeded);
    world.run(secs(10));
    let after = world.store.count(State::Succeeded);
    assert!(
        (19..=21).contains(&(after - middle)),
        "the slot came back: {}",
        after - middle
    );
}

#[test]
fn the_end_of_a_job_counts_though_a_stuck_handler_had_its_token() {
    let first = Cell::new(true);
    let mut world = World::new(14, &one(4), move |_| match first.replace(false) {
        true => Script {
            abort: None,
            ..ends(secs(3600), failed())
        },
        false => ends(secs(30), succeeded()),
    });
    let id = world.put(1, |_, spec| {
        spec.timeout = Some(secs(100));
        spec.retry = Retry::fixed(secs(60)).attempts(5);
    })[0];
    world.run(secs(150));
    assert!(world.notes.contains(&Note::Leaked(id)));
    // A failover that lost the claim: the next one gives the same token again.
    world.store.jobs.get_mut(&id).unwrap().token = 0;
    world.run(secs(100));
    assert_eq!(world.starts(id).len(), 2);
    assert_eq!(
        (world.job(id).state, world.job(id).token),
        (State::Succeeded, 1)
    );
    // The slot of the stuck one is lost until it ends, and comes back then.
    assert_eq!(world.nodes[0].pool.as_ref().unwrap().running(), 0);
    world.run(secs(3600));
    assert_eq!(world.store.times(id, Kind::Succeed), 1);
}

fn ask(world: &mut World, id: Id) {
    world.store.event(id, &Event::Cancel).unwrap().unwrap();
}

fn obedient() -> Script {
    Script {
        cancel: Some(ms(50)),
        ..ends(secs(3600), succeeded())
    }
}

#[test]
fn a_cancel_request_arrives_with_the_next_beat() {
    let mut world = World::new(7, &one(4), |_| obedient());
    let id = world.put(1, |_, _| {})[0];
    world.at(secs(1), move |world| ask(world, id));
    let took = world.finish(secs(60));
    assert!((secs(9)..secs(11)).contains(&took), "{took:?}");
    assert_eq!(
        (world.job(id).state, world.job(id).reason),
        (State::Cancelled, Some(Reason::Asked))
    );
    world.judge();
}

#[test]
fn a_hint_makes_a_cancel_request_arrive_at_once() {
    let mut world = World::new(8, &one(4), |_| obedient());
    let id = world.put(1, |_, _| {})[0];
    world.at(secs(1), move |world| {
        ask(world, id);
        world.wake(0, &[id]);
    });
    let took = world.finish(secs(60));
    assert!(took < ms(1_100), "{took:?}");
    assert_eq!(world.job(id).state, State::Cancelled);
    world.judge();
}

#[test]
fn a_hint_that_nobody_meant_cancels_nothing() {
    let mut world = World::new(9, &one(4), |_| Script {
        cancel: Some(ms(50)),
        ..ends(secs(5), succeeded())
    });
    let id = world.put(1, |_, _| {})[0];
    world.at(secs(1), move |world| world.wake(0, &[id, Id::from_u128(7)]));
    world.finish(secs(60));
    assert_eq!(world.job(id).state, State::Succeeded);
}

#[test]
fn a_cancelled_handler_that_ignores_it_is_dropped_and_its_job_cancelled() {
    for abort in [Some(Duration::ZERO), None] {
        let mut world = World::new(10, &one(4), move |_| Script {
            abort,
            ..ends(secs(3600), succeeded())
        });
        let id = world.put(1, |_, _| {})[0];
        world.at(secs(1), move |world| {
            ask(world, id);
            world.wake(0, &[id]);
        });
        let took = world.finish(secs(60));
        assert!(
            (secs(6)..ms(7_100)).contains(&took),
            "grace, then the drop: {took:?}"
        );
        assert_eq!(world.job(id).state, State::Cancelled);
        let leaked = world.notes.contains(&Note::Leaked(id));
        assert_eq!(leaked, abort.is_none());
    }
}

#[test]
fn a_checkpoint_is_stored_within_about_a_second_and_again_with_the_settle() {
    let half = Bytes::from_static(b"half");
    let progress = half.clone();
    let mut world = World::new(11, &one(4), move |job| Script {
        checkpoint: Some((
            ms(if job.failures == 0 { 500 } else { 2_900 }),
            half.clone(),
        )),
        ..ends(secs(3), failed())
    });
    let id = world.put(1, |_, spec| spec.retry.attempts = 1)[0];
    world.run(ms(1_000));
    assert_eq!(world.job(id).progress, Bytes::new());
    world.run(ms(600));
    assert_eq!(world.job(id).progress, progress);
    assert_eq!(world.store.times(id, Kind::Beat), 1, "and only once");

    let last = Bytes::from_static(b"last");
    world.script = Box::new(move |_| Script {
        checkpoint: Some((ms(2_900), last.clone())),
        ..act(secs(3), Act::End(succeeded()))
    });
    let id = world.put(1, |_, _| {})[0];
    world.finish(secs(10));
    assert_eq!(world.job(id).progress, Bytes::from_static(b"last"));
}

#[test]
fn a_checkpoint_of_one_job_does_not_make_the_others_beat() {
    let mut world = World::new(12, &one(100), |job| Script {
        checkpoint: (job.spec.band == 1).then(|| (ms(100), Bytes::from_static(b"half"))),
        ..ends(secs(5), succeeded())
    });
    let ids = world.put(100, |at, spec| spec.band = u8::from(at == 0));
    world.run(secs(4));
    assert_eq!(world.store.times(ids[0], Kind::Beat), 1);
    assert_eq!(world.store.times(ids[1], Kind::Beat), 0);
}
