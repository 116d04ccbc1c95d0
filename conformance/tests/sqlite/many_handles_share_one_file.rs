//! Eight threads with a handle each, and another process, on one file: each job is claimed once, and nobody
//! is told that the file is busy.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Barrier;

use tideway::jobs::JobStore;
use tideway_engine::jobs::State;
use tideway_sqlite::{Options, Sqlite};

use crate::world::{
    World, as_child, block_on, child, claim, enqueue, plain, request, settle, sound,
};

const CHILD: &str = "many_handles_share_one_file::the_other_process";
const EACH: u128 = 60;

/// Enqueues its own jobs one by one, and works on anybody's until none is left. What it claimed.
fn work(path: &Path, who: u128) -> Vec<u128> {
    let store = Sqlite::open(path, Options::default()).unwrap();
    let mut claimed = Vec::new();
    for (n, seq) in (0..EACH).zip(1..) {
        enqueue(&store, &[plain(who * 1000 + n)]);
        let jobs = claim(&store, &request(who, seq, 2));
        for job in &jobs {
            settle(&store, job);
            claimed.push(job.id().as_u128());
        }
    }
    for seq in 1000.. {
        let jobs = claim(&store, &request(who, seq, 5));
        if jobs.is_empty() {
            break;
        }
        for job in &jobs {
            settle(&store, job);
            claimed.push(job.id().as_u128());
        }
    }
    claimed
}

#[test]
fn the_other_process() {
    let Some(path) = as_child(CHILD) else { return };
    for n in work(&path, 9) {
        println!("claimed {n}");
    }
}

#[test]
fn and_are_all_there_when_it_is_made() {
    for _ in 0..100 {
        let world = World::new();
        let path = world.path();
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    Sqlite::open(&path, Options::default()).map(drop).unwrap();
                });
            }
        });
    }
}

#[test]
fn and_no_job_is_claimed_twice() {
    let world = World::new();
    let path = world.path();
    let program = std::env::current_exe().unwrap();
    // The file is made by whoever comes first.
    let other = child(&program, CHILD, &path).spawn().unwrap();
    let start = Barrier::new(8);
    let mut claimed: Vec<u128> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..9)
            .map(|who| {
                let (path, start) = (&path, &start);
                scope.spawn(move || {
                    start.wait();
                    work(path, who)
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let out = other.wait_with_output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{text}");
    let theirs = text.lines().filter_map(|line| line.split_once("claimed "));
    claimed.extend(theirs.map(|(_, n)| n.parse::<u128>().unwrap()));

    let once: BTreeSet<u128> = claimed.iter().copied().collect();
    assert_eq!(once.len(), claimed.len(), "a job was claimed twice");
    let store = Sqlite::open(&path, Options::default()).unwrap();
    let all = block_on(store.list(&Default::default(), &Default::default(), 10_000)).unwrap();
    assert_eq!(all.items.len() as u128, 9 * EACH);
    for job in all.items {
        assert_eq!(
            (job.state, job.token),
            (State::Succeeded, 1),
            "{}",
            job.id()
        );
    }
    sound(&store);
}
