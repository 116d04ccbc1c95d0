//! Hints of the store: one for every way a job becomes claimable, few pending, none for those who left.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use tideway::jobs::JobStore;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{Control, Limit, Scope, Select, Wake};
use tideway_engine::jobs::{Owner, Start};
use tideway_memory::Memory;

use crate::world::*;

struct Count(AtomicUsize);

impl std::task::Wake for Count {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a store promises never to do is wait.
fn now<F: Future>(call: F) -> F::Output {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(out) => out,
        Poll::Pending => panic!("the memory store waited"),
    }
}

struct Ear {
    hints: Pin<Box<dyn Stream<Item = Wake> + Send>>,
    woken: Arc<Count>,
}

impl Ear {
    fn new(store: &Memory, owner: Owner) -> Self {
        let woken = Arc::new(Count(AtomicUsize::new(0)));
        let hints = store.wakeups(owner);
        let mut ear = Self { hints, woken };
        assert_eq!(ear.all(), []);
        ear
    }

    fn poll(&mut self) -> Poll<Option<Wake>> {
        let waker = self.woken.clone().into();
        self.hints
            .as_mut()
            .poll_next(&mut Context::from_waker(&waker))
    }

    fn all(&mut self) -> Vec<Wake> {
        let mut all = Vec::new();
        while let Poll::Ready(Some(hint)) = self.poll() {
            all.push(hint);
        }
        all
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }
}

fn store() -> (Memory, Arc<AtomicI64>) {
    let time = Arc::new(AtomicI64::new(1000));
    let clock = time.clone();
    let store = Memory::new(Arc::new(move || Wall(clock.load(Ordering::Relaxed))));
    (store, time)
}

fn request(world: &mut World, limit: u32) -> tideway_engine::jobs::call::ClaimReq {
    let mut req = world.request(A, limit);
    req.lanes.push((lane(tideway_engine::jobs::SUSPECT), limit));
    req
}

#[test]
fn equal_hints_are_one_and_wake_once() {
    let (store, _) = store();
    let mut ear = Ear::new(&store, A);
    for n in 1..=100 {
        now(store.enqueue(&[plain(n)])).unwrap();
    }
    assert_eq!(ear.woken(), 1);
    assert_eq!(ear.all(), [Wake::Queue(name("mail"))]);
    // Not empty, and hinted all the same.
    now(store.enqueue(&[plain(101)])).unwrap();
    assert_eq!(ear.all(), [Wake::Queue(name("mail"))]);
    assert_eq!(ear.woken(), 2);
    // A repeat inserts nothing.
    now(store.enqueue(&[plain(101)])).unwrap();
    assert_eq!(ear.all(), []);
}

#[test]
fn every_way_into_a_lane_is_hinted() {
    let mut world = World::new();
    let (store, time) = store();
    let mut ear = Ear::new(&store, B);
    let hint = [Wake::Queue(name("mail"))];
    let claim = |world: &mut World| now(store.claim(&request(world, 1))).unwrap().jobs;
    now(store.enqueue(&[plain(1), waiting(2, &[1])])).unwrap();
    assert_eq!(ear.all(), hint, "inserted");
    for outcome in [
        retry(0),
        tideway_engine::jobs::Outcome::Snoozed(ms(0)),
        crashed(),
    ] {
        let got = claim(&mut world);
        assert_eq!(ids(&got), [1]);
        assert_eq!(ear.all(), []);
        time.fetch_add(30_000, Ordering::Relaxed);
        now(store.settle(&[settle_of(&got[0], outcome)])).unwrap();
        assert_eq!(ear.all(), hint, "put back");
    }
    let got = claim(&mut world);
    now(store.settle(&[settle_of(&got[0], done())])).unwrap();
    assert_eq!(ear.all(), hint, "2 waits no longer");
    let two = || Select::Ids(vec![id(2)]);
    now(store.control(&Control::Reschedule(two(), Start::Now))).unwrap();
    assert_eq!(ear.all(), hint, "put forward");
    now(store.control(&Control::Cancel(two()))).unwrap();
    assert_eq!(ear.all(), []);
    now(store.control(&Control::Revive(two(), Start::Now))).unwrap();
    assert_eq!(ear.all(), hint, "revived");
    now(store.control(&Control::Resume(name("mail")))).unwrap();
    assert_eq!(ear.all(), hint, "resumed");
}

#[test]
fn the_end_of_a_job_is_hinted_if_another_may_start_for_it() {
    let mut world = World::new();
    let (store, _) = store();
    let limit = Limit {
        running: Some(1),
        rate: None,
    };
    now(store.control(&Control::Limit(Scope::EachGroup(name("mail")), limit))).unwrap();
    now(store.enqueue(&[grouped(1, "x"), grouped(2, "x")])).unwrap();
    let got = now(store.claim(&request(&mut world, 9))).unwrap().jobs;
    assert_eq!(ids(&got), [1]);
    let mut ear = Ear::new(&store, B);
    now(store.settle(&[settle_of(&got[0], done())])).unwrap();
    assert_eq!(ear.all(), [Wake::Queue(name("mail"))]);
}

#[test]
fn only_its_owner_is_told_to_stop_a_job() {
    let mut world = World::new();
    let (store, _) = store();
    now(store.enqueue(&[plain(1), plain(2)])).unwrap();
    now(store.claim(&request(&mut world, 9))).unwrap();
    let (mut ours, mut other) = (Ear::new(&store, A), Ear::new(&store, B));
    let cancel = Control::Cancel(Select::Ids(vec![id(1), id(2), id(1)]));
    now(store.control(&cancel)).unwrap();
    assert_eq!(ours.all(), [Wake::Cancel(vec![id(1), id(2)])]);
    assert_eq!(other.all(), []);
}

#[test]
fn a_subscriber_who_left_is_forgotten_and_the_end_of_the_store_ends_the_rest() {
    let (store, _) = store();
    drop(Ear::new(&store, A));
    let mut ear = Ear::new(&store, A);
    now(store.enqueue(&[plain(1)])).unwrap();
    drop(store.clone());
    assert_eq!(ear.poll(), Poll::Ready(Some(Wake::Queue(name("mail")))));
    assert_eq!(ear.poll(), Poll::Pending);
    drop(store);
    assert_eq!(ear.woken(), 2);
    assert_eq!(ear.poll(), Poll::Ready(None));
}
