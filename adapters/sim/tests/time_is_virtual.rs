//! Virtual time: exact, ordered, and free.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tideway::{Mono, Rng, Seed};
use tideway_driver::{Runtime, Sleep};
use tideway_sim::Sim;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn ten_thousand_sleeps_fire_in_order_at_their_very_nanosecond() {
    let sim = Sim::new(1);
    let host = sim.host("host");
    let fired = Arc::new(Mutex::new(Vec::new()));
    let mut rng = Rng::new(&Seed::from_u64(1));
    for _ in 0..10_000 {
        let (rt, fired) = (host.clone(), fired.clone());
        let at = Mono::from_nanos(1 + rng.below(1_000_000));
        host.spawn(async move {
            rt.sleep_until(at).await;
            assert_eq!(rt.now().mono, at);
            fired.lock().unwrap().push(at);
        });
    }
    sim.run_for(HOUR).unwrap();
    let fired = fired.lock().unwrap();
    assert_eq!((fired.len(), sim.tasks()), (10_000, 0));
    assert!(fired.is_sorted());
}

#[test]
fn a_sleep_can_be_moved_both_ways_and_after_it_fired() {
    let sim = Sim::new(1);
    let host = sim.host("host");
    let start = sim.now().mono;
    sim.run(async {
        let mut sleep = pin!(host.sleep(HOUR));
        let mut moved = false;
        std::future::poll_fn(|cx| {
            let polled = sleep.as_mut().poll(cx);
            if !moved {
                moved = true;
                assert!(polled.is_pending());
                sleep.as_mut().reset(start.plus(HOUR * 2));
                sleep.as_mut().reset(start.plus(HOUR / 2));
            }
            polled
        })
        .await;
        assert_eq!(sim.now().mono, start.plus(HOUR / 2));
        sleep.as_mut().await;
        sleep.as_mut().reset(start.plus(HOUR));
        sleep.as_mut().await;
        assert_eq!(sim.now().mono, start.plus(HOUR));
    });
}

#[test]
fn a_dropped_sleep_leaves_no_event() {
    let sim = Sim::new(1);
    let host = sim.host("host");
    let mut sleep = Box::pin(host.sleep(HOUR));
    sim.run(std::future::poll_fn(|cx| {
        assert!(sleep.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    }));
    drop(sleep);
    sim.block_on(std::future::pending::<()>()).unwrap_err();
    assert_eq!(sim.now().mono, Mono::START);
}

#[test]
fn wall_time_goes_along_and_jumps() {
    let sim = Sim::new(1);
    let host = sim.host("host");
    assert_eq!(
        &tideway_engine::rfc3339(sim.now().wall),
        b"2026-01-01T00:00:00.000Z"
    );
    sim.run_for(HOUR).unwrap();
    let before = host.now();
    assert_eq!(
        &tideway_engine::rfc3339(before.wall),
        b"2026-01-01T01:00:00.000Z"
    );
    sim.jump_wall(-7_200_000);
    assert_eq!(
        &tideway_engine::rfc3339(host.now().wall),
        b"2025-12-31T23:00:00.000Z"
    );
    assert_eq!(host.now().mono, before.mono);
}

#[test]
fn running_for_a_while_takes_that_while() {
    let sim = Sim::new(1);
    sim.run_for(HOUR).unwrap();
    assert_eq!(sim.now().mono, Mono::START.plus(HOUR));
    let host = sim.host("host");
    let rt = host.clone();
    host.spawn(async move {
        rt.sleep(HOUR).await;
    });
    sim.run_for(HOUR / 2).unwrap();
    assert_eq!(sim.tasks(), 1);
    sim.run_for(HOUR / 2).unwrap();
    assert_eq!(sim.tasks(), 0, "what is due at the end is done");
}

#[test]
fn work_is_done_at_once_and_seeds_are_the_hosts_own() {
    let sim = Sim::new(1);
    let (a, b) = (sim.host("a"), sim.host("b"));
    assert_eq!(sim.run(a.blocking(|| 7)), 7);
    assert_ne!(a.seed().0, b.seed().0);
    assert_ne!(a.seed().0, a.seed().0);
    let again = Sim::new(1);
    let (a2, _) = (again.host("a"), ());
    assert_eq!(Sim::new(1).host("a").seed().0, a2.seed().0);
}
