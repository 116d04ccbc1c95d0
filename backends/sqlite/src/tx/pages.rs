//! Listings by id, page by page. A cursor is the last id of the page before.

use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};
use tideway_engine::jobs::call::{Cursor, Filter, Page};
use tideway_engine::jobs::{Id, Record};

use super::Tx;
use crate::row::{self, Stored, columns};

/// What sorts right before the first id of a page: an id, or nothing.
pub(super) fn bits(after: Option<Id>) -> Vec<u8> {
    after.map_or_else(Vec::new, |id| row::id(id).to_vec())
}

impl Tx<'_> {
    /// One page of the jobs that match, by id.
    pub(crate) fn list(
        &self,
        filter: &Filter,
        from: &Cursor,
        limit: u32,
    ) -> rusqlite::Result<Page<Record>> {
        let (ids, next) = self.matching(filter, from, limit)?;
        let mut items = Vec::with_capacity(ids.len());
        for id in ids {
            items.extend(self.load(id)?.map(|stored| stored.job));
        }
        Ok(Page {
            items,
            next,
            now: self.now,
        })
    }

    /// The ids of one page.
    pub(super) fn matching(
        &self,
        filter: &Filter,
        from: &Cursor,
        limit: u32,
    ) -> rusqlite::Result<(Vec<Id>, Option<Cursor>)> {
        let Ok(after) = from.id() else {
            return Ok((Vec::new(), None));
        };
        let mut sql = String::from("SELECT id FROM job WHERE id > ?1");
        let mut values = vec![Value::Blob(bits(after))];
        let mut both = |column: &str, value: Option<Value>| {
            if let Some(value) = value {
                values.push(value);
                sql += &format!(" AND {column} = ?{}", values.len());
            }
        };
        let text = |name: &str| Value::Text(name.into());
        both("+queue", filter.queue.as_deref().map(text));
        both("kind", filter.kind.as_deref().map(text));
        both(
            "+state",
            filter
                .state
                .map(|state| Value::Integer(state.code().into())),
        );
        both("+grp", filter.group.as_deref().map(text));
        values.push(Value::Integer(i64::from(limit.max(1)) + 1));
        sql += &format!(" ORDER BY id LIMIT ?{}", values.len());
        let mut find = self.db.prepare_cached(&sql)?;
        let rows = find.query_map(params_from_iter(values), |row| {
            row.get(0)
                .map(|bits| Id::from_u128(u128::from_be_bytes(bits)))
        })?;
        let ids = rows.collect::<rusqlite::Result<_>>()?;
        Ok(Cursor::cut(ids, limit, |id| *id))
    }

    /// The records of `ids`, in order.
    pub(crate) fn jobs(&self, ids: &[Id]) -> rusqlite::Result<Vec<Option<Record>>> {
        let load = |id: &Id| Ok(self.load(*id)?.map(|stored| stored.job));
        ids.iter().map(load).collect()
    }

    /// Some rows behind row `n`, for a walk over all.
    pub(super) fn some(&self, n: i64, limit: u32) -> rusqlite::Result<Vec<Stored>> {
        let mut find = self.db.prepare_cached(concat!(
            "SELECT ",
            columns!(),
            " FROM job WHERE n > ?1 ORDER BY n LIMIT ?2"
        ))?;
        let rows = find.query_map(params![n, limit], row::read)?;
        rows.collect()
    }
}
