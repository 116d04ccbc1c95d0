//! What persons and programs ask for: cancel, reschedule, revive, delete; and the numbers.

use std::time::Duration;

use bytes::Bytes;
use tideway_engine::jobs::call::{Control, Enqueued, Left, Select, Settled};
use tideway_engine::jobs::{Id, Keep, Kind, Reason, Record, Start, State};

use super::Cx;
use super::cx::sure;
use super::fixture::{id, job, jobs};
use super::worker::{crash, die, retry, succeed};
use crate::suite::claim::{fail, holds, same};
use tideway::jobs::JobStore;

/// One job in each state but waiting; in the order of this list.
const STATES: [State; 5] = [
    State::Pending,
    State::Running,
    State::Succeeded,
    State::Dead,
    State::Cancelled,
];

async fn one_of_each(cx: &Cx, queue: &str) -> Vec<Id> {
    let worker = cx.worker();
    let ids = cx.add_all(&jobs(queue, 5)).await;
    let claimed = worker.claim(queue, 5).await;
    let find = |id: Id| -> &Record {
        match claimed.iter().find(|job| job.id() == id) {
            Some(job) => job,
            None => fail(
                "all five are claimed",
                format!("{claimed:?}"),
                "all are due",
            ),
        }
    };
    worker.settle(find(ids[0]), retry(Duration::ZERO)).await;
    worker.settle(find(ids[2]), succeed()).await;
    worker.settle(find(ids[3]), die()).await;
    cx.ask(ids[4], Control::Cancel).await;
    worker.settle(find(ids[4]), super::worker::release()).await;
    let states: Vec<State> = cx
        .records(&ids)
        .await
        .iter()
        .flatten()
        .map(|job| job.state)
        .collect();
    same(states, STATES.into(), "one in each state");
    ids
}

/// What has not started never will; what runs is asked to stop; what has ended has ended.
pub async fn a_cancel_ends_what_does_not_run(cx: &Cx) {
    let ids = one_of_each(cx, "mail").await;
    let before = cx.records(&ids).await;
    let unknown = id("mail");
    let mut asked = ids.clone();
    asked.push(unknown);
    let out = cx.control(Control::Cancel(Select::Ids(asked))).await;
    same(
        &out.done,
        &ids[..2].to_vec(),
        "the pending one and the running one",
    );
    let mut left = out.left.clone();
    left.sort_by_key(|(id, _)| *id);
    let mut expected: Vec<(Id, Left)> = (2..5).map(|n| (ids[n], Left::State(STATES[n]))).collect();
    expected.push((unknown, Left::NotFound));
    expected.sort_by_key(|(id, _)| *id);
    same(left, expected, "the caller hears what was left, and why");
    let after = cx.records(&ids).await;
    same(&after[2..], &before[2..], "what has ended is as it was");
    let pending = after[0].as_ref().map(|job| (job.state, job.reason));
    same(
        pending,
        Some((State::Cancelled, Some(Reason::Asked))),
        "it ended at once",
    );
    let running = after[1].as_ref().map(|job| (job.state, job.cancel));
    same(
        running,
        Some((State::Running, true)),
        "its worker is told at the next beat",
    );
    same(
        cx.worker().claim("mail", 9).await.len(),
        0,
        "it is in no lane any more",
    );
    same(
        cx.ask(ids[1], Control::Cancel).await,
        None,
        "asked twice, a running job is still asked to stop",
    );
}

/// A crashed job that was asked to stop is not run again.
pub async fn a_cancelled_job_that_crashes_is_not_run_again(cx: &Cx) {
    let worker = cx.worker();
    let id = cx.add(job("mail").build()).await;
    let claimed = worker.take_for("mail", cx.short()).await;
    cx.ask(id, Control::Cancel).await;
    cx.lapse().await;
    same(
        worker.settle(&claimed, crash(false)).await,
        Settled::Applied(Kind::Stop),
        "who asked for an end gets one",
    );
    same(cx.record(id).await.state, State::Cancelled, "it ended");
}

/// "Now" for one that would wait for an hour, "later" for one that is due.
pub async fn a_reschedule_moves_pending_jobs_only(cx: &Cx) {
    let ids = one_of_each(cx, "mail").await;
    let later = |select| Control::Reschedule(select, Start::After(Duration::from_secs(3600)));
    for (id, state) in ids.iter().zip(STATES) {
        let before = cx.record(*id).await;
        let expected = (state != State::Pending).then_some(Left::State(state));
        same(
            cx.ask(*id, later).await,
            expected,
            "pending ones alone have a start",
        );
        if expected.is_some() {
            same(cx.record(*id).await, before, "it is as it was");
        }
    }
    same(
        cx.ask(id("mail"), later).await,
        Some(Left::NotFound),
        "there is no such job",
    );
    let worker = cx.worker();
    same(
        worker.claim("mail", 9).await.len(),
        0,
        "it is due in an hour",
    );
    let now = |select| Control::Reschedule(select, Start::Now);
    same(cx.ask(ids[0], now).await, None, "it is pending");
    same(worker.take("mail").await.id(), ids[0], "it is due");
}

/// Someone has fixed what made it fail.
pub async fn a_revived_job_starts_anew(cx: &Cx) {
    let ids = one_of_each(cx, "mail").await;
    let revive = |select| Control::Revive(select, Start::Now);
    let dead = cx.record(ids[3]).await;
    for (id, state) in ids.iter().zip(STATES) {
        let runs = matches!(state, State::Dead | State::Cancelled);
        let expected = (!runs).then_some(Left::State(state));
        same(
            cx.ask(*id, revive).await,
            expected,
            "only what failed can be run again",
        );
    }
    same(
        cx.ask(id("mail"), revive).await,
        Some(Left::NotFound),
        "there is no such job",
    );
    let job = cx.record(ids[3]).await;
    same(
        (job.state, job.reason, job.ended_at),
        (State::Pending, None, None),
        "it has not ended any more",
    );
    same(
        (job.attempt, job.failures, job.crashes, job.strikes),
        (0, 0, 0, 0),
        "its counts start anew, or it would be dead again at the next failure",
    );
    same(
        &job.payload,
        &dead.payload,
        "it runs with what it was given",
    );
    same(
        &job.errors,
        &dead.errors,
        "what went wrong before is still of interest",
    );
    same(
        job.token,
        dead.token,
        "the token only grows: an old lease must not come to life",
    );
    let worker = cx.worker();
    let claimed = worker.claim("mail", 9).await;
    same(
        claimed.len(),
        3,
        "the dead one, the cancelled one, and the one that was pending",
    );
    let again = claimed
        .iter()
        .find(|job| job.id() == ids[3])
        .map(|job| (job.attempt, job.token));
    same(
        again,
        Some((1, dead.token + 1)),
        "attempt 1, under a new lease",
    );
}

/// Whoever revives an expired job wants it to run: its time counts from the revival.
pub async fn a_revived_job_that_had_expired_runs(cx: &Cx) {
    let expiry = Duration::from_secs(1);
    let worker = cx.worker();
    let revive = |select| Control::Revive(select, Start::Now);
    let id = cx.add(job("mail").expiry(expiry).build()).await;
    cx.pass(expiry).await;
    cx.prune(100).await;
    same(cx.record(id).await.state, State::Dead, "it has expired");
    same(cx.ask(id, revive).await, None, "it is dead");
    cx.prune(100).await;
    if let Some(clock) = cx.clock() {
        clock.advance(expiry - Duration::from_millis(1));
    }
    let claimed = worker.take("mail").await;
    same(
        (claimed.id(), claimed.attempt),
        (id, 1),
        "it has a second from its revival, or it would be dead again at once",
    );
    worker.settle(&claimed, super::worker::release()).await;
    cx.pass(expiry).await;
    same(
        worker.claim("mail", 9).await.len(),
        0,
        "a revival does not lift the expiry",
    );
}

/// A record may be forgotten when nothing can happen to it any more.
pub async fn only_ended_jobs_can_be_deleted(cx: &Cx) {
    let ids = one_of_each(cx, "mail").await;
    for (id, state) in ids.iter().zip(STATES) {
        let expected = (!state.ended()).then_some(Left::State(state));
        same(
            cx.ask(*id, Control::Delete).await,
            expected,
            "ended ones alone are deleted",
        );
        same(
            cx.find(*id).await.is_none(),
            state.ended(),
            "a deleted job is gone, the others are there",
        );
    }
    same(
        cx.ask(ids[2], Control::Delete).await,
        Some(Left::NotFound),
        "it was deleted a moment ago",
    );
}

/// The reply to an enqueue is lost, the job ends and somebody deletes it, the enqueue is repeated: it must not
/// run again.
pub async fn the_id_of_a_deleted_job_is_known_for_a_minute(cx: &Cx) {
    const WHY: &str = "an id is known for a minute after the end, deleted or not";
    let worker = cx.worker();
    let new = job("mail").build();
    let mut other = new.clone();
    other.payload = Bytes::from_static(b"another");
    let id = cx.add(new.clone()).await;
    worker.settle(&worker.take("mail").await, succeed()).await;
    same(cx.ask(id, Control::Delete).await, None, "it has ended");
    if let Some(clock) = cx.clock() {
        clock.advance(Keep::LEAST - Duration::from_millis(1));
        cx.prune(100).await;
    }
    let both = [new.clone(), other];
    let known = [Enqueued::Duplicate, Enqueued::IdConflict];
    same(cx.enqueue(&both).await, known.into(), WHY);
    same(cx.find(id).await, None, "nobody sees it any more");
    same(
        cx.ask(id, Control::Delete).await,
        Some(Left::NotFound),
        "there is nothing left to delete",
    );
    same(worker.claim("mail", 9).await.len(), 0, "it has run");
    let dead = cx.add(job("maps").build()).await;
    worker.settle(&worker.take("maps").await, die()).await;
    if let Some(clock) = cx.clock() {
        clock.advance(Keep::LEAST);
        cx.ask(dead, Control::Delete).await;
        cx.prune(100).await;
        same(
            cx.put(&new).await,
            Enqueued::Inserted,
            "ids of deleted jobs are not kept for ever",
        );
    }
}

/// What a person looks at first.
pub async fn stats_count_every_state(cx: &Cx) {
    one_of_each(cx, "mail").await;
    let due = tideway_engine::Wall(cx.now().await.0 - 5000);
    cx.add(job("mail").at(due).build()).await;
    cx.add(job("maps").build()).await;
    let store = cx.store();
    let stats = sure("stats", || store.stats()).await;
    let [mail, maps] = &*stats.queues else {
        fail("two queues, by name", format!("{stats:?}"), "two have jobs")
    };
    same(
        (
            mail.queue.as_str(),
            mail.waiting,
            mail.pending,
            mail.running,
        ),
        ("mail", 0, 2, 1),
        "counts agree with the records",
    );
    same(
        (mail.succeeded, mail.dead, mail.cancelled, mail.paused),
        (1, 1, 1, false),
        "counts agree with the records",
    );
    same(mail.oldest, Some(due), "how late the queue is");
    same(
        (maps.queue.as_str(), maps.pending),
        ("maps", 1),
        "each queue by itself",
    );
    holds(
        maps.oldest.is_some_and(|due| due <= stats.now),
        "the job of maps is due",
        format!("{maps:?}"),
        "it was enqueued without delay",
    );
}
