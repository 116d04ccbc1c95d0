//! Beats, and what a pool does when it can no longer be sure of a lease.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use super::world::{Script, World, ends, failed, ms, secs, succeeded};
use crate::jobs::pool::{Call, Note, PoolConfig};
use crate::jobs::{Event, Fence, Kind, Outcome, State};

fn nodes(count: usize, lease: Duration) -> Vec<PoolConfig> {
    let config = PoolConfig {
        slots: 8,
        lease,
        ..PoolConfig::default()
    };
    vec![config; count]
}

#[test]
fn a_job_of_ten_leases_beats_at_a_third_and_is_never_reaped() {
    let mut world = World::new(1, &nodes(3, secs(2)), |_| ends(secs(20), succeeded()));
    let id = world.put(1, |_, _| {})[0];
    world.finish(secs(25));
    let beats = world.store.times(id, Kind::Beat);
    assert!((29..=31).contains(&beats), "{beats} beats");
    assert_eq!((world.job(id).attempt, world.job(id).crashes), (1, 0));
    world.judge();
}

#[test]
fn beats_of_many_jobs_go_in_batches_and_all_arrive() {
    let mut config = nodes(1, secs(2));
    (config[0].slots, config[0].max_batch) = (50, 7);
    let mut world = World::new(2, &config, |_| ends(secs(10), succeeded()));
    let ids = world.put(50, |_, _| {});
    world.finish(secs(15));
    for id in ids {
        assert!(world.store.times(id, Kind::Beat) >= 13);
        assert_eq!(world.job(id).token, 1);
    }
}

#[test]
fn an_answer_that_lacks_an_item_is_none_and_its_call_is_repeated() {
    let mut world = World::new(9, &nodes(1, secs(2)), |_| ends(secs(5), succeeded()));
    world.put(8, |_, _| {});
    world.run(ms(100));
    world.net.cut = 1_000_000;
    world.run(secs(1));
    let failed = |world: &World, wanted: &Call| {
        let notes = world.notes.iter();
        let short = |note: &&Note| matches!(note, Note::CallFailed { call, error, .. } if call == wanted && error.contains("answers to"));
        notes.filter(short).count()
    };
    assert!(failed(&world, &Call::Beat) > 0, "{:?}", world.notes);
    world.net.cut = 0;
    world.run(ms(3_850));
    world.net.cut = 1_000_000;
    world.run(secs(1));
    assert!(failed(&world, &Call::Settle) > 0, "{:?}", world.notes);
    assert_eq!(world.store.count(State::Succeeded), 1, "it was applied");
    world.net.cut = 0;
    world.finish(secs(5));
    assert!(
        !world
            .notes
            .iter()
            .any(|note| matches!(note, Note::LeaseLost(_)))
    );
    world.judge();
}

#[test]
fn a_checkpoint_that_a_late_beat_put_back_is_the_newest_again_when_the_attempt_ends() {
    let (old, new) = (Bytes::from_static(b"page 1"), Bytes::from_static(b"page 2"));
    let checkpoint = Some((ms(100), new.clone()));
    let mut world = World::new(10, &nodes(1, secs(2)), move |_| Script {
        checkpoint: checkpoint.clone(),
        ..ends(secs(3), failed())
    });
    let id = world.put(1, |_, spec| spec.retry.attempts = 2)[0];
    world.run(secs(2));
    assert_eq!(world.job(id).progress, new);
    let fence = Fence {
        token: world.job(id).token,
        owner: world.job(id).owner.expect("it runs"),
    };
    let late = Event::Beat {
        fence,
        lease: secs(2),
        progress: Some(&old),
    };
    assert_eq!(world.store.event(id, &late), Some(Ok(Kind::Beat)));
    assert_eq!(world.job(id).progress, old);
    world.run(ms(1_500));
    assert_eq!(world.job(id).failures, 1);
    assert_eq!(world.job(id).progress, new);
}

#[test]
fn a_store_that_is_silent_for_longer_than_the_lease_makes_the_pool_drop_its_jobs() {
    let mut world = World::new(3, &nodes(3, secs(2)), |_| ends(secs(8), succeeded()));
    let ids = world.put(8, |_, _| {});
    world.run(secs(1));
    world.net.down = BTreeSet::from(["all"]);
    world.run(secs(3));
    let running: usize = (0..3).map(|node| world.handlers(node)).sum();
    assert_eq!(running, 0, "nobody can know whether they run elsewhere");
    world.net.down.clear();
    world.finish(secs(60));
    for id in ids {
        let job = world.job(id);
        assert_eq!(
            (job.attempt, job.crashes, job.state),
            (1, 0, State::Succeeded)
        );
    }
    assert!(
        world
            .notes
            .iter()
            .any(|note| matches!(note, Note::LeaseLost(_)))
    );
    world.judge();
}

#[test]
fn a_lease_lost_while_the_handler_may_still_stop_by_itself_ends_that() {
    let mut configs = nodes(1, secs(2));
    configs[0].grace = secs(60);
    let mut world = World::new(4, &configs, |_| ends(secs(3600), succeeded()));
    world.put(1, |_, spec| spec.timeout = Some(secs(1)));
    world.run(ms(1_500));
    world.net.down = BTreeSet::from(["all"]);
    world.run(secs(3));
    assert_eq!(world.handlers(0), 0);
}

#[test]
fn a_lease_that_only_the_store_knows_to_be_lost_stops_the_handler_at_the_next_beat() {
    let mut world = World::new(5, &nodes(1, secs(3)), |_| ends(secs(30), succeeded()));
    let id = world.put(1, |_, _| {})[0];
    world.run(ms(500));
    // As after a failover that lost the claim.
    let record = world.store.jobs.get_mut(&id).unwrap();
    record.token += 1;
    world.run(secs(1));
    assert_eq!(world.handlers(0), 0);
    let lost = world
        .notes
        .iter()
        .filter(|note| **note == Note::LeaseLost(id));
    assert_eq!(lost.count(), 1, "said once");
}

#[test]
fn a_frozen_worker_finishes_nothing_that_was_given_to_others() {
    let mut world = World::new(6, &nodes(2, secs(2)), |_| ends(secs(3), succeeded()));
    let ids = world.put(16, |_, _| {});
    world.at(secs(1), |world| world.freeze(0, secs(8)));
    world.finish(secs(120));
    for id in &ids {
        assert_eq!(world.store.times(*id, Kind::Succeed), 1);
    }
    let crashed = ids.iter().filter(|id| world.job(**id).crashes == 1).count();
    assert_eq!(crashed, 8, "those of the frozen one, once each");
    world.judge();
}

#[test]
fn a_handler_of_a_lost_lease_that_cannot_be_dropped_is_abandoned_not_crashed() {
    let mut world = World::new(7, &nodes(2, secs(2)), |job| Script {
        abort: (job.token > 1).then_some(Duration::ZERO),
        ..ends(secs(10), succeeded())
    });
    let id = world.put(1, |_, _| {})[0];
    world.run(secs(1));
    // Long enough for the lease, too short for others to charge it.
    world.net.down = BTreeSet::from(["beat", "expired"]);
    world.run(ms(4_500));
    world.net.down.clear();
    world.finish(secs(60));
    let start = world.starts(id)[0];
    assert_eq!(start.settled, Some(Outcome::Abandoned));
    assert_eq!((world.job(id).crashes, world.job(id).attempt), (0, 1));
}
