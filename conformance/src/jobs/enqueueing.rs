//! What an enqueue does with an id it knows.

use std::time::Duration;

use bytes::Bytes;
use tideway_engine::jobs::Start;
use tideway_engine::jobs::call::Enqueued;

use super::Cx;
use super::fixture::job;
use super::worker::{die, succeed};
use crate::suite::claim::same;

/// A repeat after a lost reply must not run the job twice.
pub async fn a_repeated_enqueue_is_a_duplicate(cx: &Cx) {
    const WHY: &str = "the same job was there already";
    let mut new = job("mail").build();
    let id = cx.add(new.clone()).await;
    let before = cx.record(id).await;
    // A repeat comes later, so it may ask for another start.
    new.start = Start::After(Duration::from_secs(60));
    same(cx.put(&new).await, Enqueued::Duplicate, WHY);
    same(cx.record(id).await, before, "a repeat changes nothing");
    let worker = cx.worker();
    let claimed = worker.take("mail").await;
    same(cx.put(&new).await, Enqueued::Duplicate, WHY);
    worker.settle(&claimed, succeed()).await;
    let before = cx.record(id).await;
    same(
        cx.put(&new).await,
        Enqueued::Duplicate,
        "an id is known for a minute after its end at least",
    );
    same(
        cx.record(id).await,
        before,
        "it has run; it must not run again",
    );
}

/// Two jobs under one id: the second is somebody's mistake, and must be told.
pub async fn another_job_under_a_known_id_is_a_conflict(cx: &Cx) {
    const WHY: &str = "the id belongs to another job";
    let first = job("mail").payload("one").build();
    let id = cx.add(first.clone()).await;
    let mut second = first.clone();
    second.payload = Bytes::from_static(b"two");
    let before = cx.record(id).await;
    same(cx.put(&second).await, Enqueued::IdConflict, WHY);
    same(cx.record(id).await, before, "the first job stays as it is");
    let worker = cx.worker();
    let claimed = worker.take("mail").await;
    worker.settle(&claimed, succeed()).await;
    same(
        cx.put(&second).await,
        Enqueued::IdConflict,
        "the payload is gone after success, its digest is not",
    );
}

/// A payload up to the declared cap is whole when it comes back, and so is none at all.
pub async fn payloads_of_every_size_are_kept(cx: &Cx) {
    let most = cx.caps().max_payload.min(1 << 20);
    let worker = cx.worker();
    for size in [0, 1, 4095, 65_537, most] {
        let payload: Vec<u8> = (0..size.min(most)).map(|n| (n % 251) as u8).collect();
        let id = cx.add(job("mail").payload(payload.clone()).build()).await;
        let claimed = worker.take("mail").await;
        same(
            claimed.payload == payload,
            true,
            &format!("the payload of {id} had {size} bytes"),
        );
        worker.settle(&claimed, die()).await;
        same(
            cx.record(id).await.payload == payload,
            true,
            "a dead job may be run again: it keeps its payload",
        );
    }
}
