//! Small histories of real clients, compared with the specification.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use tideway_engine::jobs::call::{Beat, Control, Limit, Scope, Select};
use tideway_engine::jobs::{Conflict, Hold, Id, NewJob, Record};
use tideway_engine::{Rng, Seed, Wall};

use super::Cx;
use super::fixture::{job, name};
use super::history::{Call, Entry, is_linearizable};
use super::worker::{die, end, fence, release, retry, succeed};
use crate::suite::claim::fail;

const CLIENTS: usize = 4;
const CALLS: usize = 3;
const WINDOWS: u64 = 40;

/// What a client of the window may use.
struct Window {
    queue: String,
    jobs: Vec<NewJob>,
    exact: bool,
    unique: bool,
    limits: bool,
}

/// Whatever happens at the same time, the replies are those of one call after the other.
pub async fn replies_are_those_of_one_call_after_the_other(cx: &Cx) {
    let now = cx.now().await;
    for seed in 0..WINDOWS {
        let mut rng = Rng::new(&Seed::from_u64(seed));
        let queue = format!("mail {seed}");
        let caps = cx.caps();
        let jobs = (0..5).map(|n| {
            // All due at the same time in the past, so that ids alone order them, on any clock.
            let new = job(&queue).at(Wall(now.0 - 1000));
            if caps.unique && n >= 3 {
                let conflict = [Conflict::Keep, Conflict::Replace][rng.below(2) as usize];
                return new
                    .unique("k", Hold::UntilStart)
                    .on_conflict(conflict)
                    .build();
            }
            new.build()
        });
        let window = Arc::new(Window {
            jobs: jobs.collect(),
            exact: cx.clock().is_some(),
            unique: caps.unique,
            limits: caps.limits,
            queue,
        });
        let barrier = Arc::new(Barrier::new(CLIENTS));
        let histories = cx.clients(CLIENTS, move |client, cx| {
            let (window, barrier) = (window.clone(), barrier.clone());
            async move {
                barrier.wait();
                run(&cx, &window, seed, client).await
            }
        });
        let history: Vec<Entry> = histories.await.into_iter().flatten().collect();
        if !is_linearizable(&history, now, cx.looks_before_it_takes()) {
            let mut shown = history.clone();
            shown.sort_by_key(|entry| entry.sent);
            let base = shown.first().map(|entry| entry.sent);
            let lines = shown.iter().map(|entry| {
                let since = |time: std::time::Instant| {
                    base.map_or(0, |base| time.duration_since(base).as_nanos())
                };
                let Entry {
                    client,
                    sent,
                    answered,
                    call,
                    said,
                } = entry;
                format!(
                    "\n      client {client}, {} to {} ns: {call:?} -> {said:?}",
                    since(*sent),
                    since(*answered)
                )
            });
            fail(
                "an order of these calls in which the specification gives the same replies",
                format!("none, for window {seed}:{}", lines.collect::<String>()),
                "each call is atomic: it happens at one moment between its request and its reply",
            );
        }
    }
}

async fn run(cx: &Cx, window: &Window, seed: u64, client: usize) -> Vec<Entry> {
    let mut rng = Rng::new(&Seed::from_u64((seed << 8) | (client as u64 + 1)));
    let worker = cx.worker();
    let mut held: Vec<Record> = Vec::new();
    let mut history = Vec::new();
    for turn in 0..CALLS {
        // Something must be there before anything can happen to it.
        let call = if turn == 0 && client < 2 {
            enqueue(window, &mut rng)
        } else {
            call(window, &mut rng, &held, || {
                worker.req(&[(&window.queue, 0)], 2)
            })
        };
        let (entry, claimed) = call.make(cx, client).await;
        held.extend(claimed);
        history.push(entry);
    }
    history
}

fn some(window: &Window, rng: &mut Rng) -> NewJob {
    let count = if window.unique { window.jobs.len() } else { 3 };
    window.jobs[rng.below(count as u64) as usize].clone()
}

fn enqueue(window: &Window, rng: &mut Rng) -> Call {
    Call::Enqueue((0..2).map(|_| some(window, rng)).collect())
}

fn call(
    window: &Window,
    rng: &mut Rng,
    held: &[Record],
    claim: impl FnOnce() -> tideway_engine::jobs::call::ClaimReq,
) -> Call {
    let all: Vec<Id> = window.jobs.iter().map(|job| job.spec.id).collect();
    let queue = || name(&window.queue);
    if let Some(job) = held.last()
        && rng.below(2) == 0
    {
        if rng.below(3) == 0 {
            return Call::Beat(vec![Beat {
                id: job.id(),
                fence: fence(job),
                progress: Some(bytes::Bytes::from(vec![rng.below(9) as u8])),
            }]);
        }
        let mut ends = vec![succeed(), die()];
        if window.exact {
            // Their `run_at` orders the lane.
            ends.extend([retry(Duration::ZERO), release()]);
        }
        let outcome = ends[rng.below(ends.len() as u64) as usize].clone();
        return Call::Settle(vec![end(job, outcome)]);
    }
    match rng.below(12) {
        0 | 1 => enqueue(window, rng),
        2..=5 => Call::Claim(claim()),
        6 | 7 => Call::Jobs(all),
        8 => Call::Counts(queue()),
        9 => Call::Control(Control::Cancel(Select::Ids(vec![
            some(window, rng).spec.id,
        ]))),
        10 if rng.below(2) == 0 => Call::Control(Control::Pause(queue())),
        10 => Call::Control(Control::Resume(queue())),
        _ if window.limits => {
            let limit = Limit {
                running: Some(1),
                rate: None,
            };
            Call::Control(Control::Limit(Scope::Queue(queue()), limit))
        }
        _ => Call::Control(Control::Delete(Select::Ids(vec![
            some(window, rng).spec.id,
        ]))),
    }
}
