//! Hints, so that workers need not look all the time.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tideway::jobs::JobStore;
use tideway_engine::Wall;
use tideway_engine::jobs::Id;
use tideway_engine::jobs::call::{Control, CronCas, Wake};
use tideway_engine::jobs::cron::Cell;

use super::fixture::{job, name};
use super::wait::within;
use super::worker::{end, succeed};
use super::{Cx, Worker};
use crate::suite::claim::fail;

/// A worker without a hint looks every few seconds; later than this it is none.
const SOON: Duration = Duration::from_secs(3);

type Hints = Pin<Box<dyn Stream<Item = Wake> + Send>>;

fn listen(cx: &Cx, worker: &Worker<'_>) -> Hints {
    cx.store().wakeups(worker.owner)
}

/// Waits for a hint that `wanted` likes; others may come before.
async fn hint(hints: &mut Hints, expected: &str, wanted: impl Fn(&Wake) -> bool) {
    let mut others = Vec::new();
    let found = within(SOON, async {
        while let Some(wake) = hints.next().await {
            if wanted(&wake) {
                return true;
            }
            others.push(wake);
        }
        false
    })
    .await;
    let ended = match found {
        Some(true) => return,
        Some(false) => " and the end of the stream",
        None => "",
    };
    fail(
        format!("a hint of {expected} within {SOON:?}"),
        format!("{others:?}{ended}"),
        "without it the worker sleeps until it looks by itself, seconds later",
    )
}

async fn queue(hints: &mut Hints, of: &str) {
    let wanted = |wake: &Wake| matches!(wake, Wake::Queue(queue) if queue == of);
    hint(hints, &format!("the queue {of:?}"), wanted).await;
}

/// The second job finds the first in the queue; its hint is as good as any.
pub async fn a_hint_follows_every_enqueue(cx: &Cx) {
    let worker = cx.worker();
    let mut hints = listen(cx, &worker);
    for _ in 0..3 {
        cx.add(job("mail").build()).await;
        queue(&mut hints, "mail").await;
    }
    worker.claim("mail", 1).await;
    cx.add(job("mail").build()).await;
    queue(&mut hints, "mail").await;
}

/// A worker that sleeps until noon must hear of a job for eleven.
pub async fn a_hint_follows_the_enqueue_of_a_later_job(cx: &Cx) {
    let worker = cx.worker();
    let mut hints = listen(cx, &worker);
    cx.add(job("mail").delay(Duration::from_secs(60)).build())
        .await;
    queue(&mut hints, "mail").await;
}

/// A job inserted with a settle is a job like any other.
pub async fn a_hint_follows_jobs_that_come_with_a_settle(cx: &Cx) {
    let (one, other) = (cx.worker(), cx.worker());
    cx.add(job("mail").build()).await;
    let claimed = one.take("mail").await;
    let mut hints = listen(cx, &other);
    let mut settle = end(&claimed, succeed());
    settle.then = vec![job("maps").build()];
    cx.settle(&[settle]).await;
    queue(&mut hints, "maps").await;
}

/// Whoever wins a slot may have no room for its job.
pub async fn a_hint_follows_the_jobs_of_a_slot(cx: &Cx) {
    if !cx.caps().cron {
        return;
    }
    let worker = cx.worker();
    let mut hints = listen(cx, &worker);
    let cas = CronCas {
        key: name("report"),
        prev: None,
        next: Cell {
            slot: Wall(1000),
            rev: 1,
            spec: "@daily UTC vixie".into(),
            last_job: None,
        },
        jobs: vec![job("mail").build()],
    };
    cx.cron_cas(&cas).await;
    queue(&mut hints, "mail").await;
}

/// Any of them may be the one with a free slot.
pub async fn every_worker_hears_the_hint(cx: &Cx) {
    let (one, other) = (cx.worker(), cx.worker());
    let (mut first, mut second) = (listen(cx, &one), listen(cx, &other));
    cx.add(job("mail").build()).await;
    queue(&mut first, "mail").await;
    queue(&mut second, "mail").await;
}

/// A person who cancels waits for the job to stop, and not for the next beat.
pub async fn a_cancel_request_reaches_the_owner(cx: &Cx) {
    let worker = cx.worker();
    let mut hints = listen(cx, &worker);
    cx.add(job("mail").build()).await;
    let claimed = worker.take("mail").await;
    cx.ask(claimed.id(), Control::Cancel).await;
    let wanted = |wake: &Wake| matches!(wake, Wake::Cancel(ids) if ids.contains(&claimed.id()));
    hint(
        &mut hints,
        &format!("a cancel request for {}", Id::to_string(&claimed.id())),
        wanted,
    )
    .await;
}

/// A paused queue that goes on has jobs that are due.
pub async fn a_hint_follows_a_resume(cx: &Cx) {
    let worker = cx.worker();
    cx.control(Control::Pause(name("mail"))).await;
    cx.add(job("mail").build()).await;
    let mut hints = listen(cx, &worker);
    cx.control(Control::Resume(name("mail"))).await;
    queue(&mut hints, "mail").await;
}
