//! Listings by id, page by page. A cursor is the last id of the page before.

use tideway_engine::jobs::Id;
use tideway_engine::jobs::call::Filter;
use tokio_postgres::types::Type;

use super::Tx;
use crate::error::Failed;
use crate::row::{self, COLUMNS, Stored};
use crate::sql::{Bits, Param};

/// The values of a filter, as parameters from `$3` on.
pub(crate) struct Values {
    texts: Vec<String>,
    state: Option<i16>,
}

/// Selects `what` of one page of the jobs that match; `$1` is the cursor, `$2` one more than fit the page.
pub(crate) fn matching(what: &str, filter: &Filter) -> (String, Values) {
    let mut sql = format!("SELECT {what} FROM {{s}}.job WHERE ($1::uuid IS NULL OR id > $1)");
    let mut texts = Vec::new();
    for (column, value) in [
        ("queue", &filter.queue),
        ("kind", &filter.kind),
        ("grp", &filter.group),
    ] {
        if let Some(value) = value {
            texts.push(value.to_string());
            sql += &format!(" AND {column} = ${}", texts.len() + 2);
        }
    }
    if filter.state.is_some() {
        sql += &format!(" AND state = ${}", texts.len() + 3);
    }
    sql += " ORDER BY id LIMIT $2";
    let state = filter.state.map(row::state);
    (sql, Values { texts, state })
}

/// The parameters of [`matching`].
pub(crate) struct Params<'a> {
    after: Option<Bits>,
    most: i64,
    values: &'a Values,
}

pub(crate) fn params(values: &Values, after: Option<Id>, limit: u32) -> Params<'_> {
    Params {
        after: after.map(row::id),
        most: i64::from(limit.max(1)) + 1,
        values,
    }
}

impl Params<'_> {
    pub(crate) fn each(&self) -> Vec<Param<'_>> {
        let mut all: Vec<Param<'_>> = vec![(&self.after, Type::UUID), (&self.most, Type::INT8)];
        all.extend(
            self.values
                .texts
                .iter()
                .map(|text| -> Param<'_> { (text, Type::TEXT) }),
        );
        all.extend(
            self.values
                .state
                .iter()
                .map(|state| -> Param<'_> { (state, Type::INT2) }),
        );
        all
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
