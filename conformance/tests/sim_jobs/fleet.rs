//! A whole fleet dies with two thousand jobs running. All in virtual time, over a store that does not fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tideway::jobs::pool::PoolConfig;
use tideway::jobs::{DynJobStore, Job, JobCx, JobResult, JobStore as _, Jobs, MaxPayload};
use tideway::{App, Clock, Seed};
use tideway_driver::{Runtime as _, Server};
use tideway_memory::Memory;
use tideway_sim::{Host, Sim};

const WORKERS: usize = 20;
const SLOTS: u32 = 100;
const JOBS: u64 = 4_000;

/// Takes half a minute.
#[derive(Serialize, Deserialize)]
struct Slow;

impl Job for Slow {
    const NAME: &'static str = "slow";

    async fn run(self, cx: JobCx) -> JobResult {
        cx.clock().sleep(Duration::from_secs(30)).await;
        cx.service::<Arc<AtomicU64>>()
            .ok_or("no count")?
            .fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn the_kill_of_a_whole_fleet_costs_at_most_three_times_the_time() {
    let (calm, killed) = (time(false), time(true));
    println!("{killed:?} instead of {calm:?}");
    assert!(calm >= Duration::from_secs(60), "{calm:?}");
    assert!(
        killed > calm && killed <= calm * 3,
        "{killed:?} instead of {calm:?}"
    );
}

/// How long the jobs take.
fn time(kill: bool) -> Duration {
    let sim = Sim::new(8);
    let clock = sim.host("store");
    let store = Memory::new(Arc::new(move || clock.now().wall));
    let ended = Arc::<AtomicU64>::default();
    let hosts: Vec<Host> = (0..WORKERS)
        .map(|n| sim.host(&format!("worker {n}")))
        .collect();
    sim.run(enqueue(sim.host("producer"), store.clone()));
    let begun = sim.now().mono;
    for host in &hosts {
        boot(host, &store, &ended);
    }
    for tick in 0_u64.. {
        sim.run_for(Duration::from_millis(100))
            .expect("time goes on");
        if kill && tick == 150 {
            for host in &hosts {
                sim.crash(host);
                sim.restart(host);
            }
            assert_eq!(ended.load(Ordering::Relaxed), 0, "nothing has ended");
            for host in &hosts {
                boot(host, &store, &ended);
            }
        }
        let done = sim.run(async { store.stats().await.expect("memory answers") });
        let done: u64 = done.queues.iter().map(|queue| queue.succeeded).sum();
        if done == JOBS {
            break;
        }
        assert!(tick < 36_000, "{done} jobs in an hour");
    }
    let audit = sim.run(async { store.audit().await.expect("memory answers") });
    assert_eq!(audit.flaws, [""; 0]);
    sim.now().mono.since(begun)
}

async fn enqueue(host: Host, store: Memory) {
    let clock = Clock::new(tideway_driver::tasks(host));
    let seed = Seed::from_u64(1);
    let jobs = Jobs::new(DynJobStore::new(store), clock, &seed, MaxPayload::default());
    let batch: Vec<_> = (0..JOBS).map(|_| jobs.enqueue(Slow)).collect();
    for receipt in jobs.enqueue_all(batch).await {
        receipt.expect("enqueued");
    }
}

fn boot(host: &Host, store: &Memory, ended: &Arc<AtomicU64>) {
    let config = PoolConfig {
        slots: SLOTS,
        ..PoolConfig::default()
    };
    let app = App::new()
        .store(store.clone())
        .job::<Slow>()
        .provide(ended.clone())
        .worker(config);
    let server = Server::new(host.clone(), app);
    host.spawn_named("worker", async move {
        server.work().await.expect("a well-formed app");
    });
}
