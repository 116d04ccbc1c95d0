//! Exact times, on a clock that the test moves.

use std::time::Duration;

use tideway_engine::Wall;
use tideway_engine::jobs::call::{Enqueued, Settled};
use tideway_engine::jobs::{Kind, Outcome, Reason, State};

use super::fixture::job;
use super::worker::{crash, die, release, retry, succeed};
use super::{Cx, paging};
use crate::suite::claim::{holds, same};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// "Not before" means it, to the millisecond.
pub async fn nothing_is_claimed_a_millisecond_early(cx: &Cx) {
    let clock = cx.test_clock();
    let worker = cx.worker();
    cx.add(job("mail").delay(SECOND).build()).await;
    let mut exact = "the delay of the enqueue".to_owned();
    let released = Outcome::Released {
        after: SECOND,
        unknown: true,
    };
    let outcomes = [retry(SECOND), Outcome::Snoozed(SECOND), released, succeed()];
    for outcome in outcomes {
        clock.advance(SECOND - MS);
        same(
            worker.claim("mail", 1).await.len(),
            0,
            &format!("a millisecond is left of {exact}"),
        );
        clock.advance(MS);
        let claimed = worker.claim("mail", 1).await;
        same(claimed.len(), 1, &format!("it is due, by {exact}"));
        exact = format!("{outcome:?}");
        worker.settle(&claimed[0], outcome).await;
    }
    let at = Wall(clock.now().0 + 5);
    cx.add(job("mail").at(at).build()).await;
    clock.advance(4 * MS);
    let early = worker.ask(&[("mail", 0)], 1).await;
    same(
        (early.jobs.len(), early.next_due),
        (0, Some(at)),
        "a millisecond is left",
    );
    clock.advance(MS);
    same(worker.claim("mail", 1).await.len(), 1, "it is due");
}

/// Rounding must make a job late rather than early.
pub async fn part_of_a_millisecond_is_rounded_up(cx: &Cx) {
    let now = cx.test_clock().now();
    let delay = Duration::from_micros(1_500_001);
    let id = cx.add(job("mail").delay(delay).build()).await;
    same(
        cx.record(id).await.run_at,
        Wall(now.0 + 1501),
        "1500.001 ms are over after 1501 whole ones",
    );
    // A minute at least is kept, so a minute and a half millisecond is what was asked.
    let minute = Duration::from_micros(60_000_500);
    let new = || {
        job("mail")
            .timeout(minute)
            .expiry(minute)
            .keep(minute, minute)
    };
    let end = Some(Wall(now.0 + 60_001));
    let id = cx.add(new().build()).await;
    same(cx.record(id).await.expires_at(), end, "it may start late");
    let worker = cx.worker();
    let claimed = worker.take("mail").await;
    worker.settle(&claimed, die()).await;
    same(cx.record(id).await.forget_at(), end, "it is kept longer");
    // The audit after this case sees whether the columns beside a specification agree with it.
    cx.add(new().build()).await;
}

/// The store's clock alone decides, and every reply says what it reads.
pub async fn every_reply_tells_the_clock_of_the_store(cx: &Cx) {
    let clock = cx.test_clock();
    for _ in 0..3 {
        clock.advance(1234 * MS);
        let now = clock.now();
        let claimed = cx.worker().ask(&[("mail", 0)], 1).await;
        let expired = cx.expired(&Default::default(), 1).await;
        same(
            (claimed.now, expired.now, cx.now().await),
            (now, now, now),
            "workers compute with this time, never with their own",
        );
    }
    let id = cx.add(job("mail").build()).await;
    same(
        cx.record(id).await.enqueued_at,
        clock.now(),
        "the store accepted it now",
    );
}

/// Not a millisecond before its end, and not a millisecond after.
pub async fn a_lease_runs_out_at_its_end(cx: &Cx) {
    let clock = cx.test_clock();
    let worker = cx.worker();
    cx.add(job("mail").build()).await;
    let job = worker.take_for("mail", 2 * SECOND).await;
    same(
        job.lease_until,
        Wall(clock.now().0 + 2000),
        "two seconds from the claim",
    );
    for beat in [false, true] {
        if beat {
            worker.beat(&job, 2 * SECOND).await;
        }
        clock.advance(2 * SECOND - MS);
        same(
            paging::expired(cx, 9).await.len(),
            0,
            "a millisecond is left",
        );
        same(
            worker.settle(&job, crash(false)).await,
            Settled::Refused,
            "a millisecond is left",
        );
        clock.advance(MS);
        same(paging::expired(cx, 9).await.len(), 1, "it has run out");
    }
    same(
        worker.settle(&job, crash(false)).await,
        Settled::Applied(Kind::Crash),
        "it has run out",
    );
}

/// The clock went back an hour: the job of a dead worker must not wait that hour.
pub async fn a_lease_from_the_future_has_run_out(cx: &Cx) {
    let clock = cx.test_clock();
    let worker = cx.worker();
    cx.add(job("mail").build()).await;
    let job = worker.take_for("mail", 2 * SECOND).await;
    clock.set_back(Duration::from_secs(3600));
    same(
        paging::expired(cx, 9)
            .await
            .iter()
            .map(|lease| lease.id)
            .collect(),
        vec![job.id()],
        "no lease ends further ahead than it lasts",
    );
    same(
        worker.beat(&job, 2 * SECOND).await,
        tideway_engine::jobs::call::Beaten::Alive { cancel: false },
        "its worker lives",
    );
    same(
        paging::expired(cx, 9).await,
        vec![],
        "the beat set it right",
    );
    clock.set_back(Duration::from_secs(3600));
    same(
        worker.settle(&job, crash(false)).await,
        Settled::Applied(Kind::Crash),
        "the reaper may end it",
    );
}

/// "Only today": a job that was not started in time is not started at all.
pub async fn a_job_past_its_expiry_is_not_started(cx: &Cx) {
    let clock = cx.test_clock();
    let worker = cx.worker();
    let claimed = cx.add(job("mail").expiry(10 * SECOND).build()).await;
    let swept = cx.add(job("maps").expiry(10 * SECOND).build()).await;
    let again = cx.add(job("news").expiry(10 * SECOND).build()).await;
    let running = worker.take("news").await;
    clock.advance(9 * SECOND);
    worker.settle(&running, release()).await;
    let running = worker.take("news").await;
    same(running.id(), again, "it is in time");
    clock.advance(SECOND + MS);
    same(
        worker.claim("mail", 9).await.len(),
        0,
        "it is too late to start it",
    );
    cx.prune(100).await;
    for id in [claimed, swept] {
        let job = cx.record(id).await;
        same(
            (job.state, job.reason),
            (State::Dead, Some(Reason::Expired)),
            "it stays visible, with the reason; found by a claim or by a prune",
        );
    }
    same(
        worker.settle(&running, succeed()).await,
        Settled::Applied(Kind::Succeed),
        "it was started in time, and may take longer",
    );
}

/// Records are kept as long as asked, and an id a minute at least.
pub async fn ended_jobs_are_kept_for_their_time(cx: &Cx) {
    let clock = cx.test_clock();
    let worker = cx.worker();
    let hour = Duration::from_secs(3600);
    let short = job("mail").keep(Duration::ZERO, hour).build();
    let short_id = cx.add(short.clone()).await;
    worker.settle(&worker.take("mail").await, succeed()).await;
    let long = cx.add(job("mail").keep(Duration::ZERO, hour).build()).await;
    worker.settle(&worker.take("mail").await, die()).await;
    let pending = cx
        .add(job("mail").keep(Duration::ZERO, Duration::ZERO).build())
        .await;
    clock.advance(Duration::from_secs(60) - MS);
    cx.prune(100).await;
    same(
        cx.put(&short).await,
        Enqueued::Duplicate,
        "an id is known for a minute after the end, whatever retention was asked",
    );
    clock.advance(2 * MS);
    same(cx.prune(100).await, 1, "one is over its time");
    same(cx.find(short_id).await, None, "it is forgotten");
    same(
        cx.record(long).await.state,
        State::Dead,
        "failures were to be kept for an hour",
    );
    clock.advance(hour);
    same(cx.prune(100).await, 1, "one more is over its time");
    same(cx.find(long).await, None, "it is forgotten");
    same(
        cx.record(pending).await.state,
        State::Pending,
        "what has not ended is never forgotten",
    );
}

/// A prune of a million records in one call stops everything else.
pub async fn a_prune_forgets_at_most_its_limit(cx: &Cx) {
    let new: Vec<_> = (0..5)
        .map(|_| job("mail").keep(Duration::ZERO, Duration::ZERO).build())
        .collect();
    let ids = cx.add_all(&new).await;
    let worker = cx.worker();
    for job in worker.claim("mail", 9).await {
        worker.settle(&job, succeed()).await;
    }
    cx.test_clock().advance(Duration::from_secs(61));
    let mut pruned = Vec::new();
    for _ in 0..4 {
        pruned.push(cx.prune(2).await);
    }
    same(
        pruned,
        vec![2, 2, 1, 0],
        "two at a time, until nothing is left",
    );
    let left = cx.records(&ids).await.into_iter().flatten().count();
    holds(
        left == 0,
        "none left",
        left.to_string(),
        "what is counted as pruned is gone",
    );
}
