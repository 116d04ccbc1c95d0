//! Jobs that wait for jobs.

use std::time::Duration;

use tideway_engine::jobs::call::{Control, Enqueued};
use tideway_engine::jobs::{Id, NewJob, Reason, Start, State, WaitFailed};

use super::Cx;
use super::fixture::{id, job};
use super::worker::{die, retry, succeed};
use crate::suite::claim::same;

async fn states(cx: &Cx, ids: &[Id]) -> Vec<State> {
    cx.records(ids)
        .await
        .iter()
        .flatten()
        .map(|job| job.state)
        .collect()
}

/// First this, then that; also in one batch.
pub async fn a_job_starts_after_the_one_it_waits_for(cx: &Cx) {
    let first = job("mail").build();
    let second = job("maps").waits_for([first.spec.id]).build();
    let third = job("mail").waits_for([second.spec.id]).build();
    let ids = cx.add_all(&[first, second, third]).await;
    let (waiting, pending) = (State::Waiting, State::Pending);
    same(
        states(cx, &ids).await,
        vec![pending, waiting, waiting],
        "each waits for the one before",
    );
    let worker = cx.worker();
    same(worker.claim("maps", 9).await.len(), 0, "it waits");
    let job = worker.take("mail").await;
    same(
        states(cx, &ids).await[1],
        waiting,
        "it has not ended by starting",
    );
    worker.settle(&job, retry(Duration::ZERO)).await;
    same(
        states(cx, &ids).await[1],
        waiting,
        "it has not ended by failing once",
    );
    let job = worker.take("mail").await;
    worker.settle(&job, succeed()).await;
    same(
        states(cx, &ids).await,
        vec![State::Succeeded, pending, waiting],
        "the second may start, the third may not",
    );
    let job = worker.take("maps").await;
    worker.settle(&job, succeed()).await;
    same(worker.take("mail").await.id(), ids[2], "it is its turn");
}

/// Ten parts, then the whole.
pub async fn a_job_starts_after_all_it_waits_for(cx: &Cx) {
    let parts: Vec<NewJob> = (0..10).map(|_| job("mail").build()).collect();
    let ids = cx.add_all(&parts).await;
    let whole = cx.add(job("maps").waits_for(ids).build()).await;
    let worker = cx.worker();
    let claimed = worker.claim("mail", 10).await;
    for job in &claimed {
        same(
            states(cx, &[whole]).await,
            vec![State::Waiting],
            "a part has not ended",
        );
        worker.settle(job, succeed()).await;
    }
    same(
        worker.take("maps").await.id(),
        whole,
        "all parts have ended",
    );
    let twice = job("mail").build();
    let id = cx.add(twice).await;
    let both = cx.add(job("maps").waits_for([id, id]).build()).await;
    worker.settle(&worker.take("mail").await, succeed()).await;
    same(
        worker.take("maps").await.id(),
        both,
        "named twice, it ends once",
    );
}

/// What a job was to build on is not there.
pub async fn a_failed_wait_cancels_or_runs_as_asked(cx: &Cx) {
    let worker = cx.worker();
    for cancelled in [false, true] {
        let first = cx.add(job("mail").build()).await;
        let stop = cx.add(job("maps").waits_for([first]).build()).await;
        let run = job("maps").waits_for([first]).wait_failed(WaitFailed::Run);
        let run = cx.add(run.build()).await;
        if cancelled {
            cx.ask(first, Control::Cancel).await;
        } else {
            worker.settle(&worker.take("mail").await, die()).await;
        }
        let job = cx.record(stop).await;
        same(
            (job.state, job.reason),
            (State::Cancelled, Some(Reason::Wait(first))),
            "the record says for which job it waited in vain",
        );
        let job = worker.take("maps").await;
        same(job.id(), run, "this one asked to run all the same");
        worker.settle(&job, succeed()).await;
    }
}

/// A thousand jobs in a row: a store that calls itself for each runs out of stack.
pub async fn a_failure_passes_down_a_chain_of_a_thousand(cx: &Cx) {
    let mut chain = vec![job("mail").build()];
    for _ in 0..1000 {
        let before = chain.last().map(|job| job.spec.id);
        chain.push(job("maps").waits_for(before).build());
    }
    let ids = cx.add_all(&chain).await;
    let worker = cx.worker();
    worker.settle(&worker.take("mail").await, die()).await;
    let mut states = states(cx, &ids[1..]).await;
    same(states.len(), 1000, "none disappears");
    states.dedup();
    same(
        states,
        vec![State::Cancelled],
        "each waited for one that failed",
    );
}

/// The job it waits for may have ended before it came.
pub async fn a_wait_for_an_ended_job_is_decided_at_once(cx: &Cx) {
    let worker = cx.worker();
    let done = cx.add(job("mail").build()).await;
    worker.settle(&worker.take("mail").await, succeed()).await;
    let dead = cx.add(job("mail").build()).await;
    worker.settle(&worker.take("mail").await, die()).await;
    let after = cx.add(job("maps").waits_for([done]).build()).await;
    same(
        worker.take("maps").await.id(),
        after,
        "it has nothing to wait for",
    );
    let never = cx.add(job("maps").waits_for([done, dead]).build()).await;
    let job = cx.record(never).await;
    same(
        (job.state, job.reason),
        (State::Cancelled, Some(Reason::Wait(dead))),
        "what it waits for has failed",
    );
    let run = super::fixture::job("maps")
        .waits_for([dead])
        .wait_failed(WaitFailed::Run);
    let run = cx.add(run.build()).await;
    same(
        worker.take("maps").await.id(),
        run,
        "it asked to run all the same",
    );
}

/// A job that waits for nothing that is there would wait for ever.
pub async fn a_wait_for_an_unknown_job_is_refused(cx: &Cx) {
    let known = job("mail").build();
    let nobody = id("mail");
    let bad = job("mail").waits_for([known.spec.id, nobody]).build();
    let good = job("mail").waits_for([known.spec.id]).build();
    let late = job("maps").build();
    let early = job("mail").waits_for([late.spec.id]).build();
    let on_bad = job("mail").waits_for([bad.spec.id]).build();
    let batch = [known, bad.clone(), good, early.clone(), late, on_bad];
    same(
        cx.enqueue(&batch).await,
        vec![
            Enqueued::Inserted,
            Enqueued::UnknownWait(nobody),
            Enqueued::Inserted,
            Enqueued::UnknownWait(batch[4].spec.id),
            Enqueued::Inserted,
            Enqueued::UnknownWait(bad.spec.id),
        ],
        "known are those in the store and those before it in the batch; one bad item changes no other",
    );
    same(cx.find(bad.spec.id).await, None, "it is not inserted");
    same(cx.put(&early).await, Enqueued::Inserted, "now it is known");
}

/// What waits may be given up, and comes back without its waits.
pub async fn a_waiting_job_can_be_cancelled_and_revived(cx: &Cx) {
    let first = cx.add(job("mail").build()).await;
    let second = cx.add(job("maps").waits_for([first]).build()).await;
    same(
        cx.ask(second, Control::Cancel).await,
        None,
        "it does not run",
    );
    same(
        states(cx, &[second]).await,
        vec![State::Cancelled],
        "it ended at once",
    );
    let revive = |select| Control::Revive(select, Start::Now);
    same(
        cx.ask(second, revive).await,
        None,
        "a cancelled job can be run again",
    );
    let worker = cx.worker();
    same(
        worker.take("maps").await.id(),
        second,
        "whoever revives it wants it now",
    );
    worker.settle(&worker.take("mail").await, succeed()).await;
    same(
        states(cx, &[second]).await,
        vec![State::Running],
        "the end of the first is news to nobody",
    );
}

/// Waiting does not make a job early.
pub async fn a_job_that_waited_is_not_started_before_its_time(cx: &Cx) {
    let first = cx.add(job("mail").build()).await;
    let second = job("maps")
        .waits_for([first])
        .delay(Duration::from_secs(600));
    let second = cx.add(second.build()).await;
    let worker = cx.worker();
    worker.settle(&worker.take("mail").await, succeed()).await;
    same(
        states(cx, &[second]).await,
        vec![State::Pending],
        "nothing is left to wait for",
    );
    same(
        worker.claim("maps", 9).await.len(),
        0,
        "it is due in ten minutes",
    );
}
