//! apalis 1.0: its memory and its SQLite backend. Jobs are pushed in bulk; a worker with its usual layers off
//! takes them.
//!
//! Each acknowledgement of its SQLite backend reads every job that the worker has ever taken (it looks them up
//! by `lock_by`), so its rate falls with the number of jobs: a short run is to its advantage.

use std::str::FromStr;
use std::sync::OnceLock;

use apalis::prelude::*;
use apalis_core::backend::memory::MemoryStorage;
use apalis_sqlite::{Config, SqliteConnectOptions, SqlitePoolOptions, SqliteStorage};
use bench_jobs::{Args, Done, Watch, Work};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

/// Of this run.
static RUN: OnceLock<Done> = OnceLock::new();

async fn handle(work: Work, worker: WorkerContext) -> Result<(), BoxDynError> {
    std::hint::black_box(&work);
    if RUN.get().expect("a run has begun").one() {
        worker.stop()?;
    }
    Ok(())
}

fn main() {
    let args = bench_jobs::args();
    RUN.set(Done::of(args.jobs)).expect("one run per process");
    let mut runtime = match args.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let runtime = runtime.enable_all().build().expect("tokio starts");
    match args.store.as_str() {
        "memory" => runtime.block_on(memory(&args)),
        "sqlite-full" => runtime.block_on(sqlite(&args, SqliteSynchronous::Full)),
        "sqlite-normal" => runtime.block_on(sqlite(&args, SqliteSynchronous::Normal)),
        // What its own `setup` chooses.
        "sqlite-off" => runtime.block_on(sqlite(&args, SqliteSynchronous::Off)),
        other => panic!("no store {other}"),
    }
}

/// Batches of fresh jobs, until there were all.
fn batches(args: &Args) -> impl Iterator<Item = Vec<Work>> {
    let (mut left, batch) = (args.jobs, args.batch);
    std::iter::from_fn(move || {
        let size = left.min(batch);
        left -= size;
        (size > 0).then(|| (0..size).map(|_| Work::new()).collect())
    })
}

async fn memory(args: &Args) {
    let mut backend = MemoryStorage::new();
    let watch = Watch::start();
    for batch in batches(args) {
        backend.push_bulk(batch).await.expect("pushed");
    }
    let enqueue = watch.lap();
    let watch = Watch::start();
    let worker = WorkerBuilder::new("bench").backend(backend);
    if args.slots == 1 {
        worker.build(handle).run().await.expect("the worker ran");
    } else {
        let worker = worker.concurrency(args.slots).build(handle);
        worker.run().await.expect("the worker ran");
    }
    let execute = watch.lap();
    bench_jobs::report("apalis", &args.store, args.jobs, enqueue, execute, &[]);
}

async fn sqlite(args: &Args, synchronous: SqliteSynchronous) {
    let url = format!("sqlite://{}", args.fresh("apalis").display());
    let options = SqliteConnectOptions::from_str(&url)
        .expect("a path")
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous);
    // One connection: a second would only wait for the first, SQLite has one writer.
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(options).await.expect("the file opens");
    // Not by `setup`, which would set `synchronous` to its own choice; the rest of it by hand.
    for pragma in [
        "PRAGMA temp_store = MEMORY",
        "PRAGMA cache_size = 64000",
        "PRAGMA journal_size_limit = 67108864",
    ] {
        sqlx::query(pragma).execute(&pool).await.expect("a pragma");
    }
    SqliteStorage::migrations()
        .run(&pool)
        .await
        .expect("the schema is made");
    // Its fetch marks the jobs already; `lock_tasks` would mark each once more.
    let config = Config::default()
        .queue("bench")
        .batch_size(args.batch)
        .lock_tasks(false);
    let mut backend = SqliteStorage::new(&pool).with_config(config);
    let watch = Watch::start();
    for batch in batches(args) {
        backend.push_bulk(batch).await.expect("pushed");
    }
    let enqueue = watch.lap();
    let watch = Watch::start();
    let worker = WorkerBuilder::new("bench").backend(backend);
    let worker = worker.concurrency(args.slots).build(handle);
    worker.run().await.expect("the worker ran");
    let execute = watch.lap();
    let done: i64 = sqlx::query_scalar("SELECT count(*) FROM Jobs WHERE status = 'Done'")
        .fetch_one(&pool)
        .await
        .expect("counted");
    assert_eq!(done, args.jobs as i64, "jobs left");
    bench_jobs::report("apalis", &args.store, args.jobs, enqueue, execute, &[]);
}
