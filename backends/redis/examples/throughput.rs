//! How many jobs a second the store takes and gives, with 1 KiB payloads: `throughput URL [JOBS]`. Uses a prefix of its
//! own and leaves its jobs there: point it at a server for trying.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tideway::jobs::JobStore;
use tideway_driver::Net;
use tideway_engine::jobs::call::{ClaimReq, Lane, Settle};
use tideway_engine::jobs::retry::Retry;
use tideway_engine::jobs::{
    Fence, Ids, Keep, Name, NewJob, Outcome, Owner, Spec, Start, WaitFailed,
};
use tideway_engine::{Rng, Seed};
use tideway_redis::{Options, Redis};
use tideway_tokio::Tokio;

const QUEUE: &str = "mail";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let url = args
        .next()
        .unwrap_or_else(|| "redis://127.0.0.1:6379".into());
    let count: usize = args.next().map_or(Ok(100_000), |count| count.parse())?;
    tokio::runtime::Runtime::new()?.block_on(run(&url, count))
}

fn jobs(count: usize, ids: &mut Ids, net: &Net) -> Vec<NewJob> {
    let (queue, kind) = (
        Name::new(QUEUE).expect("a name"),
        Name::new("noop").expect("a name"),
    );
    let payload = Bytes::from(vec![b'x'; 1024]);
    let wall = net.now().wall;
    (0..count)
        .map(|_| NewJob {
            spec: Arc::new(Spec {
                id: ids.next(wall, QUEUE),
                queue: queue.clone(),
                kind: kind.clone(),
                band: 0,
                retry: Retry::default(),
                strikes: 3,
                timeout: None,
                expiry: None,
                unique: None,
                group: None,
                waits: Vec::new(),
                wait_failed: WaitFailed::Cancel,
                keep: Keep::default(),
                headers: Vec::new(),
            }),
            payload: payload.clone(),
            start: Start::Now,
        })
        .collect()
}

async fn run(url: &str, count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let net = Net::of(Tokio::current());
    let mut rng = Rng::new(&net.seed());
    let prefix = format!("throughput-{}", rng.u64());
    let store = Redis::open(net.clone(), url, Options::default().prefix(prefix)).await?;
    let mut ids = Ids::new(Rng::new(&Seed::from_u64(rng.u64())));
    for batch in [1, 100, 1000] {
        let all = jobs(if batch == 1 { count / 20 } else { count }, &mut ids, &net);
        let begun = Instant::now();
        for chunk in all.chunks(batch) {
            store.enqueue(chunk).await?;
        }
        rate(&format!("enqueue by {batch}"), all.len(), begun.elapsed());
        drain(&store, if batch == 1 { 100 } else { batch }, &mut rng).await?;
    }
    Ok(())
}

/// Claims and settles all there is: one task claims while another settles.
async fn drain(
    store: &Redis,
    batch: usize,
    rng: &mut Rng,
) -> Result<(), Box<dyn std::error::Error>> {
    let (to, mut from) = tokio::sync::mpsc::channel::<Vec<Settle>>(2);
    let settler = store.clone();
    let settling = tokio::spawn(async move {
        while let Some(settles) = from.recv().await {
            settler.settle(&settles).await?;
        }
        Ok::<(), tideway::jobs::StoreError>(())
    });
    let mut req = ClaimReq {
        owner: Owner::draw(rng),
        seq: 0,
        lanes: vec![(
            Lane {
                queue: Name::new(QUEUE)?,
                band: 0,
            },
            u32::try_from(batch)?,
        )],
        limit: u32::try_from(batch)?,
        max_bytes: 64 << 20,
        lease: Duration::from_secs(30),
    };
    let (begun, mut all) = (Instant::now(), 0);
    loop {
        req.seq += 1;
        let claimed = store.claim(&req).await?.jobs;
        if claimed.is_empty() {
            break;
        }
        all += claimed.len();
        let settles = claimed.into_iter().filter_map(|job| {
            Some(Settle {
                id: job.id(),
                fence: Fence {
                    token: job.token,
                    owner: job.owner?,
                },
                outcome: Outcome::Succeeded(Bytes::new()),
                progress: None,
                then: Vec::new(),
            })
        });
        to.send(settles.collect()).await?;
    }
    drop(to);
    settling.await??;
    rate(
        &format!("claim and settle by {batch}"),
        all,
        begun.elapsed(),
    );
    Ok(())
}

fn rate(what: &str, jobs: usize, time: Duration) {
    println!("{what:24} {:8.0} jobs/s", jobs as f64 / time.as_secs_f64());
}
