//! Many items in one call: each as if it were alone.

use std::time::Duration;

use bytes::Bytes;
use tideway_engine::jobs::call::{Beat, Beaten, Enqueued, Settled};
use tideway_engine::jobs::{Id, Kind, Outcome, Record, State};

use super::Cx;
use super::cx::LONG;
use super::fixture::{id, job, jobs, owner};
use super::worker::{crash, die, end, fence, release, retry, succeed, timeless};
use crate::suite::claim::{holds, same};

/// A caller tells outcomes apart by their place.
pub async fn outcomes_of_a_batch_come_in_its_order(cx: &Cx) {
    let known = job("mail").build();
    cx.add(known.clone()).await;
    let mut conflict = known.clone();
    conflict.payload = Bytes::from_static(b"another");
    let (first, last) = (job("mail").build(), job("maps").build());
    let batch = [
        first.clone(),
        known.clone(),
        conflict,
        last.clone(),
        last.clone(),
    ];
    same(
        cx.enqueue(&batch).await,
        vec![
            Enqueued::Inserted,
            Enqueued::Duplicate,
            Enqueued::IdConflict,
            Enqueued::Inserted,
            Enqueued::Duplicate,
        ],
        "one outcome each, in order; an item sees those before it",
    );
    let ids = [last.spec.id, id("mail"), first.spec.id];
    let found: Vec<Option<Id>> = cx
        .records(&ids)
        .await
        .iter()
        .map(|job| job.as_ref().map(Record::id))
        .collect();
    same(
        found,
        vec![Some(ids[0]), None, Some(ids[2])],
        "`jobs` answers in the order asked",
    );
}

/// One job that cannot be inserted must not keep the others out, nor undo them.
pub async fn a_bad_job_changes_nothing_for_its_neighbours(cx: &Cx) {
    let known = job("mail").build();
    cx.add(known.clone()).await;
    let mut conflict = known;
    conflict.payload = Bytes::from_static(b"another");
    let good = jobs("mail", 4);
    let batch = [
        good[0].clone(),
        good[1].clone(),
        conflict.clone(),
        good[2].clone(),
        conflict,
        good[3].clone(),
    ];
    let inserted = cx
        .enqueue(&batch)
        .await
        .iter()
        .filter(|outcome| **outcome == Enqueued::Inserted)
        .count();
    same(inserted, 4, "four are good");
    let ids: Vec<Id> = good.iter().map(|job| job.spec.id).collect();
    same(
        cx.records(&ids).await.iter().flatten().count(),
        4,
        "what is said to be inserted is there",
    );
    same(
        cx.worker().claim("mail", 9).await.len(),
        5,
        "the four, and the one that was there before",
    );
}

/// One lost lease must not keep the others from ending.
pub async fn a_fenced_settle_changes_nothing_for_its_neighbours(cx: &Cx) {
    let worker = cx.worker();
    let ids = cx.add_all(&jobs("mail", 5)).await;
    let claimed = worker.claim("mail", 5).await;
    let mut settles: Vec<_> = claimed.iter().map(|job| end(job, succeed())).collect();
    settles[1].fence.owner = owner();
    settles[2].id = id("mail");
    settles[3].outcome = crash(false);
    let done = Settled::Applied(Kind::Succeed);
    same(
        cx.settle(&settles).await,
        vec![
            done,
            Settled::Fenced,
            Settled::NotFound,
            Settled::Refused,
            done,
        ],
        "one outcome each, in order",
    );
    let states: Vec<State> = cx
        .records(&ids)
        .await
        .iter()
        .flatten()
        .map(|job| job.state)
        .collect();
    let (ended, running) = (State::Succeeded, State::Running);
    same(
        states,
        vec![ended, running, running, running, ended],
        "the good ones have ended, the others run on",
    );
}

/// One lost lease must not cost the others theirs.
pub async fn a_lost_beat_changes_nothing_for_its_neighbours(cx: &Cx) {
    let worker = cx.worker();
    cx.add_all(&jobs("mail", 4)).await;
    let claimed = worker.lease("mail", 4, cx.short()).await;
    let mut beats: Vec<_> = claimed
        .iter()
        .map(|job| Beat {
            id: job.id(),
            fence: fence(job),
            progress: None,
        })
        .collect();
    beats[0].fence.token += 1;
    beats[2].id = id("mail");
    let alive = Beaten::Alive { cancel: false };
    same(
        cx.heartbeat(&beats, LONG).await,
        vec![Beaten::Lost, alive, Beaten::Lost, alive],
        "one outcome each, in order",
    );
    cx.lapse().await;
    let lapsed: Vec<Id> = super::paging::expired(cx, 9)
        .await
        .iter()
        .map(|lease| lease.id)
        .collect();
    same(
        lapsed,
        vec![claimed[0].id(), claimed[2].id()],
        "the two whose beats were lost; the others are extended",
    );
}

/// A group commit gathers what it gets, also the same thing twice.
pub async fn the_same_item_twice_in_a_batch_is_done_once(cx: &Cx) {
    let worker = cx.worker();
    cx.add(job("mail").build()).await;
    let claimed = worker.take("mail").await;
    let settle = end(&claimed, retry(Duration::from_secs(60)));
    same(
        cx.settle(&[settle.clone(), settle]).await,
        vec![Settled::Applied(Kind::Retry), Settled::Already(Kind::Retry)],
        "the second is a repeat of the first",
    );
    same(cx.record(claimed.id()).await.failures, 1, "it failed once");
}

/// A batch is a faster way to say the same.
pub async fn a_batch_is_its_items_in_sequence(cx: &Cx) {
    const COUNT: usize = 12;
    let outcomes = |n: usize| match n % 6 {
        0 => succeed(),
        1 => retry(Duration::from_secs(60)),
        2 => die(),
        3 => Outcome::Snoozed(Duration::from_secs(60)),
        4 => release(),
        _ => Outcome::Cancelled,
    };
    let mut ends = Vec::new();
    for batched in [true, false] {
        let queue = if batched { "mail" } else { "maps" };
        let new: Vec<_> = (0..COUNT)
            .map(|n| job(queue).payload(n.to_string()).build())
            .collect();
        let worker = cx.worker();
        let mut said = String::new();
        if batched {
            said += &format!("{:?}", cx.enqueue(&new).await);
            let claimed = worker.claim(queue, COUNT as u32).await;
            let settles = claimed
                .iter()
                .enumerate()
                .map(|(n, job)| end(job, outcomes(n)));
            let settles: Vec<_> = settles.collect();
            said += &format!("{:?}", cx.settle(&settles).await);
            said += &format!("{:?}", cx.settle(&settles).await);
        } else {
            let mut each = Vec::new();
            for job in &new {
                each.push(cx.put(job).await);
            }
            said += &format!("{each:?}");
            let mut claimed = Vec::new();
            for _ in 0..COUNT {
                claimed.extend(worker.claim(queue, 1).await);
            }
            for _ in 0..2 {
                let mut each = Vec::new();
                for (n, job) in claimed.iter().enumerate() {
                    each.push(cx.settle(&[end(job, outcomes(n))]).await[0]);
                }
                said += &format!("{each:?}");
            }
        }
        let ids: Vec<Id> = new.iter().map(|job| job.spec.id).collect();
        let records: Vec<_> = cx
            .records(&ids)
            .await
            .into_iter()
            .flatten()
            .map(|job| {
                let job = timeless(job);
                (
                    job.payload,
                    job.state,
                    job.reason,
                    job.attempt,
                    job.failures,
                    job.token,
                    job.settled,
                )
            })
            .collect();
        ends.push((said, records));
    }
    same(&ends[0], &ends[1], "first all at once, then one by one");
}

/// A loop that gathers items may find none.
pub async fn empty_batches_are_fine(cx: &Cx) {
    same(cx.enqueue(&[]).await, vec![], "nothing in, nothing out");
    same(cx.settle(&[]).await, vec![], "nothing in, nothing out");
    same(
        cx.heartbeat(&[], LONG).await,
        vec![],
        "nothing in, nothing out",
    );
    same(cx.records(&[]).await, vec![], "nothing in, nothing out");
    let mut req = cx.worker().req(&[], 9);
    same(cx.claim(&req).await.jobs, vec![], "no lane, no job");
    req.seq += 1;
    req.limit = 0;
    same(cx.claim(&req).await.jobs, vec![], "no limit, no job");
}

/// What the store declares, a caller sends.
pub async fn a_batch_of_the_declared_size_is_taken(cx: &Cx) {
    let most = cx.caps().max_batch;
    holds(
        most >= 1,
        "a `max_batch` of at least 1",
        most.to_string(),
        "a call with no item is none",
    );
    let count = most.min(2000) as usize;
    let new = jobs("mail", count);
    let all = |outcomes: usize, what: &str| {
        same(
            outcomes,
            count,
            &format!("`caps` allows {most} items, all of them {what}"),
        );
    };
    let inserted = cx.enqueue(&new).await;
    all(
        inserted
            .iter()
            .filter(|one| **one == Enqueued::Inserted)
            .count(),
        "are inserted",
    );
    let worker = cx.worker();
    let claimed = worker.claim("mail", count as u32).await;
    all(claimed.len(), "are claimed");
    let beats: Vec<_> = claimed
        .iter()
        .map(|job| Beat {
            id: job.id(),
            fence: fence(job),
            progress: None,
        })
        .collect();
    let alive = cx.heartbeat(&beats, LONG).await;
    all(
        alive.iter().filter(|one| **one != Beaten::Lost).count(),
        "live",
    );
    let settles: Vec<_> = claimed.iter().map(|job| end(job, succeed())).collect();
    let settled = cx.settle(&settles).await;
    let done = Settled::Applied(Kind::Succeed);
    all(settled.iter().filter(|one| **one == done).count(), "end");
}
