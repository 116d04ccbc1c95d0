//! Whether the tables agree with each other: every record with its columns, every table beside the records with
//! them. Changes nothing; looks at everything, so it is slow.

use std::collections::BTreeMap;

use tideway_engine::jobs::call::AuditReport;
use tideway_engine::jobs::{Id, Name, Reason, State, Unreadable};
use tokio_postgres::types::Type;

use super::{Call, Tx};
use crate::error::Failed;
use crate::row::{self, COLUMNS, Stored, links};
use crate::sql::{Bits, Param};

/// The most flaws that are told.
const MOST: usize = 100;

/// Rows that are looked at together.
const PAGE: i64 = 1000;

/// Says what is wrong.
pub(crate) struct Audit;

impl Call for Audit {
    type Out = AuditReport;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<AuditReport, Failed> {
        // One picture of all tables.
        tx.query("LOCK TABLE {s}.job, {s}.tally, {s}.hold, {s}.waiter, {s}.blocked, {s}.taken IN SHARE MODE", &[]).await?;
        let mut report = AuditReport::default();
        let mut counts: BTreeMap<Name, [i64; 6]> = BTreeMap::new();
        let mut waits: Vec<(Id, Id)> = Vec::new();
        let mut after = None;
        loop {
            let rows = tx.page(after).await?;
            for (stored, beside) in &rows {
                report.checked += 1;
                let job = &stored.job;
                counts.entry(job.spec.queue.clone()).or_default()[usize::from(job.state.code())] +=
                    1;
                check(stored, beside, &mut report);
                if job.state == State::Waiting {
                    waits.extend(job.waits.iter().map(|awaited| (*awaited, job.id())));
                }
            }
            let Some((last, _)) = rows.last() else { break };
            after = Some(row::id(last.job.id()));
        }
        tx.check_tally(&mut counts, &mut report).await?;
        tx.check_waiters(&waits, &mut report).await?;
        for (what, sql) in ORPHANS {
            for row in &tx.query(sql, &[]).await? {
                let who: String = row.try_get(0)?;
                report.flaws.push(format!("{what}: {who}"));
            }
        }
        report.flaws.truncate(MOST);
        Ok(report)
    }
}

/// Columns of a row that follow from its record.
#[derive(PartialEq)]
struct Beside {
    band: i16,
    prune: Option<i64>,
    expires: Option<i64>,
    keep: i64,
}

impl Tx<'_> {
    async fn page(&self, after: Option<Bits>) -> Result<Vec<(Stored, Beside)>, Failed> {
        let sql = format!(
            "SELECT {COLUMNS} FROM {{s}}.job WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2"
        );
        let params: [Param<'_>; 2] = [(&after, Type::UUID), (&PAGE, Type::INT8)];
        let mut all = Vec::new();
        for row in &self.query(&sql, &params).await? {
            let beside = Beside {
                band: row.try_get(18)?,
                expires: row.try_get(12)?,
                prune: row.try_get(11)?,
                keep: row.try_get(5)?,
            };
            all.push((row::read(row)?, beside));
        }
        Ok(all)
    }

    async fn check_tally(
        &self,
        counts: &mut BTreeMap<Name, [i64; 6]>,
        report: &mut AuditReport,
    ) -> Result<(), Failed> {
        let sql = "SELECT queue, sum(waiting)::int8, sum(pending)::int8, sum(running)::int8, sum(succeeded)::int8, \
                   sum(dead)::int8, sum(cancelled)::int8 FROM {s}.tally GROUP BY queue";
        for row in &self.query(sql, &[]).await? {
            let queue = Name::readable(row.try_get(0)?);
            let mut noted = [0; 6];
            for (at, n) in noted.iter_mut().enumerate() {
                *n = row.try_get(at + 1)?;
            }
            let found = counts.remove(&queue).unwrap_or_default();
            if noted != found {
                report.flaws.push(format!(
                    "queue {queue}: {noted:?} jobs by state are noted, there are {found:?}"
                ));
            }
        }
        for (queue, found) in counts {
            report
                .flaws
                .push(format!("queue {queue}: none is noted, there are {found:?}"));
        }
        Ok(())
    }

    async fn check_waiters(
        &self,
        waits: &[(Id, Id)],
        report: &mut AuditReport,
    ) -> Result<(), Failed> {
        let awaited: Vec<Bits> = waits.iter().map(|(awaited, _)| row::id(*awaited)).collect();
        let ids: Vec<Bits> = waits.iter().map(|(_, id)| row::id(*id)).collect();
        let sql = "SELECT n.id::text FROM unnest($1, $2) AS n (awaited, id) LEFT JOIN {s}.waiter w \
                   ON w.awaited = n.awaited AND w.id = n.id WHERE w.id IS NULL LIMIT 10";
        let params: [Param<'_>; 2] = [(&awaited, Type::UUID_ARRAY), (&ids, Type::UUID_ARRAY)];
        for row in &self.query(sql, &params).await? {
            let id: String = row.try_get(0)?;
            report
                .flaws
                .push(format!("job {id}: what it waits for does not know of it"));
        }
        Ok(())
    }
}

fn check(stored: &Stored, beside: &Beside, report: &mut AuditReport) {
    let job = &stored.job;
    let mut flaws = Vec::new();
    match stored.flaw {
        None => {
            flaws = job.flaws();
            check_row(stored, beside, &mut flaws);
        }
        // The release that packed it can check it.
        Some(Unreadable::Version(_)) => {}
        // Known and out of the way.
        Some(_) if job.reason == Some(Reason::Corrupt) => {}
        Some(_) => flaws.push("it cannot be read"),
    }
    for flaw in flaws {
        report
            .flaws
            .push(format!("job {} ({}): {flaw}", job.id(), job.state.as_str()));
    }
}

fn check_row(stored: &Stored, beside: &Beside, flaws: &mut Vec<&'static str>) {
    let job = &stored.job;
    let must = Beside {
        band: i16::from(job.band()),
        prune: job.forget_at().map(|time| time.0),
        expires: job.expires_at().map(|time| time.0),
        keep: row::keep(&job.spec),
    };
    let has = |bit| stored.links & bit != 0;
    let parked = !stored.parked || job.state == State::Pending && job.spec.group.is_some();
    let all = [
        (must.band == beside.band, "it is in another band's lane"),
        (
            must.prune == beside.prune,
            "its retention is another than asked",
        ),
        (
            must.expires == beside.expires,
            "its expiry is another than asked",
        ),
        (
            must.keep == beside.keep,
            "its time to keep is another than asked",
        ),
        (parked, "it is parked without a group to wait for"),
        (
            has(links::UNIQUE) == job.spec.unique.is_some(),
            "its unique key is not linked",
        ),
        (
            has(links::GROUP) == job.spec.group.is_some(),
            "its group is not linked",
        ),
    ];
    flaws.extend(
        all.into_iter()
            .filter(|(right, _)| !right)
            .map(|(_, flaw)| flaw),
    );
}

/// Rows beside the records that no record answers for.
const ORPHANS: [(&str, &str); 5] = [
    (
        "a unique key is held by no living job",
        "SELECT h.queue || ' ' || h.key FROM {s}.hold h LEFT JOIN {s}.job j ON j.id = h.id AND \
         (j.state < 2 OR j.state = 2 AND h.hold = 1) WHERE h.hold < 2 AND j.id IS NULL LIMIT 10",
    ),
    (
        "a waiter of a job waits no more, or for a job that has ended",
        "SELECT w.id::text FROM {s}.waiter w LEFT JOIN {s}.job j ON j.id = w.id AND j.state = 0 \
         LEFT JOIN {s}.job a ON a.id = w.awaited AND a.state < 3 AND a.links & 2 <> 0 \
         WHERE j.id IS NULL OR a.id IS NULL LIMIT 10",
    ),
    (
        "a parked job waits for a group that is not blocked",
        "SELECT j.id::text FROM {s}.job j LEFT JOIN {s}.blocked b ON b.queue = j.queue AND b.grp = j.grp \
         WHERE j.state = 1 AND j.parked AND b.queue IS NULL LIMIT 10",
    ),
    (
        "a blocked group has no parked job",
        "SELECT b.queue || ' ' || b.grp FROM {s}.blocked b WHERE NOT EXISTS (SELECT FROM {s}.job j \
         WHERE j.state = 1 AND j.parked AND j.queue = b.queue AND j.grp = b.grp) LIMIT 10",
    ),
    (
        "a claim is counted against a rate nobody set",
        "SELECT t.queue || ' ' || t.grp FROM {s}.taken t LEFT JOIN {s}.lim l ON l.queue = t.queue \
         AND l.rate IS NOT NULL AND (l.scope = 0) = (t.grp = '') WHERE l.queue IS NULL LIMIT 10",
    ),
];
