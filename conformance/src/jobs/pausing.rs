//! Queues that are paused and go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tideway::jobs::JobStore;
use tideway_engine::jobs::Kind;
use tideway_engine::jobs::call::{Control, Settled};

use super::Cx;
use super::cx::sure;
use super::fixture::{job, jobs, name};
use super::worker::succeed;
use crate::suite::claim::same;

/// Who pauses a queue relies on it: the database behind the handlers is about to go.
pub async fn no_claim_takes_from_a_paused_queue(cx: &Cx) {
    let worker = cx.worker();
    cx.add_all(&jobs("mail", 2)).await;
    cx.add(job("maps").build()).await;
    let running = worker.claim("mail", 1).await;
    cx.control(Control::Pause(name("mail"))).await;
    cx.control(Control::Pause(name("mail"))).await;
    let claimed = worker.ask(&[("mail", 0), ("maps", 0)], 9).await;
    let queues: Vec<&str> = claimed
        .jobs
        .iter()
        .map(|job| job.spec.queue.as_str())
        .collect();
    same(
        queues,
        vec!["maps"],
        "the claim began after the pause returned; other queues go on",
    );
    same(claimed.next_due, None, "time alone makes nothing due there");
    let late = cx.add(job("mail").build()).await;
    same(
        worker.claim("mail", 9).await.len(),
        0,
        "what comes later waits too",
    );
    same(
        worker.settle(&running[0], succeed()).await,
        Settled::Applied(Kind::Succeed),
        "what was running may end",
    );
    let store = cx.store();
    let stats = sure("stats", || store.stats()).await;
    let paused: Vec<(&str, bool)> = stats
        .queues
        .iter()
        .map(|queue| (queue.queue.as_str(), queue.paused))
        .collect();
    same(
        paused,
        vec![("mail", true), ("maps", false)],
        "someone will ask why nothing runs",
    );
    cx.control(Control::Resume(name("mail"))).await;
    let claimed = worker.claim("mail", 9).await;
    same(claimed.len(), 2, "both are due, and the queue goes on");
    same(claimed[1].id(), late, "in order");
}

/// A queue may be paused before its first job comes.
pub async fn a_pause_holds_for_a_queue_without_jobs(cx: &Cx) {
    cx.control(Control::Pause(name("mail"))).await;
    cx.add(job("mail").build()).await;
    let worker = cx.worker();
    same(
        worker.claim("mail", 9).await.len(),
        0,
        "the queue is paused",
    );
    cx.control(Control::Resume(name("mail"))).await;
    same(worker.claim("mail", 9).await.len(), 1, "it goes on");
}

/// A pause returns while workers claim: none that claims afterwards gets a job.
pub async fn a_pause_among_claims_holds_when_it_returns(cx: &Cx) {
    cx.add_all(&jobs("mail", 400)).await;
    let paused = Arc::new(AtomicBool::new(false));
    let late = cx
        .clients(4, move |number, cx| {
            let paused = paused.clone();
            async move {
                let worker = cx.worker();
                let (mut late, mut after) = (0, 0);
                for turn in 0..200 {
                    let begun_after = paused.load(Ordering::SeqCst);
                    let got = worker.claim("mail", 1).await.len();
                    if begun_after {
                        late += got;
                        after += 1;
                    }
                    if number == 0 && turn == 10 {
                        cx.control(Control::Pause(name("mail"))).await;
                        paused.store(true, Ordering::SeqCst);
                    }
                    if after > 20 {
                        break;
                    }
                }
                late
            }
        })
        .await;
    same(
        late.iter().sum::<usize>(),
        0,
        "a claim begun after the pause returned takes nothing",
    );
}
