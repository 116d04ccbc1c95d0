//! How long a claim takes before a backlog: ten jobs are claimed, settled and replaced, again and again.

use std::time::{Duration, Instant};

use bench_served::{Queue as _, Work, percentile, print};
use bytes::Bytes;
use tideway::jobs::JobStore as _;
use tideway_engine::jobs::call::{ClaimReq, Lane, Settle, Settled};
use tideway_engine::jobs::{Fence, Kind, Name, Outcome, Owner};

use crate::InStore;

/// Jobs of a claim.
const TAKEN: u32 = 10;
/// Claims that are measured, after some that are not.
const CLAIMS: u64 = 500;
const WARM: u64 = 50;

pub(crate) async fn run(queue: &InStore) {
    let (args, store) = (&queue.args, &queue.store);
    let mut made = 0;
    while made < args.jobs {
        let count = args.batch.min(args.jobs - made);
        queue
            .push((0..count).map(|n| Work::new(made + n, 0)).collect())
            .await;
        made += count;
    }
    let owner = Owner(7);
    let mut times = Vec::new();
    for seq in 1..=WARM + CLAIMS {
        let lane = Lane {
            queue: Name::new("default").expect("a name"),
            band: 0,
        };
        let req = ClaimReq {
            owner,
            seq,
            lanes: vec![(lane, TAKEN)],
            limit: TAKEN,
            max_bytes: 8 << 20,
            lease: Duration::from_secs(60),
        };
        let start = Instant::now();
        let claimed = store.claim(&req).await.expect("claimed");
        let took = start.elapsed();
        assert_eq!(claimed.jobs.len(), TAKEN as usize);
        if seq > WARM {
            times.push(took.as_secs_f64() * 1e3);
        }
        let settles: Vec<Settle> = claimed
            .jobs
            .iter()
            .map(|record| Settle {
                id: record.id(),
                fence: Fence {
                    token: record.token,
                    owner,
                },
                outcome: Outcome::Succeeded(Bytes::new()),
                progress: None,
                then: Vec::new(),
            })
            .collect();
        let settled = store.settle(&settles).await.expect("settled");
        let applied = Settled::Applied(Kind::Succeed);
        assert!(settled.iter().all(|one| *one == applied));
        queue
            .push(
                (0..TAKEN as usize)
                    .map(|n| Work::new(made + n, 0))
                    .collect(),
            )
            .await;
        made += TAKEN as usize;
    }
    let numbers = [("p50", 0.5), ("p99", 0.99), ("max", 1.0)]
        .map(|(name, part)| (format!("claim_{name}_ms"), percentile(&mut times, part)));
    print("ours", &numbers);
}
