//! Listings by id, page by page. A cursor is the last id of the page before.

use tideway_engine::jobs::Id;
use tideway_engine::jobs::call::Filter;
use tokio_postgres::types::Type;

use super::Tx;
use crate::error::Failed;
use crate::row::{self, COLUMNS, Stored};
use crate::sql::{Bits, Param};

/// One page of the jobs that match, behind what shall be selected. Its parameters are those of [`Matching`].
pub(crate) const MATCHING: &str = " FROM {s}.job WHERE ($1::uuid IS NULL OR id > $1) \
    AND ($3::text IS NULL OR queue = $3) AND ($4::text IS NULL OR kind = $4) AND ($5::text IS NULL OR grp = $5) \
    AND ($6::int2 IS NULL OR state = $6) ORDER BY id LIMIT $2";

/// The parameters of [`MATCHING`]: where to go on, one more than fit the page, the filter.
pub(crate) struct Matching<'a> {
    after: Option<Bits>,
    most: i64,
    names: [Option<&'a str>; 3],
    state: Option<i16>,
}

impl<'a> Matching<'a> {
    pub(crate) fn of(filter: &'a Filter, after: Option<Id>, limit: u32) -> Self {
        let names = [&filter.queue, &filter.kind, &filter.group];
        Self {
            after: after.map(row::id),
            most: i64::from(limit.max(1)) + 1,
            names: names.map(|name| name.as_deref()),
            state: filter.state.map(row::state),
        }
    }

    pub(crate) fn params(&self) -> [Param<'_>; 6] {
        let [queue, kind, group] = &self.names;
        [
            (&self.after, Type::UUID),
            (&self.most, Type::INT8),
            (queue, Type::TEXT),
            (kind, Type::TEXT),
            (group, Type::TEXT),
            (&self.state, Type::INT2),
        ]
    }
}

impl Tx<'_> {
    /// Reads rows without a lock.
    pub(super) async fn peek(&self, ids: &[Id]) -> Result<Vec<Stored>, Failed> {
        let wanted: Vec<Bits> = ids.iter().map(|id| row::id(*id)).collect();
        let sql = format!("SELECT {COLUMNS} FROM {{s}}.job WHERE id = ANY ($1)");
        let rows = self.query(&sql, &[(&wanted, Type::UUID_ARRAY)]).await?;
        Ok(rows.iter().map(row::read).collect::<Result<_, _>>()?)
    }
}
