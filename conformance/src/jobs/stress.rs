//! Real clients at the same time, each in a thread of its own with the runtime running.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Barrier};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use tideway_engine::jobs::call::{Control, Settled};
use tideway_engine::jobs::{Id, Kind, Record, State};
use tideway_engine::{Rng, Seed};

use super::Cx;
use super::fixture::jobs;
use super::worker::{die, fence, release, retry, succeed};
use crate::suite::claim::{fail, holds, same};

const CLIENTS: usize = 8;

/// One lease, as the client that had it saw it.
struct Lease {
    id: Id,
    token: u64,
    /// When the claim that gave it was answered.
    given: Instant,
    /// When its settle was sent, and what it did; `None` if the client stopped before.
    ended: Option<(Instant, Settled)>,
}

/// No job is leased twice at once, every token is given once, and every job ends.
pub async fn clients_at_once_never_share_a_lease(cx: &Cx) {
    const JOBS: usize = 25;
    let ids = cx.add_all(&jobs("mail", CLIENTS * JOBS)).await;
    let start = Arc::new(Barrier::new(CLIENTS));
    let clients = cx.clients(CLIENTS, move |number, cx| {
        let start = start.clone();
        async move {
            start.wait();
            work(&cx, number).await
        }
    });
    let leases: Vec<Lease> = clients.await.into_iter().flatten().collect();
    // What was still waiting for its turn when the others stopped.
    let mut more = Vec::new();
    while let [job] = &*cx.worker().claim("mail", 1).await {
        more.push(Lease {
            id: job.id(),
            token: job.token,
            given: Instant::now(),
            ended: Some((Instant::now(), cx.worker().settle(job, succeed()).await)),
        });
        holds(
            more.len() < 10_000,
            "jobs that were given back end at last",
            "ten thousand claims and no end",
            "each is settled once",
        );
    }
    let records = cx.records(&ids).await;
    check(&ids, &records, leases.into_iter().chain(more));
}

/// Claims and settles until nothing comes any more; repeats calls as if replies were lost.
async fn work(cx: &Cx, number: usize) -> Vec<Lease> {
    let mut rng = Rng::new(&Seed::from_u64(number as u64));
    let worker = cx.worker();
    let (mut leases, mut empty) = (Vec::new(), 0);
    for _ in 0..400 {
        // A fast store would serve one client to its end before the next one has started.
        yield_now();
        let req = worker.req(&[("mail", 0)], 1 + rng.below(4) as u32);
        let jobs = cx.claim(&req).await.jobs;
        let given = Instant::now();
        if rng.chance(200_000) {
            let again: Vec<Id> = cx.claim(&req).await.jobs.iter().map(Record::id).collect();
            same(
                again,
                jobs.iter().map(Record::id).collect(),
                "the repeat of a claim returns the same jobs, whoever claims meanwhile",
            );
        }
        empty = if jobs.is_empty() { empty + 1 } else { 0 };
        if empty > 3 {
            break;
        }
        for job in jobs {
            yield_now();
            let ends = [
                succeed(),
                succeed(),
                succeed(),
                die(),
                retry(Duration::ZERO),
                release(),
            ];
            let outcome = ends[rng.below(ends.len() as u64) as usize].clone();
            let sent = Instant::now();
            let settled = worker.settle(&job, outcome.clone()).await;
            if rng.chance(200_000) {
                let again = worker.settle(&job, outcome).await;
                holds(
                    matches!(again, Settled::Already(_) | Settled::Fenced),
                    "Already, or Fenced if another has it since",
                    format!("{again:?}"),
                    "the first settle was answered",
                );
            }
            leases.push(Lease {
                id: job.id(),
                token: fence(&job).token,
                given,
                ended: Some((sent, settled)),
            });
        }
    }
    leases
}

fn check(ids: &[Id], records: &[Option<Record>], leases: impl Iterator<Item = Lease>) {
    let mut by_job: BTreeMap<Id, Vec<Lease>> = BTreeMap::new();
    for lease in leases {
        by_job.entry(lease.id).or_default().push(lease);
    }
    let known: BTreeSet<Id> = ids.iter().copied().collect();
    let strange: Vec<&Id> = by_job.keys().filter(|id| !known.contains(id)).collect();
    same(strange, vec![], "a job that nobody enqueued was claimed");
    for (id, record) in ids.iter().zip(records) {
        let Some(record) = record else {
            fail(
                format!("the record of {id}"),
                "there is none",
                "no accepted job disappears",
            )
        };
        let mut leases = by_job.remove(id).unwrap_or_default();
        leases.sort_by_key(|lease| lease.token);
        let tokens: Vec<u64> = leases.iter().map(|lease| lease.token).collect();
        same(
            tokens,
            (1..=record.token).collect(),
            &format!("each claim of {id} raised its token by one, and one client got it"),
        );
        for pair in leases.windows(2) {
            let ended = pair[0].ended.as_ref().map(|(sent, _)| *sent);
            holds(
                ended.is_some_and(|sent| sent < pair[1].given),
                format!(
                    "lease {} of {id} is given after the settle of lease {} was sent",
                    pair[1].token, pair[0].token
                ),
                format!("given {:?}, sent {ended:?}", pair[1].given),
                "two workers held the job at the same time",
            );
        }
        let mut failures = 0;
        for lease in &leases {
            match lease.ended {
                Some((_, Settled::Applied(kind))) => {
                    failures += u32::from(matches!(kind, Kind::Retry | Kind::Die));
                }
                ref other => fail(
                    format!(
                        "lease {} of {id} is settled, as nobody else held the job",
                        lease.token
                    ),
                    format!("{:?}", other.as_ref().map(|(_, settled)| settled)),
                    "the long lease was current",
                ),
            }
        }
        same(
            record.failures,
            failures,
            &format!("the failures of {id} are all counted"),
        );
        holds(
            record.state.ended(),
            format!("{id} has ended"),
            format!("{:?}", record.state),
            "every job that is due is claimed in the end",
        );
    }
}

/// Everything at once: nothing is lost, nothing is left over, and the books balance.
pub async fn random_calls_at_once_lose_nothing(cx: &Cx) {
    const TURNS: usize = 60;
    let accepted = cx
        .clients(CLIENTS, |number, cx| async move {
            let mut rng = Rng::new(&Seed::from_u64(1000 + number as u64));
            let worker = cx.worker();
            let (mut ids, mut held) = (Vec::<Id>::new(), Vec::<Record>::new());
            for _ in 0..TURNS {
                yield_now();
                match rng.below(7) {
                    0 | 1 => {
                        let new = jobs("mail", 1 + rng.below(3) as usize);
                        ids.extend(cx.add_all(&new).await);
                        if rng.chance(300_000) {
                            cx.enqueue(&new).await;
                        }
                    }
                    2 | 3 => held.extend(worker.claim("mail", 1 + rng.below(3) as u32).await),
                    4 => {
                        if let Some(job) = held.pop() {
                            let ends = [succeed(), die(), retry(Duration::ZERO), release()];
                            let end = ends[rng.below(4) as usize].clone();
                            worker.settle(&job, end).await;
                        }
                    }
                    5 => {
                        if let Some(job) = held.last() {
                            worker.beat(job, super::cx::LONG).await;
                        }
                    }
                    _ => {
                        if let Some(id) = ids.last() {
                            cx.ask(*id, Control::Cancel).await;
                        }
                    }
                }
            }
            for job in held {
                worker.settle(&job, succeed()).await;
            }
            ids
        })
        .await;
    let ids: Vec<Id> = accepted.into_iter().flatten().collect();
    let worker = cx.worker();
    for job in worker.claim("mail", 10_000).await {
        worker.settle(&job, succeed()).await;
    }
    let records = cx.records(&ids).await;
    let open: Vec<(Id, Option<State>)> = ids
        .iter()
        .zip(&records)
        .map(|(id, job)| (*id, job.as_ref().map(|job| job.state)))
        .filter(|(_, state)| !state.is_some_and(State::ended))
        .collect();
    same(
        open,
        vec![],
        "accepted is ended, once all that was due is settled",
    );
    let store = cx.store();
    let stats = super::cx::sure("stats", || tideway::jobs::JobStore::stats(&store)).await;
    let counted: u64 = stats
        .queues
        .iter()
        .map(|queue| {
            queue.waiting
                + queue.pending
                + queue.running
                + queue.succeeded
                + queue.dead
                + queue.cancelled
        })
        .sum();
    same(
        counted,
        ids.len() as u64,
        "the counts add up to what was accepted",
    );
}
