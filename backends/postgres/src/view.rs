//! Calls that only look: pages of jobs and of lapsed leases, the numbers of every queue.

use std::collections::BTreeMap;

use tideway::jobs::StoreError;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{Cursor, Expired, Filter, Page, QueueStats, Stats};
use tideway_engine::jobs::{Kind, Name, Owner, Record, State};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::fatal;
use crate::row::{self, COLUMNS};
use crate::sql::Bits;
use crate::store::{Inner, unreadable};
use crate::tx::pages::{MATCHING, Matching};

/// One page of the jobs that match, by id.
pub(crate) async fn list(
    inner: &Inner,
    filter: &Filter,
    from: &Cursor,
    limit: u32,
) -> Result<Page<Record>, StoreError> {
    let mut items = Vec::new();
    if let Ok(after) = from.id() {
        let sql = format!("SELECT {COLUMNS}{MATCHING}");
        let matching = Matching::of(filter, after, limit);
        let rows = inner.read(&sql, &matching.params()).await?;
        items = read(&rows)?;
    }
    let (items, next) = Cursor::cut(items, limit, Record::id);
    Ok(Page {
        items,
        next,
        now: now(inner).await?,
    })
}

fn read(rows: &[Row]) -> Result<Vec<Record>, StoreError> {
    rows.iter()
        .map(|row| row::read(row).map(|stored| stored.job).map_err(unreadable))
        .collect()
}

/// The store's clock.
async fn now(inner: &Inner) -> Result<Wall, StoreError> {
    if let Some(time) = inner.now() {
        return Ok(time);
    }
    let rows = inner.read("SELECT {s}.now_1(NULL)", &[]).await?;
    let row = rows
        .first()
        .ok_or_else(|| fatal("the server did not answer what was asked"))?;
    row.try_get(0).map(Wall).map_err(unreadable)
}

/// Leases that have run out, by id.
pub(crate) async fn expired(
    inner: &Inner,
    from: &Cursor,
    limit: u32,
) -> Result<Page<Expired>, StoreError> {
    let Ok(after) = from.id() else {
        return Ok(Page {
            items: Vec::new(),
            next: None,
            now: now(inner).await?,
        });
    };
    let after = after.map(row::id);
    let clock = inner.now().map(|time| time.0);
    let most = i64::from(limit.max(1)) + 1;
    let sql = format!("SELECT {COLUMNS} FROM {{s}}.expired_1($1, $2, $3)");
    let rows = inner
        .read(
            &sql,
            &[
                (&after, Type::UUID),
                (&most, Type::INT8),
                (&clock, Type::INT8),
            ],
        )
        .await?;
    let Some((head, rows)) = rows.split_first() else {
        return Err(fatal("the server did not answer what was asked"));
    };
    let (jobs, next) = Cursor::cut(read(rows)?, limit, Record::id);
    let cohorts = cohorts(inner, &jobs).await?;
    let lapse = |job: &Record| {
        let cohort = cohorts.get(&job.owner?).into_iter().flatten();
        Expired::among(job, cohort.copied())
    };
    Ok(Page {
        items: jobs.iter().filter_map(lapse).collect(),
        next,
        now: head.try_get(2).map(Wall).map_err(unreadable)?,
    })
}

/// Of each owner of `jobs`: the crashes, before those with this owner, of the jobs it last held, and of how many.
async fn cohorts(
    inner: &Inner,
    jobs: &[Record],
) -> Result<BTreeMap<Owner, Vec<(u32, u64)>>, StoreError> {
    let mut cohorts: BTreeMap<Owner, Vec<(u32, u64)>> = BTreeMap::new();
    let mut owners: Vec<Owner> = jobs.iter().filter_map(|job| job.owner).collect();
    owners.sort_unstable();
    owners.dedup();
    if owners.is_empty() {
        return Ok(cohorts);
    }
    let owners: Vec<Bits> = owners.into_iter().map(|owner| Bits(owner.0)).collect();
    let sql = "SELECT owner, crashes, count(*) FROM ( \
            SELECT owner, CASE WHEN flags & 4 <> 0 THEN 0 ELSE coalesce(crashes, 0) END AS crashes \
              FROM {s}.job WHERE state = 2 AND owner = ANY ($1) \
            UNION ALL \
            SELECT owner, crashes - 1 FROM {s}.job \
             WHERE state = 1 AND crashes > 0 AND owner = ANY ($1) AND settled = $2) AS held \
        GROUP BY owner, crashes";
    let crash = row::settled(Kind::Crash);
    let rows = inner
        .read(sql, &[(&owners, Type::UUID_ARRAY), (&crash, Type::INT2)])
        .await?;
    for row in &rows {
        let owner = Owner(row.try_get::<_, Bits>(0).map_err(unreadable)?.0);
        let crashes: i32 = row.try_get(1).map_err(unreadable)?;
        let n: i64 = row.try_get(2).map_err(unreadable)?;
        cohorts
            .entry(owner)
            .or_default()
            .push((crashes as u32, n.unsigned_abs()));
    }
    Ok(cohorts)
}

/// The numbers of every queue, without a look at the jobs: one statement, so that they agree.
pub(crate) async fn stats(inner: &Inner) -> Result<Stats, StoreError> {
    let sql = "SELECT queue, n0, n1, n2, n3, n4, n5, paused, oldest, at FROM {s}.stats_1($1)";
    let clock = inner.now().map(|time| time.0);
    let rows = inner.read(sql, &[(&clock, Type::INT8)]).await?;
    let mut queues = BTreeMap::new();
    let mut now = Wall(0);
    for row in &rows {
        now = Wall(row.try_get(9).map_err(unreadable)?);
        if let Some((name, stats)) = queue(row).map_err(unreadable)? {
            queues.insert(name, stats);
        }
    }
    Ok(Stats {
        queues: queues.into_values().collect(),
        now,
    })
}

fn queue(row: &Row) -> Result<Option<(Name, QueueStats)>, tokio_postgres::Error> {
    let Some(name) = row.try_get::<_, Option<&str>>(0)?.map(Name::readable) else {
        return Ok(None);
    };
    let mut stats = QueueStats::empty(name.clone());
    let mut any = false;
    for (at, state) in State::ALL.into_iter().enumerate() {
        let n: Option<i64> = row.try_get(at + 1)?;
        *stats.count(state) = n.unwrap_or_default().unsigned_abs();
        any |= n.unwrap_or_default() != 0;
    }
    stats.paused = row.try_get(7)?;
    stats.oldest = row.try_get::<_, Option<i64>>(8)?.map(Wall);
    Ok((any || stats.paused).then_some((name, stats)))
}
