//! The driver's worker runs an app's jobs on every runtime, and ends with the stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join;
use serde::{Deserialize, Serialize};
use tideway::jobs::pool::{PoolConfig, PoolReport};
use tideway::jobs::retry::Retry;
use tideway::jobs::{
    DynJobStore, Job, JobCx, JobError, JobResult, JobStore as _, Jobs, MaxPayload, State,
};
use tideway::{App, Clock, Needs, Seed};
use tideway_driver::{Runtime, Server, Stop};
use tideway_memory::Memory;

/// How many times handlers were entered.
#[derive(Default)]
struct Entered(AtomicUsize);

#[derive(Serialize, Deserialize)]
enum Act {
    Return,
    FailOnce,
    Panic,
    Fatal,
    Sleep(u64),
    /// Waits to be asked to stop.
    Obey,
}

impl Job for Act {
    const NAME: &'static str = "act";

    fn retry() -> Retry {
        Retry::fixed(Duration::from_millis(10)).attempts(2)
    }

    fn needs(needs: &mut Needs) {
        needs.service::<Arc<Entered>>();
    }

    async fn run(self, cx: JobCx) -> JobResult {
        if let Some(entered) = cx.service::<Arc<Entered>>() {
            entered.0.fetch_add(1, Ordering::Relaxed);
        }
        match self {
            Act::Return => Ok(()),
            Act::FailOnce if cx.attempt() == 1 => Err(JobError::retry("once")),
            Act::FailOnce => Ok(()),
            Act::Panic => panic!("as asked"),
            Act::Fatal => Err(JobError::fatal("no use")),
            Act::Sleep(ms) => {
                cx.clock().sleep(Duration::from_millis(ms)).await;
                Ok(())
            }
            Act::Obey => {
                cx.cancelled().await;
                Err(JobError::retry("asked to stop"))
            }
        }
    }
}

struct Site<R> {
    rt: R,
    store: Memory,
    stop: Stop,
    jobs: Jobs,
    entered: Arc<Entered>,
}

impl<R: Runtime> Site<R> {
    fn new(rt: R) -> Self {
        let store = Memory::default();
        let clock = Clock::new(tideway_driver::tasks(rt.clone()));
        let seed = Seed::from_u64(1);
        let jobs = Jobs::new(
            DynJobStore::new(store.clone()),
            clock,
            &seed,
            MaxPayload::default(),
        );
        Self {
            rt,
            store,
            stop: Stop::new(),
            jobs,
            entered: Arc::default(),
        }
    }

    async fn work(&self, config: PoolConfig) -> PoolReport {
        let app = App::new()
            .store(self.store.clone())
            .job::<Act>()
            .provide(self.entered.clone())
            .worker(config);
        let server = Server::new(self.rt.clone(), app).stop(self.stop.clone());
        server.work().await.expect("the app builds")
    }

    /// Waits, at most ten seconds, for so many jobs in a state.
    async fn until(&self, state: State, count: u64) {
        for _ in 0..1000 {
            let stats = self.store.stats().await.expect("memory answers");
            let mut queues = stats.queues;
            let found: u64 = queues.iter_mut().map(|queue| *queue.count(state)).sum();
            if found == count {
                return;
            }
            self.rt
                .sleep_until(self.rt.now().mono.plus(Duration::from_millis(10)))
                .await;
        }
        panic!("not {count} jobs {state:?}: {:?}", self.store.stats().await);
    }
}

async fn every_end(rt: impl Runtime) {
    let site = Site::new(rt);
    let acts = (0..100)
        .map(|_| Act::Return)
        .chain([Act::FailOnce, Act::Panic, Act::Fatal]);
    for act in acts {
        site.jobs.enqueue(act).await.expect("enqueued");
    }
    let test = async {
        site.until(State::Succeeded, 101).await;
        site.until(State::Dead, 2).await;
        site.stop.stop();
    };
    let (report, ()) = join(site.work(PoolConfig::default()), test).await;
    // One failure is retried, so is a panic; a fatal error is not.
    assert_eq!(report.started, 100 + 2 + 2 + 1);
    assert_eq!(site.entered.0.load(Ordering::Relaxed), 105);
    assert_eq!(site.store.audit().await.expect("audited").flaws, [""; 0]);
}

async fn a_stop_gives_back_what_it_proves_stopped(rt: impl Runtime) {
    let site = Site::new(rt);
    let mut ids = Vec::new();
    for act in [Act::Sleep(60_000), Act::Obey, Act::Sleep(50)] {
        ids.push(site.jobs.enqueue(act).await.expect("enqueued").id);
    }
    let config = PoolConfig {
        soft: Duration::from_millis(200),
        hard: Duration::from_millis(400),
        ..PoolConfig::default()
    };
    let test = async {
        site.until(State::Running, 3).await;
        site.stop.stop();
    };
    let (report, ()) = join(site.work(config), test).await;
    assert_eq!(
        (report.started, report.released, report.abandoned),
        (3, 2, 0)
    );
    let records = site.store.jobs(&ids).await.expect("memory answers");
    let seen: Vec<_> = records
        .iter()
        .flatten()
        .map(|job| (job.state, job.attempt))
        .collect();
    assert_eq!(
        seen,
        [
            (State::Pending, 0),
            (State::Pending, 0),
            (State::Succeeded, 1)
        ]
    );
}

async fn a_cancelled_job_ends_cancelled(rt: impl Runtime) {
    let site = Site::new(rt);
    let id = site.jobs.enqueue(Act::Obey).await.expect("enqueued").id;
    let test = async {
        site.until(State::Running, 1).await;
        assert!(site.jobs.cancel(id).await.expect("memory answers"));
        site.until(State::Cancelled, 1).await;
        site.stop.stop();
    };
    join(site.work(PoolConfig::default()), test).await;
}

async fn all(rt: impl Runtime) {
    every_end(rt.clone()).await;
    a_stop_gives_back_what_it_proves_stopped(rt.clone()).await;
    a_cancelled_job_ends_cancelled(rt).await;
}

#[test]
fn tokio() {
    let runtime = tokio::runtime::Runtime::new().expect("tokio starts");
    runtime.block_on(async { all(tideway_tokio::Tokio::current()).await });
}

#[test]
fn smol() {
    smol::block_on(all(tideway_smol::Smol::default()));
}

#[test]
fn async_std() {
    async_std::task::block_on(all(tideway_async_std::AsyncStd::default()));
}
