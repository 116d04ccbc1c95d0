//! The server dies under load and comes back: calls go on within two seconds, nothing that was answered is lost,
//! and hints come again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::servers::{Persistence, RedisServer};
use tideway_engine::jobs::Owner;
use tideway_engine::jobs::call::{Enqueued, Wake};

use crate::world::{block_on, fresh, id, open, plain, record, sound};

/// Enqueues until told to stop, each job until it is answered; the jobs that were accepted.
async fn produce(store: tideway_redis::Redis, first: u128, stop: Arc<AtomicBool>) -> Vec<u128> {
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
                    accepted.push(n);
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
    let mut server = RedisServer::start(Persistence::EverySecond).expect("a server");
    let store = open(&server.url(), fresh()).expect("a store");
    let mut hints = store.wakeups(Owner(7));
    let stop = Arc::new(AtomicBool::new(false));
    let producers = block_on(async {
        let tasks = (0..4_u128).map(|p| produce(store.clone(), p << 32 | 1, stop.clone()));
        tasks.map(tokio::spawn).collect::<Vec<_>>()
    });
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(200));
        server.kill();
        std::thread::sleep(Duration::from_millis(100));
        server.restart().expect("a server");
        let back = Instant::now();
        while let Err(error) = block_on(store.health()) {
            assert!(back.elapsed() < Duration::from_secs(2), "{error}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut all = 0;
    for producer in producers {
        for n in block_on(producer).expect("a producer") {
            assert!(
                record(&store, id(n)).is_some(),
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
