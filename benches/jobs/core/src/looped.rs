//! The pool's loop over the model: claim, start, end, settle, with what a driver and a store add left out.

use std::sync::Arc;

use bench_jobs::{Watch, Work, allocations};
use bytes::Bytes;
use tideway_engine::jobs::pool::{End, Input, Output, Pool, PoolConfig};
use tideway_engine::jobs::retry::Retry;
use tideway_engine::jobs::{Id, Name, NewJob, Spec, Start};
use tideway_engine::{Mono, Seed, Wall};
use tideway_memory::Model;

pub(crate) fn run(jobs: usize, slots: u32) {
    let (now, wall) = (Mono::START, Wall(1_000_000));
    let mut model = Model::new();
    let mut from = 0;
    let mut all = Vec::new();
    while from < jobs {
        let batch = (jobs - from).min(1000);
        all.push(new_jobs(from, batch));
        from += batch;
    }
    let watch = Watch::start();
    for batch in &all {
        model.enqueue(batch, wall);
    }
    crate::report("enqueue", jobs, watch.lap(), 1);
    drop(all);
    let config = PoolConfig {
        slots,
        ..PoolConfig::default()
    };
    let mut pool = Pool::new(config, &Seed::from_u64(1), now).expect("a good configuration");
    let mut settled = 0;
    // What the model allocated: its indexes grow with the jobs. The pool's steady state is its own.
    let mut stored = 0;
    let watch = Watch::start();
    let mut started = Vec::with_capacity(slots as usize);
    while settled < jobs {
        while let Some(output) = pool.poll() {
            match output {
                Output::Claim(req) => {
                    let before = allocations();
                    let claimed = model.claim(&req, wall);
                    stored += allocations() - before;
                    pool.input(now, Input::Claimed(claimed));
                }
                Output::Settle(settles) => {
                    settled += settles.len();
                    let before = allocations();
                    let answers = model.settle(&settles, wall);
                    stored += allocations() - before;
                    pool.input(now, Input::Settled(answers));
                }
                Output::Start(run, _) => started.push(run),
                other => panic!("nothing else is due at once: {other:?}"),
            }
        }
        for run in started.drain(..) {
            let end = End::Succeeded {
                result: Bytes::new(),
                then: Vec::new(),
            };
            pool.input(now, Input::Ended { run, end });
        }
    }
    let mut lap = watch.lap();
    lap.allocations -= stored;
    // A claim and a settle in the store, a start and an end in the pool.
    crate::report("pool", jobs * 4, lap, 4);
}

/// `count` plain jobs.
pub(crate) fn new_jobs(from: usize, count: usize) -> Vec<NewJob> {
    let queue = Name::new("default").expect("a name");
    let kind = Name::new("work").expect("a name");
    let payload = Bytes::from(Work::new().text);
    let job = |number: usize| NewJob {
        spec: Arc::new(Spec::new(
            Id::from_u128((0x01a2_06e9_bf43_760a_u128 << 64) + number as u128),
            queue.clone(),
            kind.clone(),
        )),
        payload: payload.clone(),
        start: Start::Now,
    };
    (from..from + count).map(job).collect()
}
