//! Equal seeds give equal runs to the last byte; different seeds give different ones.

use std::collections::BTreeSet;
use std::time::Duration;

use tideway_driver::{Listener, Runtime};
use tideway_sim::{Link, Sim};

/// Clients that race for a server over bad links; returns who came when, and the digest.
fn run(seed: u64, fifo: bool, last_word: &[u8]) -> (Vec<String>, u128) {
    let sim = if fifo {
        Sim::new(seed).fifo()
    } else {
        Sim::new(seed)
    };
    let server = sim.host("server");
    sim.default_link(Link::hostile());
    let mut port = server.listener(80).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let rt = server.clone();
    server.spawn(async move {
        loop {
            let (mut stream, _) = port.accept().await.unwrap();
            let (tell, at) = (tell.clone(), rt.clone());
            rt.spawn(async move {
                let read = stream.read_to_end().await.map(|read| read.len());
                tell.send(format!(
                    "{:?} {:?}",
                    at.now(),
                    read.map_err(|error| error.kind())
                ))
                .unwrap();
            });
        }
    });
    for n in 0..10 {
        let client = sim.host(&format!("client {n}"));
        let rt = client.clone();
        let mut last_word = last_word.to_vec();
        client.spawn(async move {
            let Ok(mut stream) = rt.connect("server", 80).await else {
                return;
            };
            last_word.push(rt.seed().0[0]);
            for _ in 0..50 {
                if stream.write_all(&[n; 100]).await.is_err() {
                    return;
                }
            }
            let _ = stream.write_all(&last_word).await;
        });
    }
    sim.run_for(Duration::from_secs(60)).unwrap();
    (told.try_iter().collect(), sim.digest())
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..10 {
        for fifo in [false, true] {
            assert_eq!(run(seed, fifo, b"bye"), run(seed, fifo, b"bye"));
        }
    }
}

#[test]
fn another_seed_gives_another_run() {
    let runs: Vec<_> = (0..20).map(|seed| run(seed, false, b"bye")).collect();
    let stories: BTreeSet<_> = runs.iter().map(|(story, _)| story).collect();
    let digests: BTreeSet<_> = runs.iter().map(|(_, digest)| digest).collect();
    assert_eq!((stories.len(), digests.len()), (20, 20));
}

#[test]
fn one_byte_changes_the_digest() {
    let differ = |seed| run(seed, false, b"bye").1 != run(seed, false, b"bya").1;
    assert!((0..5).any(differ));
}

#[test]
fn the_order_of_ready_tasks_is_drawn_unless_fifo() {
    let order = |sim: Sim| {
        let (tell, told) = std::sync::mpsc::channel();
        for n in 0..20 {
            let tell = tell.clone();
            sim.spawn(async move { tell.send(n).unwrap() });
        }
        sim.run_for(Duration::from_secs(1)).unwrap();
        told.try_iter().collect::<Vec<_>>()
    };
    let sorted: Vec<_> = (0..20).collect();
    assert_eq!(order(Sim::new(1).fifo()), sorted);
    let drawn = order(Sim::new(1));
    assert_ne!(drawn, sorted);
    assert_ne!(drawn, order(Sim::new(2)));
    let mut again = drawn.clone();
    again.sort_unstable();
    assert_eq!(again, sorted);
}
