//! Cron cells: each slot fires once, whoever asks first.

use tideway_engine::Wall;
use tideway_engine::jobs::call::{CronCas, CronOut};
use tideway_engine::jobs::cron::Cell;
use tideway_engine::jobs::{Id, Name};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Call, Tx};
use crate::error::Failed;
use crate::row;
use crate::sql::Bits;

/// Moves a cell and inserts what falls due with it, if the cell is as the caller last saw it.
pub(crate) struct Move<'a>(pub(crate) &'a CronCas);

impl Call for Move<'_> {
    type Out = CronOut;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<CronOut, Failed> {
        let cas = self.0;
        // One at a time, also while there is no cell to lock.
        let lock = tx.terms.schema.lock(&["cron", &cas.key]);
        tx.query("SELECT pg_advisory_xact_lock($1)", &[(&lock, Type::INT8)])
            .await?;
        let cell = tx.cell(&cas.key).await?;
        let now = tx.now;
        if !cas.fits(cell.as_ref()) {
            return Ok(CronOut {
                won: false,
                cell,
                now,
            });
        }
        let next = &cas.next;
        let sql = "INSERT INTO {s}.cron (key, slot, rev, spec, last_job) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (key) DO UPDATE SET slot = excluded.slot, rev = excluded.rev, spec = excluded.spec, \
                   last_job = excluded.last_job";
        let params = [
            (&&*cas.key as _, Type::TEXT),
            (&next.slot.0 as _, Type::INT8),
            (&i64::from(next.rev) as _, Type::INT8),
            (&&*next.spec as _, Type::TEXT),
            (&next.last_job.map(row::id) as _, Type::UUID),
        ];
        tx.query(sql, &params).await?;
        tx.prepare(&cas.jobs, &[]).await?;
        tx.enqueue(&cas.jobs).await?;
        Ok(CronOut {
            won: true,
            cell: Some(next.clone()),
            now,
        })
    }
}

const CELL: &str = "SELECT slot, rev, spec, last_job FROM {s}.cron WHERE key = $1";

/// The cell of an entry, and the time: one statement.
pub(crate) const LOOK: &str = "SELECT c.slot, c.rev, c.spec, c.last_job, {s}.now_1($2) \
    FROM (SELECT) AS one LEFT JOIN {s}.cron c ON c.key = $1";

/// What [`LOOK`] returned.
pub(crate) fn look(row: &Row) -> Result<CronOut, tokio_postgres::Error> {
    let there = row.try_get::<_, Option<i64>>(0)?.is_some();
    Ok(CronOut {
        won: false,
        cell: if there { Some(cell(row)?) } else { None },
        now: Wall(row.try_get(4)?),
    })
}

fn cell(row: &Row) -> Result<Cell, tokio_postgres::Error> {
    Ok(Cell {
        slot: Wall(row.try_get(0)?),
        rev: u32::try_from(row.try_get::<_, i64>(1)?).unwrap_or(u32::MAX),
        spec: row.try_get(2)?,
        last_job: row
            .try_get::<_, Option<Bits>>(3)?
            .map(|bits| Id::from_u128(bits.0)),
    })
}

impl Tx<'_> {
    async fn cell(&mut self, key: &Name) -> Result<Option<Cell>, Failed> {
        let rows = self.query(CELL, &[(&&**key, Type::TEXT)]).await?;
        Ok(rows.first().map(cell).transpose()?)
    }
}
