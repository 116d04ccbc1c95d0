//! A master of a cluster dies that its replica could not follow to the end, and the replica takes its place while a worker
//! works: what the replica has is worked on, what only the dead one had is lost, and no more than that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use redis::Value;
use serde::{Deserialize, Serialize};
use tideway::jobs::pool::PoolConfig;
use tideway::jobs::{
    DynJobStore, Job, JobCx, JobResult, JobStore, Jobs, MaxPayload, State, StoreError,
};
use tideway::{App, Clock, Needs, Seed};
use tideway_conformance::servers::{Persistence, RedisCluster};
use tideway_driver::{Server, Stop};
use tideway_engine::jobs::Id;
use tideway_engine::jobs::call::Durability;
use tideway_redis::Redis;
use tideway_tokio::Tokio;

use crate::world::{block_on, fresh, id_in, job_in, open, raw, sound};

/// How often each number was worked on.
type Done = Arc<Mutex<BTreeMap<u32, u32>>>;

#[derive(Serialize, Deserialize)]
struct Work(u32);

impl Job for Work {
    const NAME: &'static str = "work";

    fn needs(needs: &mut Needs) {
        needs.service::<Done>();
    }

    async fn run(self, cx: JobCx) -> JobResult {
        cx.clock().sleep(Duration::from_millis(20)).await;
        if let Some(done) = cx.service::<Done>() {
            *done.lock().expect("no panic").entry(self.0).or_default() += 1;
        }
        Ok(())
    }
}

/// Waits until it is so.
fn until(what: &str, within: Duration, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < within, "not within {within:?}: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// A line of what a server says of its replication.
fn replication(url: &str, field: &str) -> String {
    let Value::BulkString(text) = raw(url, &[b"INFO", b"replication"]) else {
        panic!("no text");
    };
    let text = String::from_utf8(text).expect("text");
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| *name == field);
    found.map(|(_, value)| value.to_owned()).unwrap_or_default()
}

fn enqueued(jobs: &Jobs, numbers: std::ops::Range<u32>) -> Vec<Id> {
    let all = numbers.map(|n| jobs.enqueue(Work(n)));
    let receipts = block_on(jobs.enqueue_all(all.collect::<Vec<_>>()));
    let ids = receipts
        .into_iter()
        .map(|receipt| receipt.expect("accepted").id);
    ids.collect()
}

fn states(store: &Redis, ids: &[Id]) -> Vec<Option<State>> {
    let records = block_on(store.jobs(ids)).expect("an answer");
    let states = records.into_iter().map(|job| job.map(|job| job.state));
    states.collect()
}

#[test]
fn what_it_has_is_done_and_what_it_never_got_is_lost() {
    let mut cluster = RedisCluster::start_with(Persistence::EverySecond, &[]).expect("a cluster");
    let options = fresh();
    let hosts = cluster.urls().join(",").replace("redis://", "");
    let store = open(&format!("redis-cluster://{hosts}"), options.clone()).expect("a store");
    assert_eq!(store.caps().durability, Durability::Delayed);
    let tag = format!(
        "{{{}:{:03x}}}:m",
        options.prefix,
        id_in("default", 1).shard()
    );
    let Value::Int(slot) = raw(
        &cluster.urls()[0],
        &[b"CLUSTER", b"KEYSLOT", tag.as_bytes()],
    ) else {
        panic!("no slot");
    };
    let old = usize::from(slot > 5460) + usize::from(slot > 10922);
    let new = cluster.replicate(old).expect("a replica");
    let (master, replica) = (
        cluster.urls().swap_remove(old),
        cluster.urls().swap_remove(new),
    );

    let done = Done::default();
    let stop = Stop::new();
    let config = PoolConfig {
        slots: 8,
        lease: Duration::from_secs(2),
        ..PoolConfig::default()
    };
    let app = App::new()
        .store(store.clone())
        .job::<Work>()
        .provide(done.clone());
    let (worker, jobs) = block_on(async {
        let rt = Tokio::current();
        let clock = Clock::new(tideway_driver::tasks(rt.clone()));
        let to = DynJobStore::new(store.clone());
        let jobs = Jobs::new(to, clock, &Seed::from_u64(1), MaxPayload::default());
        let server = Server::new(rt, app.worker(config)).stop(stop.clone());
        (tokio::spawn(server.work()), jobs)
    });

    // The replica has these, and what was done of them so far.
    let kept = enqueued(&jobs, 0..300);
    let sent: u64 = replication(&master, "master_repl_offset")
        .parse()
        .expect("a number");
    until("the replica follows", Duration::from_secs(10), || {
        replication(&replica, "slave_repl_offset")
            .parse()
            .is_ok_and(|got: u64| got >= sent)
    });
    // From here on it hears nothing: the master takes it for a stranger.
    for setting in [&b"masteruser"[..], b"masterauth"] {
        raw(&replica, &[b"CONFIG", b"SET", setting, b"nobody"]);
    }
    raw(&master, &[b"CLIENT", b"KILL", b"TYPE", b"replica"]);
    until("the replica is cut off", Duration::from_secs(10), || {
        replication(&replica, "master_link_status") == "down"
    });
    let lost = enqueued(&jobs, 300..400);
    assert!(
        states(&store, &lost).iter().all(Option::is_some),
        "they were accepted"
    );
    // Some are claimed and some are settled, and the replica does not know.
    let before = done.lock().expect("no panic").len();
    until("the worker works", Duration::from_secs(10), || {
        done.lock().expect("no panic").len() > before + 20
    });
    cluster.kill(old);
    let error = block_on(store.enqueue(&[job_in("default", 1, |_| {})])).expect_err("it is gone");
    assert!(
        matches!(&error, StoreError::Transient(text) if text.contains("no connection to Redis")),
        "{error}"
    );
    raw(&replica, &[b"CLUSTER", b"FAILOVER", b"TAKEOVER"]);
    let promoted = Instant::now();
    let more = enqueued(&jobs, 400..500);
    assert!(
        promoted.elapsed() < Duration::from_secs(2),
        "{:?}",
        promoted.elapsed()
    );

    until("all is done that was kept", Duration::from_secs(15), || {
        let all = states(&store, &[&kept[..], &more].concat());
        assert!(
            all.iter().all(Option::is_some),
            "what the replica has is lost"
        );
        all.iter().all(|state| *state == Some(State::Succeeded))
    });
    assert_eq!(states(&store, &lost), vec![None; 100], "it never had these");
    sound(&store);
    // The dead one comes back as a replica, and changes nothing.
    cluster.restart(old).expect("a server");
    until("it follows", Duration::from_secs(10), || {
        replication(&master, "role") == "slave"
    });
    assert!(
        states(&store, &kept)
            .iter()
            .all(|state| *state == Some(State::Succeeded))
    );
    stop.stop();
    block_on(worker).expect("no panic").expect("the app builds");
    let done = done.lock().expect("no panic");
    let seen = |numbers: std::ops::Range<u32>| numbers.filter(|n| done.contains_key(n)).count();
    assert_eq!((seen(0..300), seen(400..500)), (300, 100));
    println!(
        "{} of those that were lost were done before; {} were done again",
        seen(300..400),
        done.values().filter(|times| **times > 1).count()
    );
}
