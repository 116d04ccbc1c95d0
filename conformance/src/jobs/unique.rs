//! Unique keys: at most one job of a key in the hold set of its queue.

use std::time::Duration;

use bytes::Bytes;
use tideway_engine::jobs::call::{Control, Enqueued, Left};
use tideway_engine::jobs::{Conflict, Hold, Id, NewJob, Outcome, Reason, Record, Start, State};
use tideway_engine::{Rng, Seed};

use super::Cx;
use super::fixture::job;
use super::worker::{crash, die, release, retry, succeed};
use crate::suite::claim::{fail, holds, same};

fn keyed(hold: Hold) -> NewJob {
    job("mail").unique("user:7", hold).build()
}

/// A second job of the key is not inserted, and its caller hears of the first.
pub async fn a_second_job_of_a_held_key_is_not_inserted(cx: &Cx) {
    for hold in [
        Hold::UntilStart,
        Hold::UntilDone,
        Hold::For(Duration::from_secs(600)),
    ] {
        let queue = format!("mail of {hold:?}");
        let of =
            |payload: &'static str| job(&queue).unique("user:7", hold).payload(payload).build();
        let holder = cx.add(of("one")).await;
        let second = of("two");
        same(
            cx.put(&second).await,
            Enqueued::UniqueHit(holder),
            &format!("the key is held, {hold:?}"),
        );
        same(cx.find(second.spec.id).await, None, "it is not inserted");
        same(
            &*cx.record(holder).await.payload,
            &b"one"[..],
            "the holder stays as it is",
        );
    }
    let other = job("mail of UntilDone")
        .unique("user:8", Hold::UntilDone)
        .build();
    same(
        cx.put(&other).await,
        Enqueued::Inserted,
        "this key is another",
    );
}

/// The repeat of an enqueue finds its own hold.
pub async fn a_repeat_of_the_holder_is_a_duplicate(cx: &Cx) {
    let holder = keyed(Hold::UntilDone);
    cx.add(holder.clone()).await;
    same(
        cx.put(&holder).await,
        Enqueued::Duplicate,
        "it is the same job",
    );
}

/// What is enqueued while a job runs is news that this run may have missed.
pub async fn a_hold_until_start_is_freed_by_the_first_claim(cx: &Cx) {
    cx.add(keyed(Hold::UntilStart)).await;
    let worker = cx.worker();
    worker.take("mail").await;
    cx.add(keyed(Hold::UntilStart)).await;
}

/// As long as the job has not ended, another would overlap with it.
pub async fn a_hold_until_done_is_freed_by_every_end(cx: &Cx) {
    let worker = cx.worker();
    let held = async |by: Id, when: &str| {
        same(
            cx.put(&keyed(Hold::UntilDone)).await,
            Enqueued::UniqueHit(by),
            &format!("{when}, the job has not ended"),
        );
    };
    for outcome in [succeed(), die(), Outcome::Cancelled] {
        let id = cx.add(keyed(Hold::UntilDone)).await;
        let claimed = worker.take("mail").await;
        held(id, "while it runs").await;
        worker.settle(&claimed, retry(Duration::ZERO)).await;
        held(id, "while it waits for its retry").await;
        let claimed = worker.take("mail").await;
        worker.settle(&claimed, outcome).await;
    }
    let id = cx.add(keyed(Hold::UntilDone)).await;
    cx.ask(id, Control::Cancel).await;
    let id = cx.add(keyed(Hold::UntilDone)).await;
    let claimed = worker.take("mail").await;
    cx.ask(id, Control::Cancel).await;
    held(id, "while it is asked to stop").await;
    worker.settle(&claimed, retry(Duration::ZERO)).await;
    let buried = job("mail")
        .unique("user:7", Hold::UntilDone)
        .strikes(1)
        .build();
    cx.add(buried).await;
    let claimed = worker.take_for("mail", cx.short()).await;
    cx.lapse().await;
    worker.settle(&claimed, crash(true)).await;
    cx.add(keyed(Hold::UntilDone)).await;
}

/// "At most one a minute" counts from the enqueue, whatever becomes of the job.
pub async fn a_hold_for_a_time_is_freed_by_time_alone(cx: &Cx) {
    let time = cx.short() * 3;
    let hold = Hold::For(time);
    let id = cx.add(keyed(hold)).await;
    let worker = cx.worker();
    let claimed = worker.take("mail").await;
    worker.settle(&claimed, succeed()).await;
    if let Some(clock) = cx.clock() {
        clock.advance(time - Duration::from_millis(1));
        same(
            cx.put(&keyed(hold)).await,
            Enqueued::UniqueHit(id),
            "the job has ended, but its time is not over",
        );
        clock.advance(Duration::from_millis(1));
    } else {
        cx.pass(time).await;
    }
    let pending = cx.add(keyed(hold)).await;
    cx.pass(time).await;
    same(
        cx.record(pending).await.state,
        State::Pending,
        "the end of a hold is no end of its job",
    );
    cx.add(keyed(hold)).await;
}

/// A key that was freed belongs to whoever took it since.
pub async fn a_freed_key_is_not_taken_again_by_a_retry(cx: &Cx) {
    let (worker, hold) = (cx.worker(), Hold::UntilStart);
    for outcome in [
        retry(Duration::ZERO),
        Outcome::Snoozed(Duration::ZERO),
        release(),
    ] {
        let shown = format!("{outcome:?}");
        let first = cx.add(keyed(hold)).await;
        let claimed = worker.take("mail").await;
        worker.settle(&claimed, outcome).await;
        let second = cx.add(keyed(hold)).await;
        same(
            cx.put(&keyed(hold)).await,
            Enqueued::UniqueHit(second),
            &format!("the first gave the key up before {shown}"),
        );
        let both = worker.claim("mail", 9).await;
        let ids: Vec<Id> = both.iter().map(Record::id).collect();
        same(ids, vec![first, second], "both run, one of them again");
        for job in &both {
            worker.settle(job, succeed()).await;
        }
    }
    // The end of a job that holds nothing frees nothing.
    cx.add(keyed(hold)).await;
    let claimed = worker.take("mail").await;
    let holder = cx.add(keyed(hold)).await;
    worker.settle(&claimed, succeed()).await;
    same(
        cx.put(&keyed(hold)).await,
        Enqueued::UniqueHit(holder),
        "the key is held by the second job, which has not started",
    );
}

/// The newest version wins, and the repeat of an older one cannot overwrite it.
pub async fn a_replacement_takes_the_place_of_a_pending_holder(cx: &Cx) {
    let new = |payload: &'static str| {
        let new = job("mail")
            .unique("user:7", Hold::UntilDone)
            .payload(payload);
        new.on_conflict(Conflict::Replace).build()
    };
    let (first, second) = (new("one"), new("two"));
    let old = cx.add(first.clone()).await;
    same(
        cx.put(&second).await,
        Enqueued::Superseded(old),
        "the holder has not started",
    );
    let job = cx.record(old).await;
    same(
        (job.state, job.reason),
        (State::Cancelled, Some(Reason::Superseded(second.spec.id))),
        "the record says what became of it",
    );
    same(
        cx.put(&first).await,
        Enqueued::Duplicate,
        "a repeat of the older job is known, and changes nothing",
    );
    same(
        cx.put(&second).await,
        Enqueued::Duplicate,
        "a repeat of the newer one too",
    );
    let worker = cx.worker();
    let claimed = worker.take("mail").await;
    same(
        (claimed.id(), &*claimed.payload),
        (second.spec.id, &b"two"[..]),
        "the newer one runs, and it alone",
    );
    let third = new("three");
    same(
        cx.put(&third).await,
        Enqueued::UniqueHit(second.spec.id),
        "a running job is not replaced: it holds the key until it is done",
    );
    same(cx.find(third.spec.id).await, None, "it is not inserted");
    worker
        .settle(&claimed, retry(Duration::from_secs(60)))
        .await;
    same(
        cx.put(&third).await,
        Enqueued::Superseded(second.spec.id),
        "one that waits for its retry is pending again",
    );
}

/// Only the start changes: "not before five minutes of silence".
pub async fn a_reschedule_keeps_the_payload_of_the_holder(cx: &Cx) {
    let new = |payload: &'static str| {
        job("mail")
            .unique("user:7", Hold::UntilDone)
            .on_conflict(Conflict::Reschedule)
            .payload(payload)
    };
    let old = cx.add(new("one").build()).await;
    let second = new("two").delay(Duration::from_secs(600)).build();
    same(
        cx.put(&second).await,
        Enqueued::Superseded(old),
        "the holder has not started",
    );
    let job = cx.record(second.spec.id).await;
    same(&*job.payload, &b"one"[..], "the payload is the holder's");
    let due = cx.now().await.0 + 590_000;
    holds(
        job.run_at.0 > due,
        "the start is the new one",
        format!("{:?}", job.run_at),
        "that is what a reschedule is for",
    );
    same(
        cx.put(&second).await,
        Enqueued::Duplicate,
        "a repeat is known by what was enqueued",
    );
    same(
        cx.worker().claim("mail", 9).await.len(),
        0,
        "neither is due",
    );
}

/// Two queues are two applications, for all a store knows.
pub async fn a_key_is_held_in_its_queue_only(cx: &Cx) {
    for queue in ["mail", "maps", "mail:user"] {
        cx.add(job(queue).unique("user:7", Hold::UntilDone).build())
            .await;
    }
    let tricky = job("mail").unique("user:user:7", Hold::UntilDone).build();
    same(
        cx.put(&tricky).await,
        Enqueued::Inserted,
        "a queue and a key glued together must not look like another pair",
    );
}

/// A dead job run again is a job like any other.
pub async fn a_revived_job_takes_its_key_like_an_enqueue(cx: &Cx) {
    let worker = cx.worker();
    let dead = cx.add(keyed(Hold::UntilDone)).await;
    let claimed = worker.take("mail").await;
    worker.settle(&claimed, die()).await;
    let holder = cx.add(keyed(Hold::UntilDone)).await;
    let revive = |select| Control::Revive(select, Start::Now);
    same(
        cx.ask(dead, revive).await,
        Some(Left::UniqueHit(holder)),
        "another job holds its key now",
    );
    same(
        cx.record(dead).await.state,
        State::Dead,
        "it is left as it was",
    );
    cx.ask(holder, Control::Cancel).await;
    same(
        cx.ask(dead, revive).await,
        None,
        "nobody holds its key any more",
    );
    same(
        cx.put(&keyed(Hold::UntilDone)).await,
        Enqueued::UniqueHit(dead),
        "it holds it again",
    );
}

/// Whatever happens in whatever order, two jobs of a key never overlap.
pub async fn two_jobs_of_a_key_never_overlap(cx: &Cx) {
    const SEEDS: u64 = 12;
    for seed in 0..SEEDS {
        let mut rng = Rng::new(&Seed::from_u64(seed));
        let queue = format!("mail {seed}");
        let (mut ids, mut running) = (Vec::<Id>::new(), Vec::<Record>::new());
        let worker = cx.worker();
        for step in 0..50 {
            match rng.below(8) {
                0..=2 => {
                    let new = job(&queue)
                        .unique("k", Hold::UntilDone)
                        .payload(Bytes::from(vec![step]));
                    let conflict = [Conflict::Keep, Conflict::Replace][rng.below(2) as usize];
                    let new = new.on_conflict(conflict).build();
                    if matches!(
                        cx.put(&new).await,
                        Enqueued::Inserted | Enqueued::Superseded(_)
                    ) {
                        ids.push(new.spec.id);
                    }
                }
                3..=4 => running.extend(worker.claim(&queue, 1).await),
                5 => {
                    if let Some(job) = running.pop() {
                        let ends = [succeed(), die(), retry(Duration::ZERO), release()];
                        let pick = rng.below(ends.len() as u64) as usize;
                        worker.settle(&job, ends[pick].clone()).await;
                    }
                }
                6 if !ids.is_empty() => {
                    let id = ids[rng.below(ids.len() as u64) as usize];
                    cx.ask(id, Control::Cancel).await;
                }
                7 if !ids.is_empty() => {
                    let id = ids[rng.below(ids.len() as u64) as usize];
                    cx.ask(id, |select| Control::Revive(select, Start::Now))
                        .await;
                }
                _ => {}
            }
            let records = cx.records(&ids).await;
            let alive: Vec<(Id, State)> = records
                .iter()
                .flatten()
                .filter(|job| !job.state.ended())
                .map(|job| (job.id(), job.state))
                .collect();
            if alive.len() > 1 {
                fail(
                    format!(
                        "at most one job of the key that has not ended (seed {seed}, step {step})"
                    ),
                    format!("{alive:?}"),
                    "they hold the key until they are done",
                );
            }
        }
    }
}
