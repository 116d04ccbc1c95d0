//! What a claim gives: the jobs as they were enqueued, no more than asked, in order.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tideway_engine::Wall;
use tideway_engine::jobs::retry::Retry;
use tideway_engine::jobs::{Id, Record, State};

use super::Cx;
use super::fixture::{id, job, jobs};
use super::worker::{fence, release};
use crate::suite::claim::{fail, holds, same};

/// A handler runs on what was enqueued, or on nothing anyone meant.
pub async fn a_job_is_claimed_as_it_was_enqueued(cx: &Cx) {
    let payload: Vec<u8> = (0..=255).collect();
    let new = job("mail")
        .kind("welcome: ü")
        .band(7)
        .payload(payload)
        .retry(
            Retry::exp(Duration::from_secs(2), 3)
                .full_jitter()
                .attempts(5),
        )
        .strikes(2)
        .timeout(Duration::from_secs(90))
        .expiry(Duration::from_hours(24))
        .keep(Duration::from_secs(61), Duration::from_secs(62))
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .build();
    cx.add(new.clone()).await;
    let worker = cx.worker();
    let claimed = worker.ask(&[("mail", 7)], 1).await.jobs;
    let [job] = &*claimed else {
        fail(
            "one job",
            format!("{claimed:?}"),
            "one was enqueued, due at once",
        )
    };
    same(&job.spec, &new.spec, "the specification never changes");
    same(&job.payload, &new.payload, "a payload is bytes, any bytes");
    same(job.digest, new.digest(), "a repeated enqueue is told by it");
    same(
        (job.state, job.attempt, job.token, job.owner),
        (State::Running, 1, 1, Some(worker.owner)),
        "this is its first claim, and the claimer's",
    );
    same(
        cx.record(job.id()).await,
        job.clone(),
        "`jobs` and `claim` speak of the same record",
    );
}

/// A worker asks for as many as it has free slots.
pub async fn a_claim_takes_at_most_its_limit(cx: &Cx) {
    const WHY: &str = "a job over the limit has no slot, and its lease runs out unstarted";
    let ids = cx.add_all(&jobs("mail", 5)).await;
    let worker = cx.worker();
    same(worker.claim("mail", 0).await.len(), 0, WHY);
    let first = worker.claim("mail", 3).await;
    same(first.len(), 3, WHY);
    let running = cx.records(&ids).await.into_iter().flatten();
    same(
        running.filter(|job| job.state == State::Running).count(),
        3,
        "only what the reply has may be leased",
    );
    same(
        worker.claim("mail", 3).await.len(),
        2,
        "the rest is still there",
    );
    same(worker.claim("mail", 3).await.len(), 0, "nothing is left");
}

/// A worker with little memory asks for few bytes, and yet a large job must not wait for ever.
pub async fn a_claim_takes_at_most_its_bytes_but_at_least_one_job(cx: &Cx) {
    for _ in 0..5 {
        cx.add(job("mail").payload(vec![b'x'; 100]).build()).await;
    }
    let worker = cx.worker();
    for (bytes, expected) in [(250, 2), (99, 1), (0, 1), (1000, 1)] {
        let mut req = worker.req(&[("mail", 0)], 10);
        req.max_bytes = bytes;
        same(
            cx.claim(&req).await.jobs.len(),
            expected,
            &format!("with jobs of 100 bytes and {bytes} allowed"),
        );
    }
    // A checkpoint travels with its job.
    let job = {
        cx.add(job("maps").payload(vec![b'x'; 60]).build()).await;
        worker.take("maps").await
    };
    worker
        .checkpoint(&job, "forty bytes of a checkpoint, more or les")
        .await;
    worker.settle(&job, release()).await;
    cx.add(super::fixture::job("maps").payload(vec![b'x'; 20]).build())
        .await;
    let mut req = worker.req(&[("maps", 0)], 10);
    req.max_bytes = 110;
    let got: Vec<usize> = cx
        .claim(&req)
        .await
        .jobs
        .iter()
        .map(|job| job.payload.len())
        .collect();
    same(
        got.len(),
        1,
        "60 bytes of payload, 40 of progress and 20 more are over 110",
    );
}

/// Lanes share a worker's slots; one must not take those of another.
pub async fn each_lane_gives_at_most_its_own_share(cx: &Cx) {
    cx.add_all(&jobs("mail", 4)).await;
    cx.add_all(&jobs("maps", 4)).await;
    let mut req = cx.worker().req(&[("mail", 0), ("maps", 0)], 10);
    req.lanes[0].1 = 1;
    req.lanes[1].1 = 2;
    let claimed = cx.claim(&req).await.jobs;
    let of = |queue: &str| claimed.iter().filter(|job| job.spec.queue == queue).count();
    same((of("mail"), of("maps")), (1, 2), "the shares were 1 and 2");
}

/// A worker that serves lanes in turn asks each for its share, then all for what is left.
pub async fn a_lane_asked_again_gives_more(cx: &Cx) {
    cx.add_all(&jobs("mail", 4)).await;
    cx.add_all(&jobs("maps", 4)).await;
    let mut req = cx
        .worker()
        .req(&[("mail", 0), ("maps", 0), ("mail", 0), ("maps", 0)], 6);
    req.lanes[0].1 = 1;
    req.lanes[1].1 = 1;
    req.lanes[2].1 = 2;
    let of = |claimed: &[Record], queue: &str| {
        let ours = claimed.iter().filter(|job| job.spec.queue == queue);
        ours.count()
    };
    let claimed = cx.claim(&req).await.jobs;
    same(
        (of(&claimed, "mail"), of(&claimed, "maps")),
        (3, 3),
        "one each, then two of mail, then what the limit leaves of maps",
    );
    let ids = |jobs: &[Record]| -> BTreeSet<Id> { jobs.iter().map(Record::id).collect() };
    let again = cx.claim(&req).await.jobs;
    same(ids(&again), ids(&claimed), "a repeat gives the same jobs");
}

/// The order of lanes is the priority, decided by the worker.
pub async fn lanes_are_served_in_the_order_asked(cx: &Cx) {
    let low = cx.add(job("mail").band(1).build()).await;
    let high = cx.add(job("mail").build()).await;
    let other = cx.add(job("maps").build()).await;
    let worker = cx.worker();
    let lanes = [("maps", 0), ("mail", 1), ("mail", 0)];
    let got: Vec<Id> = worker
        .ask(&lanes, 2)
        .await
        .jobs
        .iter()
        .map(|job| job.id())
        .collect();
    same(
        got,
        vec![other, low],
        "the third lane waits for the first two",
    );
    let got: Vec<Id> = worker
        .ask(&lanes, 2)
        .await
        .jobs
        .iter()
        .map(|job| job.id())
        .collect();
    same(got, vec![high], "it is next");
}

/// Within a lane the earliest due goes first; at the same millisecond the lowest id.
pub async fn a_lane_is_first_in_first_out(cx: &Cx) {
    const WHY: &str = "a lane is ordered by `run_at`, then id";
    let now = cx.now().await;
    let ids: Vec<Id> = (0..6).map(|_| id("mail")).collect();
    // Neither the order of enqueues nor that of ids alone is the order of the lane.
    let due = [(5, 3), (0, 2), (1, 1), (4, 1), (2, 3), (3, 2)];
    for (number, second) in due {
        let at = Wall(now.0 - 10_000 + second * 1000);
        cx.add(job("mail").id(ids[number]).at(at).build()).await;
    }
    let order = [1, 4, 0, 3, 2, 5];
    let worker = cx.worker();
    let mut got = Vec::new();
    for limit in [2, 1, 3] {
        got.extend(worker.claim("mail", limit).await.iter().map(|job| job.id()));
    }
    let expected: Vec<Id> = order.map(|number| ids[number]).into();
    same(got, expected, WHY);
}

/// A claim is for the lanes it names.
pub async fn what_is_not_asked_for_is_not_touched(cx: &Cx) {
    let others = [
        cx.add(job("maps").build()).await,
        cx.add(job("mail").band(1).build()).await,
        cx.add(job("mail2").build()).await,
        cx.add(job("mai").build()).await,
    ];
    let before = cx.records(&others).await;
    let worker = cx.worker();
    same(
        worker.claim("mail", 10).await.len(),
        0,
        "no job is in this lane",
    );
    same(
        worker.claim("nobody", 10).await.len(),
        0,
        "there is no such queue",
    );
    same(
        cx.records(&others).await,
        before,
        "a job of another lane is another worker's",
    );
}

/// The token tells one lease from the next, for ever.
pub async fn every_claim_raises_the_token_by_one(cx: &Cx) {
    let id = cx.add(job("mail").build()).await;
    for token in 1..=4 {
        let worker = cx.worker();
        let job = worker.take_for("mail", cx.short()).await;
        same(
            job.token,
            token,
            "+1 for each claim, whatever ended the one before",
        );
        match token {
            1 => worker.settle(&job, release()).await,
            2 => {
                worker
                    .settle(&job, super::worker::retry(Duration::ZERO))
                    .await
            }
            _ => {
                cx.lapse().await;
                worker.settle(&job, super::worker::crash(false)).await
            }
        };
        same(
            cx.record(id).await.token,
            token,
            "what ends a lease keeps its token: a repeat is recognised by it",
        );
    }
}

/// A worker sleeps until then.
pub async fn a_claim_says_when_the_next_job_is_due(cx: &Cx) {
    let worker = cx.worker();
    let lanes = [("mail", 0), ("mail", 1)];
    same(
        worker.ask(&lanes, 1).await.next_due,
        None,
        "no job, no time",
    );
    let now = cx.now().await;
    let at = |hours: i64| Wall(now.0 + hours * 3_600_000);
    cx.add(job("mail").at(at(2)).build()).await;
    cx.add(job("maps").at(at(-1)).build()).await;
    same(
        worker.ask(&lanes, 1).await.next_due,
        Some(at(2)),
        "the only job of these lanes; other lanes do not count",
    );
    cx.add(job("mail").band(1).at(at(1)).build()).await;
    same(
        worker.ask(&lanes, 1).await.next_due,
        Some(at(1)),
        "the earliest of all lanes asked",
    );
    cx.add_all(&[
        job("mail").at(at(-3)).build(),
        job("mail").at(at(-2)).build(),
    ])
    .await;
    let claimed = worker.ask(&lanes, 1).await;
    same(claimed.jobs.len(), 1, "one of the two is claimed");
    same(
        claimed.next_due,
        Some(at(-2)),
        "a time in the past says that more could have been claimed",
    );
    same(
        worker.ask(&lanes, 1).await.next_due,
        Some(at(1)),
        "running jobs do not count",
    );
}

/// A lost reply is neither a crash nor a loss.
pub async fn a_repeated_claim_returns_the_same_jobs(cx: &Cx) {
    const WHY: &str = "the first reply may be lost; what it leased must not be";
    cx.add_all(&jobs("mail", 5)).await;
    let worker = cx.worker();
    let req = worker.req(&[("mail", 0)], 3);
    let first = cx.claim(&req).await.jobs;
    same(first.len(), 3, "three were asked for");
    let again = cx.claim(&req).await.jobs;
    let leases = |jobs: &[tideway_engine::jobs::Record]| -> Vec<_> {
        jobs.iter().map(|job| (job.id(), fence(job))).collect()
    };
    same(leases(&again), leases(&first), WHY);
    same(
        again
            .iter()
            .map(|job| job.payload.clone())
            .collect::<Vec<Bytes>>(),
        first
            .iter()
            .map(|job| job.payload.clone())
            .collect::<Vec<Bytes>>(),
        "the repeat is all the worker has",
    );
    worker.settle(&first[0], super::worker::succeed()).await;
    same(
        leases(&cx.claim(&req).await.jobs),
        leases(&first[1..]),
        "what has ended since is not leased any more",
    );
    same(
        worker.claim("mail", 9).await.len(),
        2,
        "the repeats claimed nothing more",
    );
}

/// An old request that was slow on the way comes when its caller has long gone on.
pub async fn an_older_claim_takes_nothing(cx: &Cx) {
    cx.add_all(&jobs("mail", 4)).await;
    let worker = cx.worker();
    let old = worker.req(&[("mail", 0)], 1);
    cx.claim(&old).await;
    let newer = worker.claim("mail", 1).await;
    same(newer.len(), 1, "the second claim is a new one");
    same(
        cx.claim(&old).await.jobs.len(),
        0,
        "nobody waits for this reply: its jobs would be orphans",
    );
    let other = cx.worker();
    same(
        other.claim("mail", 9).await.len(),
        2,
        "another incarnation counts from 1 again, and nothing was lost",
    );
}

/// The newest claim is the newest, even if it found nothing.
pub async fn a_claim_that_found_nothing_counts_too(cx: &Cx) {
    let worker = cx.worker();
    let (old, newest) = (worker.req(&[("mail", 0)], 1), worker.req(&[("mail", 0)], 1));
    same(cx.claim(&newest).await.jobs.len(), 0, "there is no job yet");
    cx.add(job("mail").build()).await;
    same(
        cx.claim(&old).await.jobs.len(),
        0,
        "it is older than one already answered: nobody waits for the reply",
    );
    same(
        cx.claim(&newest).await.jobs.len(),
        0,
        "a repeat returns what the first reply had, which was nothing",
    );
    let third = worker.claim("mail", 1).await;
    holds(
        third.len() == 1,
        "the job is claimed by the next one",
        format!("{third:?}"),
        "the job must not be lost between the two",
    );
}
