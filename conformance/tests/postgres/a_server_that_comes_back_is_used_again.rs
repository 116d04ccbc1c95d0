//! The server is killed and restarted while callers work: they go on within two seconds, and nothing that was
//! accepted is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::servers::PostgresServer;
use tideway_engine::jobs::State;
use tideway_engine::jobs::call::Wake;
use tideway_engine::jobs::{Id, Owner};
use tideway_postgres::Options;

use crate::world::{block_on, id, ms, open, plain, request, sound, success};

#[test]
fn killed_three_times_under_load() {
    let mut server = PostgresServer::start().unwrap();
    let store = open(&server.url(), Options::default()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicU64::new(1));
    let settled = Arc::new(AtomicU64::new(0));
    let mut hints = store.wakeups(Owner(1));
    let producer = {
        let (store, stop, next) = (store.clone(), stop.clone(), next.clone());
        std::thread::spawn(move || {
            let mut accepted: Vec<Id> = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let new = [plain(u128::from(n))];
                // The same call until it is answered, as a worker does.
                while !stop.load(Ordering::Relaxed) {
                    match block_on(store.enqueue(&new)) {
                        Ok(_) => {
                            accepted.push(id(u128::from(n)));
                            break;
                        }
                        Err(StoreError::Fatal(text)) => panic!("{text}"),
                        Err(_) => std::thread::sleep(ms(20)),
                    }
                }
            }
            accepted
        })
    };
    let consumer = {
        let (store, stop, settled) = (store.clone(), stop.clone(), settled.clone());
        std::thread::spawn(move || {
            let mut seq = 1;
            while !stop.load(Ordering::Relaxed) {
                let Some(claimed) = retry(&stop, || block_on(store.claim(&request(9, seq, 20))))
                else {
                    break;
                };
                seq += 1;
                let settles: Vec<_> = claimed.jobs.iter().map(success).collect();
                if !settles.is_empty()
                    && retry(&stop, || block_on(store.settle(&settles))).is_some()
                {
                    settled.fetch_add(settles.len() as u64, Ordering::Relaxed);
                }
            }
        })
    };
    for _ in 0..3 {
        std::thread::sleep(ms(700));
        server.kill();
        std::thread::sleep(ms(300));
        assert!(
            block_on(store.health()).is_err(),
            "a server that is gone is not healthy"
        );
        server.restart().unwrap();
        let up = Instant::now();
        let before = settled.load(Ordering::Relaxed);
        while settled.load(Ordering::Relaxed) == before {
            assert!(
                up.elapsed() < Duration::from_secs(20),
                "nothing is settled after the port opened"
            );
            std::thread::sleep(ms(5));
        }
        block_on(store.health()).unwrap();
    }
    std::thread::sleep(ms(300));
    stop.store(true, Ordering::Relaxed);
    let accepted = producer.join().unwrap();
    consumer.join().unwrap();
    let records = block_on(store.jobs(&accepted)).unwrap();
    assert!(
        records.iter().all(Option::is_some),
        "what was accepted is there"
    );
    let done = records
        .iter()
        .flatten()
        .filter(|job| job.state == State::Succeeded)
        .count();
    assert!(
        done as u64 >= settled.load(Ordering::Relaxed).saturating_sub(20),
        "what was settled has succeeded"
    );
    sound(&store);
    // Hints come again, from others too.
    let other = open(&server.url(), Options::default()).unwrap();
    block_on(async {
        tokio::time::sleep(ms(1500)).await;
        while let Ok(Some(_)) = tokio::time::timeout(ms(50), hints.next()).await {}
        other.enqueue(&[plain(1 << 70)]).await.unwrap();
        let hint = tokio::time::timeout(Duration::from_secs(2), hints.next()).await;
        assert!(matches!(hint, Ok(Some(Wake::Queue(_)))), "{hint:?}");
    });
}

fn retry<T>(stop: &AtomicBool, mut call: impl FnMut() -> Result<T, StoreError>) -> Option<T> {
    loop {
        match call() {
            Ok(done) => return Some(done),
            Err(StoreError::Fatal(text)) => panic!("{text}"),
            Err(_) if stop.load(Ordering::Relaxed) => return None,
            Err(_) => std::thread::sleep(ms(20)),
        }
    }
}
