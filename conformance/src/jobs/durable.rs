//! What was acknowledged outlives the store that acknowledged it.

use std::time::Duration;

use tideway::jobs::JobStore;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{
    Beaten, Control, CronCas, Enqueued, Limit, QueueStats, Scope, Settle, Settled,
};
use tideway_engine::jobs::cron::Cell;
use tideway_engine::jobs::{Hold, Id, Kind, State};

use super::Cx;
use super::cx::{LONG, sure};
use super::fixture::{self, job, jobs, name};
use super::victim::{self, Said};
use super::worker::{die, retry, succeed};
use crate::suite::claim::same;

/// Every record, in every state, byte for byte.
pub async fn records_survive_a_restart(cx: &Cx) {
    let worker = cx.worker();
    let mut ids: Vec<Id> = cx.add_all(&jobs("mail", 6)).await;
    let claimed = worker.claim("mail", 5).await;
    worker.settle(&claimed[0], succeed()).await;
    worker.settle(&claimed[1], die()).await;
    worker
        .settle(&claimed[2], retry(Duration::from_secs(60)))
        .await;
    worker.checkpoint(&claimed[3], "page 1").await;
    cx.ask(claimed[4].id(), Control::Cancel).await;
    let big = job("mail")
        .payload(vec![7; 70_000])
        .header("request-id", "1")
        .band(5);
    ids.push(cx.add(big.build()).await);
    let before = cx.records(&ids).await;
    cx.reopen().await;
    same(
        cx.records(&ids).await,
        before,
        "what was acknowledged is kept, all of it",
    );
    same(
        worker.beat(&claimed[3], LONG).await,
        Beaten::Alive { cancel: false },
        "a restart of the store ends no lease",
    );
    worker.settle(&claimed[3], succeed()).await;
    same(
        cx.worker().claim("mail", 9).await.len(),
        1,
        "what was due is due",
    );
}

/// The reply was lost with the store; the repeat must find what it leased.
pub async fn a_claim_can_be_repeated_after_a_restart(cx: &Cx) {
    cx.add_all(&jobs("mail", 4)).await;
    let worker = cx.worker();
    let req = worker.req(&[("mail", 0)], 2);
    let first = cx.claim(&req).await.jobs;
    cx.reopen().await;
    same(
        cx.claim(&req).await.jobs,
        first,
        "the same jobs under the same leases",
    );
    same(
        worker.claim("mail", 9).await.len(),
        2,
        "the repeat claimed nothing more",
    );
}

/// A repeat of an enqueue, after the store came back.
pub async fn ids_are_known_after_a_restart(cx: &Cx) {
    let (pending, done) = (job("mail").build(), job("maps").build());
    cx.add_all(&[pending.clone(), done.clone()]).await;
    let worker = cx.worker();
    worker.settle(&worker.take("maps").await, succeed()).await;
    cx.reopen().await;
    same(
        cx.enqueue(&[pending, done]).await,
        vec![Enqueued::Duplicate; 2],
        "they were accepted before",
    );
}

/// What persons asked for holds until they ask for something else.
pub async fn pauses_and_what_is_declared_survive_a_restart(cx: &Cx) {
    let caps = cx.caps();
    cx.control(Control::Pause(name("mail"))).await;
    cx.add(job("mail").build()).await;
    let mut holder = None;
    if caps.unique {
        holder = Some(
            cx.add(job("maps").unique("k", Hold::UntilDone).build())
                .await,
        );
    }
    let cell = Cell {
        slot: Wall(1000),
        rev: 1,
        spec: "@daily UTC vixie".into(),
        last_job: None,
    };
    if caps.cron {
        let cas = CronCas {
            key: name("report"),
            prev: None,
            next: cell.clone(),
            jobs: Vec::new(),
        };
        cx.cron_cas(&cas).await;
    }
    if caps.limits {
        let limit = Limit {
            running: Some(1),
            rate: None,
        };
        cx.control(Control::Limit(Scope::Queue(name("news")), limit))
            .await;
        cx.add_all(&jobs("news", 3)).await;
    }
    cx.reopen().await;
    let worker = cx.worker();
    same(
        worker.claim("mail", 9).await.len(),
        0,
        "the queue is paused",
    );
    if let Some(holder) = holder {
        let second = job("maps").unique("k", Hold::UntilDone).build();
        same(
            cx.put(&second).await,
            Enqueued::UniqueHit(holder),
            "the key is held",
        );
    }
    if caps.cron {
        same(
            cx.cron_cell(&name("report")).await.cell,
            Some(cell),
            "a slot that has fired must not fire again",
        );
    }
    if caps.limits {
        same(worker.claim("news", 9).await.len(), 1, "one at most runs");
    }
}

/// A process that worked on the store is killed in the middle of it, again and again: what it was told is so, and
/// what it was not told happened in full, once, or not at all.
pub async fn what_was_acknowledged_survives_a_kill(cx: &Cx) {
    let mut all = Vec::new();
    for kill in 1..=4 {
        // At another call each time.
        all.extend(cx.kill_after(13 * kill).await);
        let store = cx.store();
        let flaws = sure("audit", || store.audit()).await.flaws;
        same(flaws, vec![], "a killed process leaves a sound store");
        if cx.sends_follow_ups_by_prune() {
            sure("prune", || store.prune(100)).await;
        }
        told(cx, &all).await;
        let stats = sure("stats", || store.stats()).await;
        let count = |name: &str, count: fn(&QueueStats) -> u64| {
            let mut queues = stats.queues.iter();
            queues.find(|queue| queue.queue == name).map_or(0, count)
        };
        same(
            count("maps", |queue| queue.pending),
            count("mail", |queue| queue.succeeded),
            "every success brought its follow-up job with it, and one only",
        );
    }
}

/// Every acknowledged call has left what it said, and finds that if it comes again.
async fn told(cx: &Cx, all: &[Said]) {
    for said in all {
        let (Said::Enqueued(id) | Said::Claimed(id, _) | Said::Settled(id, ..)) = *said;
        let job = cx.record(id).await;
        match *said {
            Said::Enqueued(_) => {
                let again = fixture::job("mail").id(id).build();
                same(cx.put(&again).await, Enqueued::Duplicate, "it is known");
            }
            Said::Claimed(_, fence) => {
                let lease = (job.token, job.owner, job.attempt);
                same(
                    lease,
                    (fence.token, Some(fence.owner), 1),
                    "the lease was given once",
                );
            }
            Said::Settled(_, fence, then) => {
                same(
                    (job.state, &job.result),
                    (State::Succeeded, &victim::result(id)),
                    "the success was acknowledged",
                );
                same(cx.record(then).await.state, State::Pending, "so was this");
                let settle = Settle {
                    id,
                    fence,
                    outcome: succeed(),
                    progress: None,
                    then: vec![fixture::job("maps").build()],
                };
                same(
                    cx.settle(&[settle]).await,
                    vec![Settled::Already(Kind::Succeed)],
                    "a settle is applied once",
                );
            }
        }
    }
}
