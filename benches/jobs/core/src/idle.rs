//! A worker with nothing to do: what its pool asks of an empty store in an hour of virtual time.

use std::time::Duration;

use tideway_engine::jobs::call::Cursor;
use tideway_engine::jobs::pool::{Input, Output, Pool, PoolConfig};
use tideway_engine::{Mono, Seed, Wall};
use tideway_memory::Model;

const SPAN: Duration = Duration::from_secs(3600);

pub(crate) fn run() {
    let mut now = Mono::START;
    let mut model = Model::new();
    let config = PoolConfig::default();
    let mut pool = Pool::new(config, &Seed::from_u64(1), now).expect("a good configuration");
    let mut calls = 0_u64;
    while now < Mono::START.plus(SPAN) {
        let wall = Wall(1_000_000 + now.since(Mono::START).as_millis() as i64);
        while let Some(output) = pool.poll() {
            calls += 1;
            let answer = match output {
                Output::Claim(req) => Input::Claimed(model.claim(&req, wall)),
                Output::Expired(after, limit) => {
                    let after: Cursor = after;
                    Input::Expired(model.expired(&after, limit, wall))
                }
                Output::Prune(limit) => Input::Pruned(model.prune(limit, wall)),
                other => panic!("there is nothing to do: {other:?}"),
            };
            pool.input(now, answer);
        }
        let (next, _) = pool.poll_timeout().expect("it looks again");
        now = next.max(now.plus(Duration::from_millis(1)));
        pool.input(now, Input::Tick);
    }
    println!(
        "{{\"part\":\"idle\",\"calls\":{calls},\"calls_per_s\":{}}}",
        calls as f64 / SPAN.as_secs_f64()
    );
}
