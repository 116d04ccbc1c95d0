//! The server dies under load and comes back: calls go on within two seconds, nothing that was answered is lost but what
//! the store declares, and hints come again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::servers::{Persistence, RedisServer};
use tideway_engine::jobs::Owner;
use tideway_engine::jobs::call::{Enqueued, Wake};

use crate::world::{block_on, fresh, id, open, plain, record, sound};

/// Enqueues until told to stop, each job until it is answered; the jobs that were accepted, and when.
async fn produce(
    store: tideway_redis::Redis,
    first: u128,
    stop: Arc<AtomicBool>,
) -> Vec<(u128, Instant)> {
    let mut accepted = Vec::new();
    for n in first.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        loop {
            match store.enqueue(&[plain(n)]).await {
                Ok(out) => {
                    assert!(matches!(
                        out[..],
                        [Enqueued::Inserted | Enqueued::Duplicate]
                    ));
                    accepted.push((n, Instant::now()));
                    break;
                }
                Err(StoreError::Transient(_) | StoreError::Ambiguous(_)) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    accepted
}

#[test]
fn five_times_under_load() {
    five_times(Persistence::Always, Duration::ZERO);
}

/// With `everysec` Redis answers before it writes, for up to two seconds, while the disk is slow.
#[test]
fn five_times_under_load_with_a_sync_each_second() {
    five_times(Persistence::EverySecond, Duration::from_millis(2500));
}

/// What was accepted longer than `forgets` before a death is there after it.
fn five_times(persistence: Persistence, forgets: Duration) {
    let mut server = RedisServer::start(persistence).expect("a server");
    let store = open(&server.url(), fresh()).expect("a store");
    let mut hints = store.wakeups(Owner(7));
    let stop = Arc::new(AtomicBool::new(false));
    let producers = block_on(async {
        let tasks = (0..4_u128).map(|p| produce(store.clone(), p << 32 | 1, stop.clone()));
        tasks.map(tokio::spawn).collect::<Vec<_>>()
    });
    let mut deaths = Vec::new();
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(200) + forgets);
        server.kill();
        std::thread::sleep(Duration::from_millis(100));
        // Whatever it answered has been heard by now.
        deaths.push(Instant::now());
        server.restart().expect("a server");
        let back = Instant::now();
        while let Err(error) = block_on(store.health()) {
            assert!(back.elapsed() < Duration::from_secs(2), "{error}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut all = 0;
    let accepted = producers.into_iter().map(block_on);
    let accepted: Vec<_> = accepted.map(|jobs| jobs.expect("a producer")).collect();
    let last_before = |death: &Instant| {
        let times = accepted.iter().flatten().map(|&(_, at)| at);
        times.filter(|at| at <= death).max()
    };
    let lasts: Vec<Instant> = deaths.iter().filter_map(last_before).collect();
    for jobs in &accepted {
        for &(n, at) in jobs {
            let may_be_lost = lasts.iter().any(|&last| at <= last && last - at < forgets);
            assert!(
                may_be_lost || record(&store, id(n)).is_some(),
                "job {n:x} was accepted and is lost"
            );
            all += 1;
        }
    }
    assert!(all > 100, "{all}");
    // Hints: first take those that came, then wait for that of a new job.
    block_on(async {
        let drained = async { while hints.next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_millis(1500), drained).await;
        store.enqueue(&[plain(1 << 60)]).await.expect("an answer");
        let hint = tokio::time::timeout(Duration::from_secs(2), hints.next()).await;
        assert!(matches!(hint, Ok(Some(Wake::Queue(_)))), "{hint:?}");
    });
    sound(&store);
}
