//! Leases that are extended, and beats that come too late.

use std::time::Duration;

use tideway_engine::jobs::call::{Beat, Beaten, Control, Settled};
use tideway_engine::jobs::{Fence, State};

use super::cx::LONG;
use super::fixture::{id, job, jobs, owner};
use super::worker::{crash, die, fence, release, retry, succeed};
use super::{Cx, paging};
use crate::suite::claim::same;

const ALIVE: Beaten = Beaten::Alive { cancel: false };

/// A job may take longer than its lease, as long as its worker lives.
pub async fn a_beat_extends_the_lease(cx: &Cx) {
    let worker = cx.worker();
    let id = cx.add(job("mail").build()).await;
    let claimed = worker.take_for("mail", cx.short()).await;
    same(
        worker.beat(&claimed, LONG).await,
        ALIVE,
        "the lease is current",
    );
    cx.lapse().await;
    same(
        paging::expired(cx, 10).await,
        vec![],
        "the beat extended it",
    );
    same(
        worker.settle(&claimed, crash(false)).await,
        Settled::Refused,
        "a stale page of the reaper must not kill a live job",
    );
    let job = cx.record(id).await;
    same(
        (job.state, job.token, job.lease),
        (State::Running, claimed.token, LONG),
        "it runs under the same lease, only longer",
    );
}

/// A worker that was slow for a moment has not died.
pub async fn a_beat_revives_a_lapsed_lease_nobody_reaped(cx: &Cx) {
    let worker = cx.worker();
    cx.add(job("mail").build()).await;
    let claimed = worker.take_for("mail", cx.short()).await;
    cx.lapse().await;
    same(
        paging::expired(cx, 10).await.len(),
        1,
        "the lease has run out",
    );
    same(
        worker.beat(&claimed, LONG).await,
        ALIVE,
        "nobody has claimed the job since: its handler may go on",
    );
    same(
        paging::expired(cx, 10).await,
        vec![],
        "it is extended again",
    );
    same(
        worker.settle(&claimed, crash(false)).await,
        Settled::Refused,
        "the reaper read its page before the beat",
    );
}

/// A worker must hear that its lease is lost, and must not extend another's.
pub async fn a_beat_of_another_lease_is_lost(cx: &Cx) {
    let worker = cx.worker();
    let known = cx.add(job("mail").build()).await;
    let claimed = worker.take("mail").await;
    let right = fence(&claimed);
    let wrong = [
        (
            known,
            Fence {
                token: right.token + 1,
                ..right
            },
        ),
        (
            known,
            Fence {
                token: right.token - 1,
                ..right
            },
        ),
        (
            known,
            Fence {
                owner: owner(),
                ..right
            },
        ),
        (id("mail"), right),
    ];
    for (id, fence) in wrong {
        let beat = Beat {
            id,
            fence,
            progress: Some("of a zombie".into()),
        };
        same(
            cx.heartbeat(&[beat], 2 * LONG).await[0],
            Beaten::Lost,
            &format!("{fence:?} of {id} is not the current lease {right:?} of {known}"),
        );
        same(
            cx.record(known).await,
            claimed.clone(),
            "a lost beat changes no byte",
        );
    }
}

/// An ended job has ended; a beat that was under way comes too late.
pub async fn a_beat_never_resurrects_an_ended_job(cx: &Cx) {
    let worker = cx.worker();
    for outcome in [succeed(), die(), retry(Duration::from_secs(60)), release()] {
        let shown = format!("{outcome:?}");
        let id = cx.add(job("mail").build()).await;
        let claimed = worker.take("mail").await;
        worker.settle(&claimed, outcome).await;
        let before = cx.record(id).await;
        same(
            worker.checkpoint(&claimed, "too late").await,
            Beaten::Lost,
            &format!("the lease ended with {shown}"),
        );
        same(&cx.record(id).await, &before, "it changes no byte");
        if before.state == State::Pending {
            // Out of the way of the next.
            cx.ask(id, Control::Cancel).await;
        }
    }
}

/// The worker of a job hears at its next beat that someone asked it to stop.
pub async fn a_beat_tells_of_a_cancel_request(cx: &Cx) {
    let worker = cx.worker();
    cx.add_all(&jobs("mail", 2)).await;
    let claimed = worker.claim("mail", 2).await;
    cx.ask(claimed[1].id(), Control::Cancel).await;
    same(
        worker.beat(&claimed[0], LONG).await,
        ALIVE,
        "nobody asked this one to stop",
    );
    for _ in 0..2 {
        same(
            worker.beat(&claimed[1], LONG).await,
            Beaten::Alive { cancel: true },
            "every beat says so: one reply may be lost",
        );
    }
}
