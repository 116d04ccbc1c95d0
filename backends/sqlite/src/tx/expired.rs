//! Leases that have run out, and who else their owner held.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rusqlite::params;
use tideway_engine::jobs::call::{Cursor, Expired, Page};
use tideway_engine::jobs::{Id, Kind, Owner, Record};

use super::Tx;
use super::pages::bits;
use crate::row;

impl Tx<'_> {
    /// Leases that have run out, by id.
    pub(crate) fn expired(&self, from: &Cursor, limit: u32) -> rusqlite::Result<Page<Expired>> {
        let mut items = Vec::new();
        let mut next = None;
        if let Ok(after) = from.id() {
            let lapsed = self.lapsed(&bits(after), limit)?;
            let (ids, more) = Cursor::cut(lapsed, limit, |id| *id);
            let mut cohorts = BTreeMap::new();
            for id in &ids {
                if let Some(stored) = self.load(*id)? {
                    items.extend(self.lapse(&stored.job, &mut cohorts)?);
                }
            }
            next = more;
        }
        Ok(Page {
            items,
            next,
            now: self.now,
        })
    }

    /// The first of the lapsed jobs behind `after`, and one more. Looks at the index alone.
    fn lapsed(&self, after: &[u8], limit: u32) -> rusqlite::Result<Vec<Id>> {
        let mut find = self.db.prepare_cached(
            "SELECT id FROM job INDEXED BY job_running \
             WHERE state = 2 AND (lease_until <= ?1 OR lease_until > \
                 CASE WHEN ?1 > 9223372036854775807 - lease THEN 9223372036854775807 ELSE ?1 + lease END) \
             AND id > ?2 ORDER BY id LIMIT ?3",
        )?;
        let most = i64::from(limit.max(1)) + 1;
        let rows = find.query_map(params![self.now.0, after, most], |row| {
            row.get(0)
                .map(|bits| Id::from_u128(u128::from_be_bytes(bits)))
        })?;
        rows.collect()
    }

    fn lapse(
        &self,
        job: &Record,
        cohorts: &mut BTreeMap<Owner, Vec<u32>>,
    ) -> rusqlite::Result<Option<Expired>> {
        let Some(owner) = job.owner else {
            return Ok(None);
        };
        let cohort = match cohorts.entry(owner) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.cohort(owner)?),
        };
        Ok(Expired::among(
            job,
            cohort.iter().map(|crashes| (*crashes, 1)),
        ))
    }

    /// The crashes, before those with this owner, of the jobs it last held.
    fn cohort(&self, owner: Owner) -> rusqlite::Result<Vec<u32>> {
        let mut find = self.db.prepare_cached(
            "SELECT iif(flags & 4, 0, crashes) FROM job WHERE state = 2 AND owner = ?1 \
             UNION ALL \
             SELECT crashes - 1 FROM job \
             WHERE state = 1 AND crashes > 0 AND owner = ?1 AND settled = ?2",
        )?;
        let crash = Kind::Crash.code();
        let rows = find.query_map(params![row::owner(owner), crash], |row| row.get(0))?;
        rows.collect()
    }
}
