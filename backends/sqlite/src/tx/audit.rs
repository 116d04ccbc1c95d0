//! Whether the file agrees with itself: its pages, every record with its columns, every table beside the
//! records with them. Changes nothing; looks at everything, so it is slow.

use std::collections::BTreeMap;

use tideway_engine::jobs::call::AuditReport;
use tideway_engine::jobs::{Name, Reason, State, Unreadable};

use super::Tx;
use crate::row::{self, Stored, links};

/// The most flaws that are told.
const MOST: usize = 100;

impl Tx<'_> {
    /// What is wrong.
    pub(crate) fn audit(&self) -> rusqlite::Result<AuditReport> {
        let mut report = AuditReport::default();
        let pages: String = self
            .db
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if pages != "ok" {
            report.flaws.push(format!("the file: {pages}"));
        }
        let mut counts: BTreeMap<(Name, i64), i64> = BTreeMap::new();
        let mut n = i64::MIN;
        loop {
            let rows = self.some(n, 256)?;
            let Some(last) = rows.last() else { break };
            n = last.n;
            for stored in &rows {
                report.checked += 1;
                let job = &stored.job;
                let key = (job.spec.queue.clone(), i64::from(job.state.code()));
                *counts.entry(key).or_default() += 1;
                self.check(stored, &mut report)?;
            }
        }
        self.check_tally(&mut counts, &mut report)?;
        for (what, sql) in ORPHANS {
            let mut find = self.db.prepare_cached(sql)?;
            let mut rows = find.query([])?;
            while let Some(row) = rows.next()? {
                let who = row.get_ref(0)?;
                report.flaws.push(format!("{what}: {who:?}"));
            }
        }
        report.flaws.truncate(MOST);
        Ok(report)
    }

    fn check(&self, stored: &Stored, report: &mut AuditReport) -> rusqlite::Result<()> {
        let job = &stored.job;
        let mut flaws = Vec::new();
        match stored.flaw {
            None => {
                flaws = job.flaws();
                self.check_row(stored, &mut flaws)?;
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
        Ok(())
    }

    fn check_row(&self, stored: &Stored, flaws: &mut Vec<&'static str>) -> rusqlite::Result<()> {
        let job = &stored.job;
        let mut find = self
            .db
            .prepare_cached("SELECT band, prune_at, expires_at, keep FROM job WHERE n = ?1")?;
        let (band, prune, expires, keep): (i64, Option<i64>, Option<i64>, i64) = find
            .query_row([stored.n], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
        let mut must = |right: bool, flaw| {
            if !right {
                flaws.push(flaw);
            }
        };
        must(
            band == i64::from(job.band()),
            "it is in another band's lane",
        );
        must(
            prune == row::prune_at(job),
            "its retention is another than asked",
        );
        must(
            expires == job.expires_at().map(|time| time.0),
            "its expiry is another than asked",
        );
        must(
            keep == row::keep(&job.spec, State::Succeeded),
            "its time to keep is another than asked",
        );
        must(
            !stored.parked || job.state == State::Pending && job.spec.group.is_some(),
            "it is parked without a group to wait for",
        );
        let has = |bit| stored.links & bit != 0;
        must(
            has(links::UNIQUE) == job.spec.unique.is_some(),
            "its unique key is not linked",
        );
        must(
            has(links::GROUP) == job.spec.group.is_some(),
            "its group is not linked",
        );
        if job.state == State::Waiting {
            let mut noted = self
                .db
                .prepare_cached("SELECT 1 FROM waiter WHERE awaited = ?1 AND id = ?2")?;
            for awaited in &job.waits {
                let noted = noted.exists([row::id(*awaited), row::id(job.id())])?;
                must(noted, "what it waits for does not know of it");
            }
        }
        Ok(())
    }

    fn check_tally(
        &self,
        counts: &mut BTreeMap<(Name, i64), i64>,
        report: &mut AuditReport,
    ) -> rusqlite::Result<()> {
        let mut find = self
            .db
            .prepare_cached("SELECT queue, state, n FROM tally")?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            let key = (Name::readable(row.get_ref(0)?.as_str()?), row.get(1)?);
            let noted: i64 = row.get(2)?;
            let found = counts.remove(&key).unwrap_or_default();
            if noted != found {
                let (queue, state) = key;
                report.flaws.push(format!(
                    "queue {queue}: {noted} jobs in state {state} are noted, there are {found}"
                ));
            }
        }
        for ((queue, state), found) in counts {
            report.flaws.push(format!(
                "queue {queue}: none in state {state} is noted, there are {found}"
            ));
        }
        Ok(())
    }
}

/// Rows beside the records that no record answers for.
const ORPHANS: [(&str, &str); 7] = [
    (
        "a unique key is held by no living job",
        "SELECT hold.queue || ' ' || hold.key FROM hold LEFT JOIN job ON job.id = hold.id AND \
         (job.state < 2 OR job.state = 2 AND hold.hold = 1) WHERE hold.hold < 2 AND job.n IS NULL LIMIT 10",
    ),
    (
        "a waiter of a job waits no more, or for a job that has ended",
        "SELECT hex(waiter.id) FROM waiter LEFT JOIN job ON job.id = waiter.id AND job.state = 0 \
         LEFT JOIN job AS awaited ON awaited.id = waiter.awaited AND awaited.state < 3 \
         AND awaited.links & 2 <> 0 WHERE job.n IS NULL OR awaited.n IS NULL LIMIT 10",
    ),
    (
        "a parked job waits for a group that is not blocked",
        "SELECT hex(job.id) FROM job LEFT JOIN blocked USING (queue, grp) \
         WHERE job.state = 1 AND job.parked = 1 AND blocked.queue IS NULL LIMIT 10",
    ),
    (
        "a blocked group has no parked job",
        "SELECT queue || ' ' || grp FROM blocked WHERE NOT EXISTS (SELECT 1 FROM job \
         WHERE job.state = 1 AND job.parked = 1 AND job.queue = blocked.queue AND job.grp = blocked.grp) \
         LIMIT 10",
    ),
    (
        "a claim is counted against a rate nobody set",
        "SELECT taken.queue || ' ' || taken.grp FROM taken LEFT JOIN lim ON lim.queue = taken.queue \
         AND lim.rate IS NOT NULL AND (lim.scope = 0) = (taken.grp = '') WHERE lim.queue IS NULL LIMIT 10",
    ),
    (
        "a payload is nobody's",
        "SELECT body.n FROM body LEFT JOIN job ON job.n = body.n AND job.payload IS NULL \
         AND job.links & 8 <> 0 WHERE job.n IS NULL LIMIT 10",
    ),
    (
        "a queue has fewer than no jobs",
        "SELECT queue FROM tally WHERE n < 0 LIMIT 10",
    ),
];
