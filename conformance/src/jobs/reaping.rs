//! Leases that run out, and the jobs of those who died.

use std::collections::BTreeSet;
use std::time::Duration;

use tideway_engine::jobs::call::{Expired, Settle, Settled};
use tideway_engine::jobs::{Fence, Id, Kind, Outcome, Owner, Reason, Record, SUSPECT, State};

use super::cx::LONG;
use super::fixture::{job, jobs};
use super::worker::{crash, end, fence, outcomes};
use super::{Cx, paging};
use crate::suite::claim::{holds, same};

/// The reaper acts on what it is shown: a live lease there kills a live job.
pub async fn only_lapsed_leases_are_listed_as_expired(cx: &Cx) {
    let worker = cx.worker();
    cx.add_all(&jobs("mail", 2)).await;
    cx.add(job("mail").delay(Duration::from_secs(600)).build())
        .await;
    let lapsed = worker.lease("mail", 1, cx.short()).await;
    worker.lease("mail", 1, LONG).await;
    cx.lapse().await;
    let listed = paging::expired(cx, 10).await;
    let shown: Vec<_> = listed
        .iter()
        .map(|lease| {
            (
                lease.id,
                lease.fence,
                lease.lease,
                lease.lease_until,
                lease.abandoned,
            )
        })
        .collect();
    let expected: Vec<_> = lapsed
        .iter()
        .map(|job| (job.id(), fence(job), job.lease, job.lease_until, false))
        .collect();
    same(
        shown,
        expected,
        "one lease has run out, one has not, one job is not leased",
    );
}

/// Behind a full page of leases that the reaper leaves alone there are others.
pub async fn pages_of_expired_leases_lose_none(cx: &Cx) {
    let ids = lapsed(cx, 23).await;
    let listed: Vec<Id> = paging::expired(cx, 4)
        .await
        .iter()
        .map(|lease| lease.id)
        .collect();
    same(listed, ids, "each once, by id");
}

/// Reaping a page takes its leases out of the listing; the next page must not skip any for it.
pub async fn pages_of_expired_leases_lose_none_while_they_are_reaped(cx: &Cx) {
    let ids = lapsed(cx, 23).await;
    let listed = paging::expired_with(cx, 4, &|page| {
        let settles: Vec<_> = page
            .iter()
            .map(|lease| Settle::new(lease.id, lease.fence, crash(false)))
            .collect();
        Box::pin(async move {
            for settle in settles {
                same(
                    cx.settle(&[settle]).await[0],
                    Settled::Applied(Kind::Crash),
                    "the lease has run out",
                );
            }
        })
    })
    .await;
    let listed: Vec<Id> = listed.iter().map(|lease| lease.id).collect();
    same(listed, ids, "each once, by id");
    same(paging::expired(cx, 4).await, vec![], "all are reaped");
}

async fn lapsed(cx: &Cx, count: u32) -> Vec<Id> {
    let ids = cx.add_all(&jobs("mail", count as usize)).await;
    let claimed = cx.worker().lease("mail", count, cx.short()).await;
    same(claimed.len(), ids.len(), "all are due");
    cx.lapse().await;
    ids
}

/// Who died in company is a suspect, who died alone is guilty: the reaper has to know the company.
pub async fn an_expired_lease_tells_its_company(cx: &Cx) {
    // One job has crashed before, alone.
    let first = cx.add(job("mail").build()).await;
    let worker = cx.worker();
    let alone = worker.take_for("mail", cx.short()).await;
    cx.lapse().await;
    let listed = paging::expired(cx, 10).await;
    same(
        listed
            .iter()
            .map(|lease| (lease.id, lease.crashes, lease.peers_at_or_above))
            .collect(),
        vec![(first, 0, 0)],
        "it was alone",
    );
    worker.settle(&alone, crash(true)).await;
    // Now it dies together with two that have not.
    cx.add_all(&jobs("mail", 2)).await;
    let together = cx.worker();
    let mut req = together.req(&[("mail", 0), ("mail", SUSPECT)], 3);
    req.lease = cx.short();
    let claimed = cx.claim(&req).await.jobs;
    same(claimed.len(), 3, "all are due");
    cx.lapse().await;
    let company = |listed: &[Expired]| -> Vec<(u32, u32)> {
        let mut all: Vec<_> = listed
            .iter()
            .map(|lease| (lease.crashes, lease.peers_at_or_above))
            .collect();
        all.sort_unstable();
        all
    };
    same(
        company(&paging::expired(cx, 10).await),
        vec![(0, 2), (0, 2), (1, 0)],
        "two others have as many crashes as none; none other has one",
    );
    let innocent = claimed.iter().find(|job| job.id() != first);
    if let Some(job) = innocent {
        together.settle(job, crash(false)).await;
    }
    same(
        company(&paging::expired(cx, 10).await),
        vec![(0, 2), (1, 0)],
        "one that was reaped a moment ago was in the company all the same",
    );
}

/// A late beat and a stale page must not kill a live job.
pub async fn a_crash_needs_a_lapsed_lease(cx: &Cx) {
    let worker = cx.worker();
    cx.add(job("mail").build()).await;
    let claimed = worker.take("mail").await;
    for outcome in [crash(false), crash(true), Outcome::Lapsed] {
        let shown = format!("{outcome:?}");
        same(
            worker.settle(&claimed, outcome).await,
            Settled::Refused,
            &format!("{shown} of a lease that has not run out"),
        );
        same(
            cx.record(claimed.id()).await,
            claimed.clone(),
            "it changes no byte",
        );
    }
}

/// A rescue by id alone would end the lease of whoever holds the job now.
pub async fn a_crash_of_another_lease_is_fenced(cx: &Cx) {
    let worker = cx.worker();
    cx.add(job("mail").build()).await;
    let claimed = worker.take_for("mail", cx.short()).await;
    cx.lapse().await;
    let mut settle = end(&claimed, crash(false));
    for wrong in [
        Fence {
            token: claimed.token + 1,
            ..settle.fence
        },
        Fence {
            owner: Owner(7),
            ..settle.fence
        },
    ] {
        settle.fence = wrong;
        same(
            cx.settle(std::slice::from_ref(&settle)).await[0],
            Settled::Fenced,
            "this is not the lease that ran out",
        );
        same(
            cx.record(claimed.id()).await,
            claimed.clone(),
            "it changes no byte",
        );
    }
}

/// A job that took a process down waits apart, so that it cannot take others with it.
pub async fn a_crashed_job_waits_among_the_suspects_only(cx: &Cx) {
    let worker = cx.worker();
    let id = cx.add(job("mail").band(4).build()).await;
    let mut req = worker.req(&[("mail", 4)], 1);
    req.lease = cx.short();
    let claimed = cx.claim(&req).await.jobs;
    cx.lapse().await;
    for job in &claimed {
        worker.settle(job, crash(true)).await;
    }
    let job = cx.record(id).await;
    same(
        (
            job.state,
            job.crashes,
            job.strikes,
            job.failures,
            job.attempt,
        ),
        (State::Pending, 1, 1, 0, 1),
        "a crash is counted apart from failures, and its attempt counts",
    );
    same(
        worker.ask(&[("mail", 4), ("mail", 0)], 9).await.jobs.len(),
        0,
        "it is in no band that others are in",
    );
    let again = worker.ask(&[("mail", SUSPECT)], 9).await.jobs;
    same(
        again.iter().map(|job| (job.id(), job.spec.band)).collect(),
        vec![(id, 4)],
        "it is in the lane of suspects, and its band is what was enqueued",
    );
}

/// A job that kills every process it runs in must not run for ever.
pub async fn the_last_strike_buries_a_job(cx: &Cx) {
    let worker = cx.worker();
    let id = cx.add(job("mail").strikes(2).build()).await;
    for kind in [Kind::Crash, Kind::Bury] {
        let job = worker.take_for("mail", cx.short()).await;
        cx.lapse().await;
        same(
            worker.settle(&job, crash(true)).await,
            Settled::Applied(kind),
            "two strikes are allowed",
        );
    }
    let job = cx.record(id).await;
    same(
        (job.state, job.reason, job.strikes),
        (State::Dead, Some(Reason::Crash), 2),
        "it stays visible, with the reason",
    );
}

/// A job that gets further each time is not the one that kills.
pub async fn progress_starts_the_count_of_crashes_anew(cx: &Cx) {
    let worker = cx.worker();
    let id = cx.add(job("mail").strikes(2).build()).await;
    for (progress, crashes) in [("page 1", 1), ("page 2", 1), ("page 2", 2)] {
        let job = worker.take("mail").await;
        worker.checkpoint(&job, progress).await;
        worker.beat(&job, cx.short()).await;
        cx.lapse().await;
        let listed: Vec<u32> = paging::expired(cx, 9)
            .await
            .iter()
            .map(|lease| lease.crashes)
            .collect();
        same(
            listed,
            vec![crashes - 1],
            "the reaper is told the count as it counts: none if the progress moved since",
        );
        worker.settle(&job, crash(false)).await;
        same(
            cx.record(id).await.crashes,
            crashes,
            &format!("progress is {progress:?}; the same bytes again are no progress"),
        );
    }
}

/// Jobs that nobody claims twice: every outcome frees the lease, and no lease is listed for it.
pub async fn an_ended_lease_never_expires(cx: &Cx) {
    let worker = cx.worker();
    let mut seen = BTreeSet::new();
    for outcome in outcomes() {
        let id = cx.add(job("mail").build()).await;
        let job: Record = worker.take_for("mail", cx.short()).await;
        worker.settle(&job, outcome).await;
        seen.insert(id);
    }
    cx.lapse().await;
    let listed = paging::expired(cx, 10).await;
    holds(
        listed
            .iter()
            .all(|lease| lease.abandoned && seen.contains(&lease.id))
            && listed.len() == 1,
        "the abandoned one alone",
        format!("{listed:?}"),
        "a lease that was settled is nobody's to reap",
    );
}
