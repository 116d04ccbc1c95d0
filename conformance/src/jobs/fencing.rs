//! Settles that come twice, too late, or from somebody else.

use bytes::Bytes;
use tideway_engine::jobs::call::Settled;
use tideway_engine::jobs::{Fence, Kind, Owner, Record, State};

use super::Cx;
use super::fixture::{id, job, owner};
use super::worker::{crash, die, end, outcomes, release, succeed};
use crate::suite::claim::{fail, holds, same};

/// Every settle may be repeated: its reply may have been lost.
pub async fn a_repeated_settle_changes_nothing(cx: &Cx) {
    let worker = cx.worker();
    for outcome in outcomes() {
        let id = cx.add(job("mail").build()).await;
        let claimed = worker.take("mail").await;
        let Settled::Applied(kind) = worker.settle(&claimed, outcome.clone()).await else {
            fail("Applied", "something else", "the lease is current")
        };
        let before = cx.record(id).await;
        let expected = match kind {
            // Still running, so there is nothing that a repeat could do twice.
            Kind::Abandon => Settled::Applied(kind),
            _ => Settled::Already(kind),
        };
        let why = format!("{kind:?} was settled before");
        same(worker.settle(&claimed, outcome).await, expected, &why);
        same(&cx.record(id).await, &before, "a repeat changes nothing");
        if kind != Kind::Abandon {
            same(
                worker.settle(&claimed, die()).await,
                expected,
                "the first settle of a lease stands, whatever a later one says",
            );
            same(&cx.record(id).await, &before, "a late word changes nothing");
        }
        // Out of the way of the next.
        if before.state == State::Running {
            worker.settle(&claimed, succeed()).await;
        }
    }
}

/// A worker that lost its lease must not end somebody else's.
pub async fn a_settle_with_another_token_is_fenced(cx: &Cx) {
    let fence = |job: &Record| Fence {
        token: job.token + 1,
        owner: job.owner.unwrap_or(Owner(0)),
    };
    fenced(cx, fence).await;
    let before = |job: &Record| Fence {
        token: job.token - 1,
        owner: job.owner.unwrap_or(Owner(0)),
    };
    fenced(cx, before).await;
}

/// A token alone repeats after a failover that lost a claim.
pub async fn a_settle_by_another_owner_is_fenced(cx: &Cx) {
    let fence = |job: &Record| Fence {
        token: job.token,
        owner: owner(),
    };
    fenced(cx, fence).await;
}

async fn fenced(cx: &Cx, wrong: impl Fn(&Record) -> Fence) {
    let worker = cx.worker();
    let new = id("mail");
    for outcome in outcomes().into_iter().chain([crash(false)]) {
        let id = cx.add(job("mail").build()).await;
        let claimed = worker.take("mail").await;
        let before = cx.record(id).await;
        let mut settle = end(&claimed, outcome);
        settle.fence = wrong(&claimed);
        settle.progress = Some(Bytes::from_static(b"of a zombie"));
        settle.then = vec![job("mail").id(new).build()];
        let shown = format!("{:?}", settle.outcome);
        same(
            cx.settle(&[settle]).await[0],
            Settled::Fenced,
            &format!("{shown} under a lease that is not the current one"),
        );
        same(
            cx.record(id).await,
            before,
            "what is fenced changes no byte",
        );
        same(
            cx.find(new).await,
            None,
            "its follow-up jobs are not inserted",
        );
        worker.settle(&claimed, succeed()).await;
    }
}

/// A job that was pruned or deleted is no error of the worker's.
pub async fn a_settle_of_an_unknown_job_is_not_found(cx: &Cx) {
    let worker = cx.worker();
    cx.add(job("mail").build()).await;
    let mut settle = end(&worker.take("mail").await, succeed());
    settle.id = id("mail");
    let new = job("mail").build();
    settle.then = vec![new.clone()];
    same(
        cx.settle(&[settle]).await[0],
        Settled::NotFound,
        "there is no such job",
    );
    same(
        cx.find(new.spec.id).await,
        None,
        "nothing was applied, so nothing follows",
    );
}

/// The work was done, and nobody has started it again: throwing it away helps no one.
pub async fn a_late_finish_counts_until_the_job_is_reaped(cx: &Cx) {
    let worker = cx.worker();
    let id = cx.add(job("mail").build()).await;
    let claimed = worker.take_for("mail", cx.short()).await;
    cx.lapse().await;
    same(
        worker.settle(&claimed, succeed()).await,
        Settled::Applied(Kind::Succeed),
        "the lease ran out, but it is still the current one",
    );
    same(cx.record(id).await.state, State::Succeeded, "it ended");
    same(
        super::paging::expired(cx, 10).await,
        vec![],
        "nothing is left to reap",
    );
}

/// A zombie's settle, after its job was reaped and claimed again, must not end the new lease.
pub async fn a_zombie_is_fenced_after_its_job_was_claimed_again(cx: &Cx) {
    let (zombie, next) = (cx.worker(), cx.worker());
    let id = cx.add(job("mail").build()).await;
    let old = zombie.take_for("mail", cx.short()).await;
    cx.lapse().await;
    zombie.settle(&old, crash(false)).await;
    let reaped = cx.record(id).await;
    same(
        zombie.settle(&old, succeed()).await,
        Settled::Already(Kind::Crash),
        "the reaper has settled this lease",
    );
    same(cx.record(id).await, reaped, "it waits for its next attempt");
    let new = next.take("mail").await;
    same(
        (new.token, new.attempt),
        (2, 2),
        "a new lease, a new attempt",
    );
    same(
        zombie.settle(&old, succeed()).await,
        Settled::Fenced,
        "another claim holds the job",
    );
    same(cx.record(id).await, new, "a zombie changes no byte");
}

/// A token that comes again would let an old lease in.
pub async fn a_lease_given_back_is_never_valid_again(cx: &Cx) {
    let worker = cx.worker();
    let id = cx.add(job("mail").build()).await;
    let old = worker.take("mail").await;
    worker.settle(&old, release()).await;
    // The same worker: only the token tells the leases apart.
    let new = worker.take("mail").await;
    holds(
        new.token > old.token,
        format!("a token above {}", old.token),
        new.token.to_string(),
        "a release ends a lease; it does not unmake it",
    );
    same(
        worker.settle(&old, succeed()).await,
        Settled::Fenced,
        "this lease was given back",
    );
    same(cx.record(id).await, new, "it changes no byte");
}
