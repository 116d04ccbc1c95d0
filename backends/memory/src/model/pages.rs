//! Listings by id, page by page, and the numbers of the queues. A cursor is the text of the last id looked at.

use std::ops::Bound;

use tideway_engine::Wall;
use tideway_engine::jobs::call::{Cursor, Filter, Page, Stats};
use tideway_engine::jobs::{Id, Record};

use super::Model;

/// A page looks at no more records than this, whether they match or not, so that it holds the store up for
/// milliseconds at most. It may then be short, or empty, and not the last.
const LOOKED_AT: usize = 10_000;

impl Model {
    /// One page of the jobs that match, by id. A cursor that is none of this store's lists nothing.
    #[must_use]
    pub fn list(&self, filter: &Filter, from: &Cursor, limit: u32, now: Wall) -> Page<Record> {
        let (jobs, next) = self.page(filter, from, limit);
        Page {
            items: jobs.into_iter().cloned().collect(),
            next,
            now,
        }
    }

    /// At most `limit` (at least 1) jobs that match, and where the next page begins if there is one.
    pub(super) fn page(
        &self,
        filter: &Filter,
        from: &Cursor,
        limit: u32,
    ) -> (Vec<&Record>, Option<Cursor>) {
        let Ok(after) = from.id() else {
            return (Vec::new(), None);
        };
        let limit = limit.max(1) as usize;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut jobs: Vec<&Record> = Vec::new();
        for (looked_at, (id, job)) in self.records.range((start, Bound::Unbounded)).enumerate() {
            if looked_at == LOOKED_AT {
                return (jobs, before(*id));
            }
            if filter.matches(job) {
                if jobs.len() == limit {
                    return (jobs, before(*id));
                }
                jobs.push(job);
            }
        }
        (jobs, None)
    }

    /// The numbers of every queue.
    #[must_use]
    pub fn stats(&self, now: Wall) -> Stats {
        let known = self
            .index
            .queues
            .iter()
            .filter(|(_, queue)| queue.paused || queue.counts != [0; 6]);
        Stats {
            queues: known.map(|(name, queue)| queue.stats(name)).collect(),
            now,
        }
    }
}

/// A cursor to go on at `id`.
fn before(id: Id) -> Option<Cursor> {
    Some(Cursor::behind(Id::from_u128(
        id.as_u128().saturating_sub(1),
    )))
}
