//! How a lease ends: each outcome gives the record that `step` says, once.

use std::time::Duration;

use bytes::Bytes;
use tideway_engine::jobs::call::{Control, Settled};
use tideway_engine::jobs::{Failure, Kind, Outcome, Reason, Record, State};

use super::Cx;
use super::fixture::job;
use super::worker::{die, end, release, retry, stepped, succeed, timeless};
use crate::suite::claim::{holds, same};

/// Claims a fresh job, settles it, and gives the record; fails unless it is as `step` says.
async fn settled(cx: &Cx, outcome: Outcome, kind: Kind) -> Record {
    let worker = cx.worker();
    let id = cx.add(job("mail").payload("body").build()).await;
    let claimed = worker.take("mail").await;
    cx.pass(Duration::from_millis(20)).await;
    let settle = end(&claimed, outcome);
    let now = cx.now().await;
    same(
        cx.settle(std::slice::from_ref(&settle)).await[0],
        Settled::Applied(kind),
        "the lease is current",
    );
    let expected = stepped(&claimed, &settle, now);
    let record = cx.record(id).await;
    if cx.clock().is_some() {
        same(&record, &expected, "this is what `step` makes of it");
    } else {
        same(
            timeless(record.clone()),
            timeless(expected),
            "this is what `step` makes of it, times apart",
        );
        holds(
            record.run_at >= claimed.run_at,
            "a `run_at` that does not go back",
            format!("{record:?}"),
            "a job is late rather than early",
        );
    }
    record
}

/// The job is done, and its payload need not be kept.
pub async fn a_success_is_recorded_with_its_result(cx: &Cx) {
    let result = Bytes::from_static(b"\x00done\xff");
    let job = settled(cx, Outcome::Succeeded(result.clone()), Kind::Succeed).await;
    same(job.state, State::Succeeded, "it ended well");
    same(job.result, result, "whoever waits for it reads this");
    same(job.payload.len(), 0, "a success drops the payload");
    same(
        job.ended_at.is_some(),
        true,
        "its retention counts from here",
    );
}

/// A failed attempt is counted, and the next one comes after the backoff.
pub async fn a_retry_is_due_after_its_backoff(cx: &Cx) {
    let after = Duration::from_secs(3600);
    let before = cx.now().await;
    let job = settled(cx, retry(after), Kind::Retry).await;
    same(
        (job.state, job.attempt, job.failures),
        (State::Pending, 1, 1),
        "the attempt counts, and there will be another",
    );
    holds(
        job.run_at.0 >= before.0 + 3_600_000,
        "due an hour later",
        format!("{:?} after {before:?}", job.run_at),
        "the backoff protects whatever fails",
    );
    same(&*job.errors[0].text, "it failed", "someone will ask why");
    same(
        cx.worker().claim("mail", 9).await.len(),
        0,
        "it is not due before",
    );
}

/// A job that cannot work is kept, with the reason.
pub async fn a_dead_job_stays_visible(cx: &Cx) {
    let job = settled(cx, die(), Kind::Die).await;
    same(
        (job.state, job.reason),
        (State::Dead, Some(Reason::Fatal)),
        "a person decides what becomes of it",
    );
    same(&*job.payload, &b"body"[..], "it may be run again");
    same(
        cx.worker().claim("mail", 9).await.len(),
        0,
        "it is in no lane",
    );
}

/// It was asked to stop and did.
pub async fn a_stopped_job_is_cancelled(cx: &Cx) {
    let job = settled(cx, Outcome::Cancelled, Kind::Stop).await;
    same(
        (job.state, job.reason),
        (State::Cancelled, Some(Reason::Asked)),
        "it did as it was asked",
    );
}

/// A handler that finds the time not right has not failed.
pub async fn a_snooze_refunds_the_attempt(cx: &Cx) {
    let job = settled(cx, Outcome::Snoozed(Duration::from_secs(60)), Kind::Snooze).await;
    same(
        (job.state, job.attempt, job.snoozes, job.failures),
        (State::Pending, 0, 1, 0),
        "put off, not failed",
    );
}

/// A job that was never started has lost nothing.
pub async fn a_release_refunds_the_attempt(cx: &Cx) {
    let job = settled(cx, release(), Kind::Release).await;
    same(
        (job.state, job.attempt, job.returns),
        (State::Pending, 0, 0),
        "given back as it was",
    );
    let next = cx.worker().take("mail").await;
    same(
        (next.attempt, next.token),
        (1, 2),
        "the first attempt, under a new lease",
    );
    let unknown = Outcome::Released {
        after: Duration::from_secs(1),
        unknown: true,
    };
    same(
        settled(cx, unknown, Kind::Release).await.returns,
        1,
        "a kind that nobody knows must not be claimed in a hot loop",
    );
}

/// The handler may still run: nobody else may start the job before its lease runs out.
pub async fn an_abandoned_job_runs_until_its_lease_is_out(cx: &Cx) {
    let worker = cx.worker();
    let id = cx.add(job("mail").build()).await;
    let claimed = worker.take_for("mail", cx.short()).await;
    same(
        worker.settle(&claimed, Outcome::Abandoned).await,
        Settled::Applied(Kind::Abandon),
        "the lease is current",
    );
    same(
        cx.record(id).await.state,
        State::Running,
        "its handler may still run",
    );
    cx.lapse().await;
    let expired = super::paging::expired(cx, 10).await;
    same(
        expired
            .iter()
            .map(|lease| (lease.id, lease.abandoned))
            .collect(),
        vec![(id, true)],
        "the reaper is told that it is no crash",
    );
    same(
        worker.settle(&claimed, Outcome::Lapsed).await,
        Settled::Applied(Kind::Lapse),
        "its lease has run out",
    );
    let job = cx.record(id).await;
    same(
        (job.state, job.attempt, job.crashes),
        (State::Pending, 0, 0),
        "a stop is no crash, and the attempt is refunded",
    );
    same(
        cx.worker().claim("mail", 9).await.len(),
        1,
        "it waits in its own lane, not among the suspects",
    );
}

/// A job and what follows it are one: neither is there without the other, and both once.
pub async fn follow_up_jobs_are_inserted_once_with_a_success(cx: &Cx) {
    let worker = cx.worker();
    cx.add(job("mail").build()).await;
    let claimed = worker.take("mail").await;
    let (next, later) = (job("maps").build(), job("mail").band(3).build());
    let mut settle = end(&claimed, succeed());
    settle.then = vec![next.clone(), later.clone()];
    let settle = [settle];
    same(
        cx.settle(&settle).await[0],
        Settled::Applied(Kind::Succeed),
        "the lease is current",
    );
    let inserted = cx.records(&[next.spec.id, later.spec.id]).await;
    same(
        inserted
            .iter()
            .flatten()
            .map(|job| job.state)
            .collect::<Vec<_>>(),
        vec![State::Pending; 2],
        "they came with the success",
    );
    let first = worker.take("maps").await;
    worker.settle(&first, die()).await;
    let before = cx.record(first.id()).await;
    same(
        cx.settle(&settle).await[0],
        Settled::Already(Kind::Succeed),
        "a repeat",
    );
    same(
        cx.record(first.id()).await,
        before,
        "they are inserted once",
    );
}

/// A checkpoint is what a retry goes on from.
pub async fn progress_is_kept_over_retries(cx: &Cx) {
    let worker = cx.worker();
    cx.add(job("mail").build()).await;
    let job = worker.take("mail").await;
    worker.checkpoint(&job, "page 1").await;
    worker.settle(&job, retry(Duration::ZERO)).await;
    let job = worker.take("mail").await;
    same(&*job.progress, &b"page 1"[..], "the beat brought it");
    let mut settle = end(&job, retry(Duration::ZERO));
    settle.progress = Some(Bytes::from_static(b"page 2"));
    cx.settle(&[settle]).await;
    let job = worker.take("mail").await;
    same(&*job.progress, &b"page 2"[..], "the settle brought it");
}

/// Who asked for an end gets one: a retry would start the job again.
pub async fn a_cancel_request_overrides_what_would_put_the_job_back(cx: &Cx) {
    let snooze = Outcome::Snoozed(Duration::ZERO);
    for outcome in [retry(Duration::ZERO), snooze, release()] {
        let worker = cx.worker();
        let id = cx.add(job("mail").build()).await;
        let claimed = worker.take("mail").await;
        same(
            cx.ask(id, Control::Cancel).await,
            None,
            "a running job is asked to stop",
        );
        let shown = format!("{outcome:?} after a cancel request");
        same(
            worker.settle(&claimed, outcome).await,
            Settled::Applied(Kind::Stop),
            &shown,
        );
        let job = cx.record(id).await;
        same(
            (job.state, job.reason),
            (State::Cancelled, Some(Reason::Asked)),
            &shown,
        );
    }
    let worker = cx.worker();
    cx.add(job("mail").build()).await;
    let claimed = worker.take("mail").await;
    cx.ask(claimed.id(), Control::Cancel).await;
    same(
        worker.settle(&claimed, succeed()).await,
        Settled::Applied(Kind::Succeed),
        "it was done before it could stop",
    );
}

/// The newest failures tell most, and a record must not grow without bound.
pub async fn the_last_eight_errors_are_kept(cx: &Cx) {
    let worker = cx.worker();
    let id = cx.add(job("mail").build()).await;
    let text = |attempt: u32| format!("{attempt}: {}", "é\n".repeat(400));
    for attempt in 1..=10 {
        let claimed = worker.take("mail").await;
        let outcome = Outcome::Retry {
            after: Duration::ZERO,
            failure: Failure::new(text(attempt)),
        };
        worker.settle(&claimed, outcome).await;
    }
    let errors = cx.record(id).await.errors;
    let attempts: Vec<u32> = errors.iter().map(|error| error.attempt).collect();
    same(attempts, (3..=10).collect(), "the last eight, oldest first");
    for error in errors {
        same(
            &error.text,
            &Failure::new(text(error.attempt)).text,
            "a text is kept as it came, up to 1 KiB",
        );
    }
}
