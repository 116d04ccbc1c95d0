//! Limits on running jobs and on their rate, per queue and per group, kept within the claim.

use std::time::Duration;

use tideway_engine::Wall;
use tideway_engine::jobs::call::{Control, Limit, Scope};
use tideway_engine::jobs::{Id, NewJob, Outcome, Record};

use super::Cx;
use super::fixture::{job, jobs, name};
use super::worker::{crash, die, release, retry, succeed};
use crate::suite::claim::{holds, same};

const fn running(most: u32) -> Limit {
    Limit {
        running: Some(most),
        rate: None,
    }
}

const fn rate(most: u32, window: Duration) -> Limit {
    Limit {
        running: None,
        rate: Some((most, window)),
    }
}

async fn limit(cx: &Cx, scope: Scope, limit: Limit) {
    cx.control(Control::Limit(scope, limit)).await;
}

fn of(group: &str) -> NewJob {
    job("mail").group(group).build()
}

fn ids(jobs: &[Record]) -> Vec<Id> {
    jobs.iter().map(Record::id).collect()
}

/// A downstream service takes so many at once, however many workers there are.
pub async fn running_jobs_of_a_queue_keep_its_limit(cx: &Cx) {
    const WHY: &str = "at most 3 of this queue run at once, whoever claims them";
    limit(cx, Scope::Queue(name("mail")), running(3)).await;
    cx.add_all(&jobs("mail", 8)).await;
    cx.add(job("mail").band(1).build()).await;
    cx.add_all(&jobs("maps", 5)).await;
    let (one, two) = (cx.worker(), cx.worker());
    let first = one.claim("mail", 2).await;
    same(first.len(), 2, WHY);
    let both = [("mail", 0), ("mail", 1)];
    let second = two.ask(&both, 9).await;
    same(second.jobs.len(), 1, WHY);
    same(
        second.next_due,
        None,
        "no time makes room, only the end of a job",
    );
    same(two.ask(&both, 9).await.jobs.len(), 0, WHY);
    same(
        two.claim("maps", 9).await.len(),
        5,
        "another queue has no limit",
    );
    one.settle(&first[0], succeed()).await;
    same(
        two.claim("mail", 9).await.len(),
        1,
        "one has ended, one takes its place",
    );
}

/// Whatever ends a lease makes room.
pub async fn every_end_of_a_lease_makes_room(cx: &Cx) {
    limit(cx, Scope::Queue(name("mail")), running(1)).await;
    let worker = cx.worker();
    let ends = [
        succeed(),
        die(),
        Outcome::Cancelled,
        retry(Duration::from_secs(60)),
        Outcome::Snoozed(Duration::from_secs(60)),
        release(),
        crash(false),
    ];
    for outcome in ends {
        let shown = format!("{outcome:?}");
        cx.add_all(&jobs("mail", 1)).await;
        let job = worker.take_for("mail", cx.short()).await;
        if matches!(outcome, Outcome::Crashed { .. }) {
            cx.lapse().await;
        }
        worker.settle(&job, outcome).await;
        let id = job.id();
        if !cx.record(id).await.state.ended() {
            cx.ask(id, Control::Cancel).await;
        }
        let next = cx.add(job_due(cx).await).await;
        let claimed = worker.claim("mail", 9).await;
        same(
            ids(&claimed),
            vec![next],
            &format!("the lease ended with {shown}"),
        );
        worker.settle(&claimed[0], succeed()).await;
    }
}

async fn job_due(cx: &Cx) -> NewJob {
    job("mail").at(Wall(cx.now().await.0 - 1000)).build()
}

/// One customer's thousand jobs must not take all the slots.
pub async fn each_group_keeps_the_limit_of_groups(cx: &Cx) {
    limit(cx, Scope::EachGroup(name("mail")), running(2)).await;
    for group in ["acme", "acme", "acme", "acme", "zoo"] {
        cx.add(of(group)).await;
    }
    cx.add_all(&jobs("mail", 3)).await;
    cx.add(job("maps").group("acme").build()).await;
    let claimed = cx.worker().claim("mail", 20).await;
    let count = |group: Option<&str>| {
        claimed
            .iter()
            .filter(|job| job.spec.group.as_deref() == group)
            .count()
    };
    same(
        (count(Some("acme")), count(Some("zoo")), count(None)),
        (2, 1, 3),
        "two of each group at most; what has no group is not limited by it",
    );
    same(
        cx.worker().claim("maps", 9).await.len(),
        1,
        "a group belongs to its queue",
    );
}

/// One customer has paid for more.
pub async fn a_group_may_have_a_limit_of_its_own(cx: &Cx) {
    limit(cx, Scope::EachGroup(name("mail")), running(1)).await;
    limit(cx, Scope::Group(name("mail"), name("acme")), running(3)).await;
    for group in ["acme", "acme", "acme", "acme", "zoo", "zoo"] {
        cx.add(of(group)).await;
    }
    let claimed = cx.worker().claim("mail", 20).await;
    let count = |group: &str| {
        claimed
            .iter()
            .filter(|job| job.spec.group.as_deref() == Some(group))
            .count()
    };
    same(
        (count("acme"), count("zoo")),
        (3, 1),
        "its own limit replaces that of each group",
    );
    limit(cx, Scope::Queue(name("mail")), running(5)).await;
    limit(cx, Scope::Group(name("mail"), name("acme")), running(9)).await;
    cx.add_all(&jobs("mail", 2)).await;
    same(
        cx.worker().claim("mail", 20).await.len(),
        1,
        "four run already, and the queue allows five whatever its groups may do",
    );
}

/// A group that may not start any more stands aside.
pub async fn a_blocked_group_does_not_hold_up_the_others(cx: &Cx) {
    limit(cx, Scope::EachGroup(name("mail")), running(1)).await;
    let many: Vec<NewJob> = (0..300).map(|_| of("acme")).collect();
    cx.add_all(&many).await;
    let other = cx.add(of("zoo")).await;
    let worker = cx.worker();
    same(
        ids(&worker.claim("mail", 1).await),
        vec![many[0].spec.id],
        "first in, first out",
    );
    same(
        ids(&worker.claim("mail", 1).await),
        vec![other],
        "299 jobs of a blocked group are before it, and none may start",
    );
}

/// In one claim as in many, and in the order of the lane.
pub async fn a_group_goes_on_in_order_when_it_has_room(cx: &Cx) {
    limit(cx, Scope::EachGroup(name("mail")), running(1)).await;
    let many: Vec<NewJob> = (0..3).map(|_| of("acme")).collect();
    cx.add_all(&many).await;
    let worker = cx.worker();
    for new in &many {
        let claimed = worker.claim("mail", 9).await;
        same(
            ids(&claimed),
            vec![new.spec.id],
            "one at a time, first in, first out",
        );
        worker.settle(&claimed[0], succeed()).await;
    }
}

/// "Ten a second" holds for every second, not only for those that begin with a full one.
pub async fn claims_keep_their_rate_in_any_window(cx: &Cx) {
    let window = cx.short() * 20;
    limit(cx, Scope::Queue(name("mail")), rate(2, window)).await;
    cx.add_all(&jobs("mail", 9)).await;
    let worker = cx.worker();
    let first = worker.claim("mail", 9).await;
    same(first.len(), 2, "two in any window");
    for job in &first {
        worker.settle(job, succeed()).await;
    }
    same(
        worker.claim("mail", 9).await.len(),
        0,
        "the rate counts starts: what has ended has started all the same",
    );
    cx.pass(window).await;
    same(worker.claim("mail", 1).await.len(), 1, "a new window");
    let half = window / 2;
    cx.pass(half).await;
    if cx.clock().is_some() {
        same(
            worker.claim("mail", 9).await.len(),
            1,
            "one was half a window ago",
        );
        cx.pass(half).await;
        same(
            worker.claim("mail", 9).await.len(),
            1,
            "the first of the two is a window ago, the second is not",
        );
    }
}

/// A worker that sleeps for the rate must know how long.
pub async fn a_claim_says_when_a_rate_allows_the_next_job(cx: &Cx) {
    let window = Duration::from_secs(50);
    limit(cx, Scope::EachGroup(name("mail")), rate(1, window)).await;
    cx.add_all(&[of("acme"), of("acme")]).await;
    let worker = cx.worker();
    let before = cx.now().await;
    let claimed = worker.ask(&[("mail", 0)], 9).await;
    same(claimed.jobs.len(), 1, "one in any window");
    let due = claimed.next_due.map_or(0, |due| due.0 - before.0);
    let slack = if cx.clock().is_some() { 0 } else { 20_000 };
    holds(
        (50_000..=50_000 + slack).contains(&due),
        "due when the window is over, 50 s after the claim",
        format!("{due} ms"),
        "time alone makes the next one due, and the worker sleeps until then",
    );
}

/// Limits are changed while the application runs.
pub async fn a_limit_replaces_the_one_before(cx: &Cx) {
    let queue = || Scope::Queue(name("mail"));
    limit(cx, queue(), running(1)).await;
    cx.add_all(&jobs("mail", 6)).await;
    let worker = cx.worker();
    same(worker.claim("mail", 9).await.len(), 1, "one at most");
    limit(cx, queue(), running(3)).await;
    same(worker.claim("mail", 9).await.len(), 2, "three at most");
    limit(cx, queue(), running(2)).await;
    same(
        worker.claim("mail", 9).await.len(),
        0,
        "more than allowed run already; none is stopped",
    );
    limit(cx, queue(), Limit::default()).await;
    same(worker.claim("mail", 9).await.len(), 3, "no limit any more");
}

/// A lost reply must not count twice, nor must two workers share one place.
pub async fn a_repeated_claim_takes_no_more_of_a_limit(cx: &Cx) {
    limit(cx, Scope::Queue(name("mail")), running(4)).await;
    cx.add_all(&jobs("mail", 9)).await;
    let worker = cx.worker();
    let req = worker.req(&[("mail", 0)], 2);
    same(cx.claim(&req).await.jobs.len(), 2, "two of four");
    same(cx.claim(&req).await.jobs.len(), 2, "the same two");
    same(worker.claim("mail", 9).await.len(), 2, "two more have room");
    let late = cx
        .clients(6, |_, cx| async move {
            cx.worker().claim("mail", 1).await.len()
        })
        .await;
    same(
        late.iter().sum::<usize>(),
        0,
        "four run, asked by six workers at once",
    );
}
