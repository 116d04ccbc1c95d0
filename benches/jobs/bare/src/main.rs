//! The floor: the statements of our SQLite store for a job that succeeds, in its schema and with its pragmas, in
//! one loop on one thread. It makes no record of a row and asks no rule; what it leaves out is what the store
//! and the worker add.

use bench_jobs::{Args, Watch, Work};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};

/// As the store has it.
const SCHEMA: &str = include_str!("../../../../backends/sqlite/src/schema.sql");

const INSERT: &str = "INSERT INTO job (id, state, queue, band, kind, grp, run_at, links, digest, \
    enqueued_at, keep, expires_at, waits, spec, payload) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
    ON CONFLICT (id) DO NOTHING";

const HEADS: &str = "SELECT n, id, kind, grp, run_at, links, token, flags, waits, digest, enqueued_at, spec, \
    ifnull(payload, (SELECT body.payload FROM body WHERE body.n = job.n)) \
    FROM job WHERE state = 1 AND parked = 0 AND queue = ?1 AND band = ?2 AND run_at <= ?3 \
    ORDER BY run_at, id LIMIT ?4";

const LEASE: &str = "UPDATE job SET state = 2, attempt = ?2, token = ?3, owner = ?4, seq = ?5, lease = ?6, \
    lease_until = ?7, settled = NULL, started_at = ?8 WHERE n = ?1";

const FIND: &str = "SELECT n, queue FROM job \
    WHERE id = ?1 AND token = ?2 AND owner = ?3 AND state = 2 AND links & ?4 = 0";

const SUCCEED: &str = "UPDATE job SET state = 3, settled = ?2, returns = 0, payload = x'', result = ?3, \
    ended_at = ?4, prune_at = ?4 + keep WHERE n = ?1";

const TALLY: &str = "INSERT INTO tally (queue, state, n) VALUES (?1, ?2, ?3) \
    ON CONFLICT DO UPDATE SET n = n + excluded.n";

const CLAIMER: &str = "INSERT OR REPLACE INTO claimer (owner, seq, at) VALUES (?1, ?2, ?3)";

/// A packed one, as long as ours is for such a job.
const SPEC: &[u8] = b"\x01\x01\xa2\x06\xe9\xbf\x43\x76\x0a\xb6\x8f\xa9\xc9\xdf\x4e\xfd\x72\x00\x00\x03\x07default\x04work\x00";

const NOW: i64 = 1_795_412_311_880;
const OWNER: [u8; 16] = [7; 16];

fn main() {
    let args = bench_jobs::args();
    let db = open(&args).expect("the file opens");
    let watch = Watch::start();
    let mut at = 0;
    while at < args.jobs {
        let batch = args.batch.min(args.jobs - at);
        enqueue(&db, at, batch).expect("enqueued");
        at += batch;
    }
    let enqueued = watch.lap();
    let watch = Watch::start();
    let mut left = args.jobs;
    let mut seq = 0;
    while left > 0 {
        seq += 1;
        let jobs = claim(&db, seq, args.batch).expect("claimed");
        settle(&db, &jobs).expect("settled");
        left -= jobs.len();
    }
    let executed = watch.lap();
    bench_jobs::report("bare", &args.store, args.jobs, enqueued, executed, &[]);
}

fn open(args: &Args) -> rusqlite::Result<Connection> {
    let db = Connection::open(args.fresh("bare"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match args.store.as_str() {
        "sqlite-full" => "FULL",
        "sqlite-normal" => "NORMAL",
        other => panic!("no store {other}"),
    };
    db.pragma_update(None, "synchronous", synchronous)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "cache_size", -16_384)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    db.set_prepared_statement_cache_capacity(256);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.execute_batch(SCHEMA)?;
    Ok(db)
}

/// Ids of this process grow, as ours do.
fn id(number: usize) -> [u8; 16] {
    ((0x01a2_06e9_bf43_760a_u128 << 64) + number as u128).to_be_bytes()
}

fn enqueue(db: &Connection, from: usize, batch: usize) -> rusqlite::Result<()> {
    run(db, "BEGIN IMMEDIATE")?;
    let mut insert = db.prepare_cached(INSERT)?;
    for number in from..from + batch {
        let payload = Work::new().text;
        insert.execute(params![
            id(number),
            1,
            "default",
            0,
            "work",
            None::<&str>,
            NOW,
            0,
            7_247_830_917_349_771_272_i64,
            NOW,
            86_400_000,
            None::<i64>,
            None::<&[u8]>,
            SPEC,
            payload.as_bytes(),
        ])?;
    }
    tally(db, &[(1, batch)])?;
    run(db, "COMMIT")
}

fn claim(db: &Connection, seq: i64, most: usize) -> rusqlite::Result<Vec<[u8; 16]>> {
    run(db, "BEGIN IMMEDIATE")?;
    db.prepare_cached(CLAIMER)?
        .execute(params![OWNER, seq, NOW])?;
    let mut heads = db.prepare_cached(HEADS)?;
    let mut rows = heads.query(params!["default", 0, NOW, most as i64])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        let spec = row.get_ref(11)?.as_blob()?.to_vec();
        let payload = row.get_ref(12)?.as_blob()?.to_vec();
        std::hint::black_box((spec, payload));
        jobs.push((row.get::<_, i64>(0)?, row.get::<_, [u8; 16]>(1)?));
    }
    drop(rows);
    let mut lease = db.prepare_cached(LEASE)?;
    for (n, _) in &jobs {
        lease.execute(params![n, 1, 1, OWNER, seq, 60_000, NOW + 60_000, NOW])?;
    }
    tally(db, &[(2, jobs.len())])?;
    run(db, "COMMIT")?;
    Ok(jobs.into_iter().map(|(_, id)| id).collect())
}

fn settle(db: &Connection, jobs: &[[u8; 16]]) -> rusqlite::Result<()> {
    run(db, "BEGIN IMMEDIATE")?;
    let mut find = db.prepare_cached(FIND)?;
    let mut succeed = db.prepare_cached(SUCCEED)?;
    for id in jobs {
        let n: i64 = find.query_row(params![id, 1, OWNER, 11], |row| {
            row.get_ref(1)?
                .as_str()
                .map(str::len)
                .map_err(rusqlite::Error::from)?;
            row.get(0)
        })?;
        succeed.execute(params![n, 0, None::<&[u8]>, NOW])?;
    }
    tally(db, &[(3, jobs.len())])?;
    run(db, "COMMIT")
}

/// The counts of the queue: `count` jobs came into a state, from the one before.
fn tally(db: &Connection, changes: &[(i64, usize)]) -> rusqlite::Result<()> {
    let mut add = db.prepare_cached(TALLY)?;
    for (state, count) in changes {
        let count = *count as i64;
        if *state > 1 {
            add.execute(params!["default", state - 1, -count])?;
        }
        add.execute(params!["default", state, count])?;
    }
    Ok(())
}

fn run(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute([])?;
    Ok(())
}
