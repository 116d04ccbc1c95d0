//! The store around the model: shared by clones and threads, on the clock it was given.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tideway::jobs::{DynJobStore, JobStore, StoreError};
use tideway_engine::Wall;
use tideway_engine::jobs::call::{Enqueued, Settled};
use tideway_engine::jobs::{Kind, Owner};
use tideway_memory::Memory;

use crate::world::*;

fn now<F: Future>(call: F) -> F::Output {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(out) => out,
        Poll::Pending => panic!("the memory store waited"),
    }
}

#[test]
fn a_clone_sees_the_same_jobs() {
    let store = Memory::new(Arc::new(|| Wall(5)));
    let erased = DynJobStore::new(store.clone());
    assert_eq!(
        now(erased.enqueue(&[plain(1)])).unwrap(),
        [Enqueued::Inserted]
    );
    let job = now(store.jobs(&[id(1)])).unwrap().remove(0).unwrap();
    assert_eq!(job.enqueued_at, Wall(5));
    assert_eq!(store.snapshot().unwrap().job(id(1)), Some(&job));
}

#[test]
fn a_full_store_refuses_a_batch_whole() {
    let store = Memory::max_jobs(Arc::new(|| Wall(5)), 2);
    now(store.enqueue(&[plain(1)])).unwrap();
    let refused = now(store.enqueue(&[plain(2), plain(3)]));
    assert!(
        matches!(refused, Err(StoreError::Transient(_))),
        "{refused:?}"
    );
    assert_eq!(store.snapshot().unwrap().len(), 1);
    now(store.enqueue(&[plain(2)])).unwrap();
}

#[test]
fn threads_claim_and_settle_every_job_once() {
    let store = Memory::default();
    let all: Vec<_> = (1..=4000).map(plain).collect();
    now(store.enqueue(&all)).unwrap();
    let work = |owner: u128| {
        let store = store.clone();
        move || {
            let mut world = World::new();
            let mut applied = 0;
            loop {
                let req = world.request(Owner(owner), 7);
                let got = now(store.claim(&req)).unwrap().jobs;
                if got.is_empty() {
                    return applied;
                }
                let settles: Vec<_> = got.iter().map(|job| settle_of(job, done())).collect();
                let out = now(store.settle(&settles)).unwrap();
                assert!(
                    out.iter()
                        .all(|one| *one == Settled::Applied(Kind::Succeed))
                );
                applied += out.len();
            }
        }
    };
    let threads: Vec<_> = (1..=8).map(|n| std::thread::spawn(work(n))).collect();
    let applied: usize = threads.into_iter().map(|one| one.join().unwrap()).sum();
    assert_eq!(applied, 4000);
    assert_eq!(now(store.audit()).unwrap().flaws, Vec::<String>::new());
}
