//! Figures, not verdicts: jobs per second at batches of 1000 with payloads of 1 KiB, and how long a claim takes
//! before a short and a long backlog. Run alone, in release: `cargo test --release -p tideway-conformance --test postgres
//! measure -- --ignored --nocapture`; `BACKLOG` is the long one, a million unless set.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tideway::jobs::JobStore;
use tideway_conformance::servers::PostgresServer;
use tideway_engine::jobs::call::ClaimReq;
use tideway_engine::jobs::{Ids, NewJob};
use tideway_engine::{Rng, Seed, Wall};
use tideway_postgres::{Options, Postgres};

use crate::world::{block_on, job, open, request, success};

const BATCH: usize = 1000;

fn jobs(ids: &mut Ids, count: usize) -> Vec<NewJob> {
    let payload = Bytes::from(vec![b'x'; 1024]);
    let one = |_| {
        let mut new = job(ids.next(Wall(1_700_000_000_000), "mail").as_u128(), |_| {});
        new.payload = payload.clone();
        new
    };
    (0..count).map(one).collect()
}

fn ids(seed: u64) -> Ids {
    Ids::new(Rng::new(&Seed::from_u64(seed)))
}

fn asks(owner: u128, seq: u64, most: usize) -> ClaimReq {
    ClaimReq {
        max_bytes: usize::MAX,
        ..request(owner, seq, most as u32)
    }
}

async fn fill(store: &Postgres, seed: u64, count: usize) -> Duration {
    let mut ids = ids(seed);
    let batches: Vec<Vec<NewJob>> = (0..count / BATCH).map(|_| jobs(&mut ids, BATCH)).collect();
    let begun = Instant::now();
    for batch in &batches {
        store.enqueue(batch).await.unwrap();
    }
    begun.elapsed()
}

/// Two claim and settle at once until nothing is left.
async fn drain(store: &Postgres, round: u64) -> Duration {
    let begun = Instant::now();
    let store = Arc::new(store.clone());
    let workers = (1..=2_u128).map(|n| {
        let owner = n + 2 * u128::from(round);
        let store = store.clone();
        tokio::spawn(async move {
            for seq in 1.. {
                let claimed = store.claim(&asks(owner, seq, BATCH)).await.unwrap().jobs;
                if claimed.is_empty() {
                    break;
                }
                let settles: Vec<_> = claimed.iter().map(success).collect();
                store.settle(&settles).await.unwrap();
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    begun.elapsed()
}

/// The middle and the worst of a hundred of 400 claims of 50.
async fn claims(store: &Postgres, owner: u128) -> (Duration, Duration) {
    let mut times = Vec::new();
    for seq in 1..=400 {
        let begun = Instant::now();
        let claimed = store.claim(&asks(owner, seq, 50)).await.unwrap().jobs;
        times.push(begun.elapsed());
        let settles: Vec<_> = claimed.iter().map(success).collect();
        store.settle(&settles).await.unwrap();
        // As many come as go.
        store
            .enqueue(&jobs(&mut ids(owner as u64 * 1000 + seq), 50))
            .await
            .unwrap();
    }
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

#[test]
#[ignore = "it measures for minutes, and says nothing while others use the machine"]
fn measure() {
    const JOBS: usize = 60_000;
    let backlog = std::env::var("BACKLOG")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000_000);
    let server = PostgresServer::start().unwrap();
    let rate = |time: Duration| (JOBS as f64 / time.as_secs_f64()) as u64;
    for delete in [false, true] {
        let options = Options::default()
            .schema(format!("rate_{delete}"))
            .delete_succeeded(delete);
        let store = open(&server.url(), options).unwrap();
        for round in 0..3 {
            let enqueue = block_on(fill(&store, round, JOBS));
            let work = block_on(drain(&store, round));
            println!(
                "deleted {delete}: enqueue {}/s, claim and settle {}/s",
                rate(enqueue),
                rate(work)
            );
        }
    }
    for (owner, backlog) in [(11, 1000), (12, backlog)] {
        let store = open(
            &server.url(),
            Options::default().schema(format!("backlog_{backlog}")),
        )
        .unwrap();
        block_on(fill(&store, 77, backlog));
        let (p50, p99) = block_on(claims(&store, owner));
        println!("claim of 50 before {backlog}: p50 {p50:?}, p99 {p99:?}");
    }
}
