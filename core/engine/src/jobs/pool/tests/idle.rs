//! What a pool costs when there is nothing to do, and what it keeps.

use super::world::{World, ends, ms, secs, succeeded};
use crate::jobs::State;
use crate::jobs::pool::PoolConfig;

#[test]
fn an_idle_pool_makes_at_most_one_call_every_two_seconds() {
    let mut world = World::new(1, &[PoolConfig::default()], |_| ends(ms(10), succeeded()));
    world.run(secs(3600));
    let calls: u64 = world.calls.values().sum();
    assert!(calls <= 1800, "{calls}: {:?}", world.calls);
    assert!(world.calls("claim") >= 900 && world.calls("expired") >= 300);
}

#[test]
fn a_pool_forgets_what_is_over() {
    let mut world = World::new(2, &[PoolConfig::default()], |_| ends(ms(5), succeeded()));
    for _ in 0..50 {
        world.put(200, |_, spec| spec.timeout = Some(secs(3600)));
        world.finish(secs(60));
    }
    assert_eq!(world.store.count(State::Succeeded), 10_000);
    world.run(secs(1));
    let pool = world.nodes[0].pool.as_ref().unwrap();
    assert!(pool.held.is_empty() && pool.queued.is_empty());
    let alarms = pool.alarms.len();
    assert!(alarms <= 64 + 2 * 16, "{alarms} alarms");
}
