//! Jobs per second of the store, and of a bare loop of the same statements, in one run: batches of 100,
//! 1 KiB payloads, a job that does nothing. Takes turns, so that a slow minute of the machine hits both.
//!
//! `cargo run --release -p tideway-sqlite --example throughput -- DIRECTORY`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use tideway::jobs::JobStore;
use tideway_engine::jobs::call::{ClaimReq, Lane, Settle};
use tideway_engine::jobs::{Fence, Id, Ids, Name, NewJob, Outcome, Owner, Spec, Start};
use tideway_engine::{Rng, Seed, Wall};
use tideway_sqlite::{Options, Sqlite, Synchronous};

const JOBS: usize = 20_000;
const BATCH: usize = 100;
const ROUNDS: usize = 5;

fn main() {
    let dir: PathBuf = std::env::args().nth(1).unwrap_or_else(|| ".".into()).into();
    println!("jobs/s, best and median of {ROUNDS} rounds of {JOBS} jobs");
    for synchronous in [Synchronous::Full, Synchronous::Normal] {
        let jobs = jobs();
        let mut bare = Vec::new();
        let mut store = Vec::new();
        let mut shared = Vec::new();
        for _ in 0..ROUNDS {
            bare.push(in_new_file(&dir, |path| {
                bare_loop(path, synchronous, &jobs)
            }));
            store.push(in_new_file(&dir, |path| {
                with_store(path, synchronous, &jobs)
            }));
            shared.push(in_new_file(&dir, |path| {
                with_callers(path, synchronous, &jobs)
            }));
        }
        for (name, times) in [
            ("bare loop", bare),
            ("store", store),
            ("store, 8 callers", shared),
        ] {
            report(synchronous, name, &times);
        }
    }
}

/// Seconds of enqueue, claim, settle; and of processor time, all threads together.
type Times = [f64; 4];

fn report(synchronous: Synchronous, name: &str, times: &[Times]) {
    let line = |what: &str, of: &dyn Fn(&Times) -> f64| {
        let mut all: Vec<f64> = times.iter().map(|time| JOBS as f64 / of(time)).collect();
        all.sort_by(f64::total_cmp);
        format!("{what} {:.0} {:.0}", all[all.len() - 1], all[all.len() / 2])
    };
    println!(
        "{synchronous:?} {name}: {}, {}, {}, {}",
        line("enqueue", &|time| time[0]),
        line("claim", &|time| time[1]),
        line("settle", &|time| time[2]),
        line("claim and settle", &|time| time[1] + time[2]),
    );
    let mut all: Vec<f64> = times
        .iter()
        .map(|time| time[3] * 1e6 / JOBS as f64)
        .collect();
    all.sort_by(f64::total_cmp);
    println!(
        "  processor time for all three: {:.1} us per job at best, {:.1} median",
        all[0],
        all[all.len() / 2]
    );
}

/// Seconds of processor time that this process has used.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn in_new_file(dir: &Path, run: impl FnOnce(&Path) -> [f64; 3]) -> Times {
    let dir = tempfile::tempdir_in(dir).expect("a directory to write to");
    let before = processor();
    let [enqueue, claim, settle] = run(&dir.path().join("jobs.db"));
    [enqueue, claim, settle, processor() - before]
}

fn jobs() -> Vec<NewJob> {
    let mut ids = Ids::new(Rng::new(&Seed::from_u64(1)));
    let queue = Name::new("default").expect("a name");
    let kind = Name::new("nothing").expect("a name");
    let payload = Bytes::from(vec![b'x'; 1024]);
    let job = |n: usize| NewJob {
        spec: Arc::new(Spec {
            timeout: Some(Duration::from_secs(60)),
            ..Spec::new(
                ids.next(Wall(1_700_000_000_000 + n as i64 / 50), &queue),
                queue.clone(),
                kind.clone(),
            )
        }),
        payload: payload.clone(),
        start: Start::Now,
    };
    (0..JOBS).map(job).collect()
}

fn with_store(path: &Path, synchronous: Synchronous, jobs: &[NewJob]) -> [f64; 3] {
    let store = open(path, synchronous);
    let begun = Instant::now();
    for batch in jobs.chunks(BATCH) {
        wait(store.enqueue(batch)).expect("enqueued");
    }
    let enqueued = begun.elapsed().as_secs_f64();
    let [claimed, settled] = work(&store, 1, jobs.len() / BATCH);
    [enqueued, claimed, settled]
}

/// As many callers at once as a busy program has: their calls share transactions.
fn with_callers(path: &Path, synchronous: Synchronous, jobs: &[NewJob]) -> [f64; 3] {
    let store = open(path, synchronous);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for share in jobs.chunks(jobs.len() / 8) {
            scope.spawn(|| {
                for batch in share.chunks(BATCH) {
                    wait(store.enqueue(batch)).expect("enqueued");
                }
            });
        }
    });
    let enqueued = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for owner in 1..=8 {
            let store = &store;
            scope.spawn(move || work(store, owner, JOBS / BATCH / 8));
        }
    });
    // Claims and settles of different callers overlap: half each.
    let half = begun.elapsed().as_secs_f64() / 2.0;
    [enqueued, half, half]
}

fn open(path: &Path, synchronous: Synchronous) -> Sqlite {
    let options = Options::default().synchronous(synchronous);
    Sqlite::open(path, options).expect("the file opens")
}

fn work(store: &Sqlite, owner: u128, batches: usize) -> [f64; 2] {
    let (mut claimed, mut settled) = (0.0, 0.0);
    let queue = Name::new("default").expect("a name");
    for seq in 1..=batches as u64 {
        let req = ClaimReq {
            owner: Owner(owner),
            seq,
            lanes: vec![(
                Lane {
                    queue: queue.clone(),
                    band: 0,
                },
                BATCH as u32,
            )],
            limit: BATCH as u32,
            max_bytes: 1 << 24,
            lease: Duration::from_secs(30),
        };
        let begun = Instant::now();
        let jobs = wait(store.claim(&req)).expect("claimed").jobs;
        claimed += begun.elapsed().as_secs_f64();
        assert_eq!(jobs.len(), BATCH);
        let settles: Vec<Settle> = jobs
            .iter()
            .map(|job| Settle {
                id: job.id(),
                fence: Fence {
                    token: job.token,
                    owner: Owner(owner),
                },
                outcome: Outcome::Succeeded(Bytes::new()),
                progress: None,
                then: Vec::new(),
            })
            .collect();
        let begun = Instant::now();
        wait(store.settle(&settles)).expect("settled");
        settled += begun.elapsed().as_secs_f64();
    }
    [claimed, settled]
}

/// The same statements with nothing around them: no thread, no record, no rule.
fn bare_loop(path: &Path, synchronous: Synchronous, jobs: &[NewJob]) -> [f64; 3] {
    drop(open(path, synchronous));
    let db = Connection::open(path).expect("the file opens");
    db.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous:?}; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384"
    ))
    .expect("set");
    let specs: Vec<Vec<u8>> = jobs.iter().map(|job| json(&job.spec)).collect();
    let exec = |sql: &str| {
        db.prepare_cached(sql)
            .and_then(|mut it| it.execute([]))
            .expect("done");
    };
    let tally = |state: i64, by: i64| {
        db.prepare_cached(
            "INSERT INTO tally (queue, state, n) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET n = n + excluded.n",
        )
        .and_then(|mut it| it.execute(params!["default", state, by]))
        .expect("counted");
    };
    let mut times = [0.0; 3];
    for (batch, specs) in jobs.chunks(BATCH).zip(specs.chunks(BATCH)) {
        let begun = Instant::now();
        exec("BEGIN IMMEDIATE");
        let mut insert = db
            .prepare_cached(
                "INSERT INTO job (id, state, queue, band, kind, grp, run_at, links, digest, enqueued_at, \
                 keep, expires_at, waits, spec, payload) \
                 VALUES (?1, 1, ?2, 0, ?3, NULL, ?4, 0, ?5, ?4, ?6, NULL, NULL, ?7, ?8) \
                 ON CONFLICT (id) DO NOTHING",
            )
            .expect("prepared");
        for (job, spec) in batch.iter().zip(specs) {
            let spec_of = &job.spec;
            insert
                .execute(params![
                    bits(spec_of.id),
                    &*spec_of.queue,
                    &*spec_of.kind,
                    1_700_000_000_000_i64,
                    job.payload.len() as i64,
                    86_400_000,
                    spec,
                    &*job.payload,
                ])
                .expect("inserted");
        }
        tally(1, BATCH as i64);
        exec("COMMIT");
        times[0] += begun.elapsed().as_secs_f64();
    }
    let owner = [7_u8; 16];
    for seq in 0..jobs.len() / BATCH {
        let begun = Instant::now();
        exec("BEGIN IMMEDIATE");
        let ids = bare_claim(&db, seq as i64, owner);
        tally(1, -(BATCH as i64));
        tally(2, BATCH as i64);
        exec("COMMIT");
        times[1] += begun.elapsed().as_secs_f64();
        assert_eq!(ids.len(), BATCH);
        let begun = Instant::now();
        exec("BEGIN IMMEDIATE");
        let mut find = db
            .prepare_cached(
                "SELECT n, queue FROM job \
                 WHERE id = ?1 AND token = ?2 AND owner = ?3 AND state = 2 AND links & 11 = 0",
            )
            .expect("prepared");
        let mut settle = db
            .prepare_cached(
                "UPDATE job SET state = 3, settled = 0, returns = 0, payload = x'', result = NULL, \
                 ended_at = ?2, prune_at = ?2 + keep WHERE n = ?1",
            )
            .expect("prepared");
        for id in &ids {
            let (n, queue): (i64, String) = find
                .query_row(params![id, 1, owner], |row| Ok((row.get(0)?, row.get(1)?)))
                .expect("found");
            assert_eq!(queue, "default");
            settle
                .execute(params![n, 1_700_000_000_001_i64])
                .expect("settled");
        }
        drop(find);
        drop(settle);
        tally(2, -(BATCH as i64));
        tally(3, BATCH as i64);
        exec("COMMIT");
        times[2] += begun.elapsed().as_secs_f64();
    }
    times
}

fn bare_claim(db: &Connection, seq: i64, owner: [u8; 16]) -> Vec<[u8; 16]> {
    let note = |sql: &str| {
        db.prepare_cached(sql)
            .and_then(|mut it| it.execute(params![owner, seq, 1]))
            .expect("noted");
    };
    note("INSERT OR REPLACE INTO claimer (owner, seq, at) VALUES (?1, ?2, ?3)");
    let mut find = db
        .prepare_cached(
            "SELECT * FROM job WHERE state = 1 AND parked = 0 AND queue = ?1 AND band = 0 AND run_at <= ?2 \
             ORDER BY run_at, id LIMIT ?3",
        )
        .expect("prepared");
    let columns = find.column_count();
    let mut rows = find
        .query(params!["default", 1_700_000_000_001_i64, BATCH as i64])
        .expect("found");
    let mut found: Vec<(i64, [u8; 16])> = Vec::new();
    let mut bytes = Vec::new();
    while let Some(row) = rows.next().expect("read") {
        for at in 0..columns {
            if let ValueRef::Blob(blob) = row.get_ref(at).expect("read") {
                bytes.push(blob.to_vec());
            }
        }
        found.push((row.get(0).expect("read"), row.get(1).expect("read")));
    }
    assert!(bytes.len() >= found.len());
    drop(rows);
    let mut lease = db
        .prepare_cached(
            "UPDATE job SET state = 2, attempt = 1, token = 1, owner = ?2, seq = ?3, lease = 30000, \
             lease_until = 1700000030001, settled = NULL, started_at = 1700000000001 WHERE n = ?1",
        )
        .expect("prepared");
    for (n, _) in &found {
        lease.execute(params![n, owner, seq]).expect("leased");
    }
    let due = db
        .prepare_cached(
            "SELECT run_at FROM job WHERE state = 1 AND parked = 0 AND queue = ?1 AND band = 0 \
             ORDER BY run_at, id LIMIT 1",
        )
        .and_then(|mut next| next.exists(["default"]));
    assert!(due.is_ok());
    found.into_iter().map(|(_, id)| id).collect()
}

fn json(spec: &Spec) -> Vec<u8> {
    serde_json::to_vec(spec).expect("it is plain data")
}

fn bits(id: Id) -> [u8; 16] {
    id.as_u128().to_be_bytes()
}

/// Waits on this thread, with no runtime.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        let mut cx = std::task::Context::from_waker(&waker);
        if let std::task::Poll::Ready(out) = future.as_mut().poll(&mut cx) {
            return out;
        }
        std::thread::park();
    }
}
