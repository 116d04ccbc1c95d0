//! Leases end. Whatever the function `succeed` does not do: other ends, ends to which more is tied.

use std::collections::BTreeSet;

use tideway_engine::jobs::call::{Settle, Settled};
use tideway_engine::jobs::{Event, Id, Name, NewJob, Outcome};
use tokio_postgres::types::Type;

use super::{Call, Tx};
use crate::error::Failed;
use crate::row::{self, links};
use crate::sql::Bits;

/// Ends leases; one outcome each.
pub(crate) struct Settles<'a>(pub(crate) &'a [Settle]);

impl Call for Settles<'_> {
    type Out = Vec<Settled>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Settled>, Failed> {
        let ids: Vec<Id> = self.0.iter().map(|one| one.id).collect();
        tx.lock_limits_of(&ids).await?;
        let then: Vec<NewJob> = self
            .0
            .iter()
            .flat_map(|one| one.then.iter().cloned())
            .collect();
        tx.prepare(&then, &ids).await?;
        let last = self.0.iter().filter(|one| ends(&one.outcome));
        tx.meet_waiters(last.map(|one| one.id)).await?;
        let mut out = Vec::with_capacity(self.0.len());
        for one in self.0 {
            out.push(tx.settle(one).await?);
        }
        Ok(out)
    }
}

/// Whether a job ends with this. Others may too, if they were cancelled or have crashed too often.
fn ends(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Succeeded(_) | Outcome::Dead { .. } | Outcome::Cancelled
    )
}

impl Tx<'_> {
    async fn settle(&mut self, settle: &Settle) -> Result<Settled, Failed> {
        let Some(mut stored) = self.load(settle.id).await? else {
            return Ok(Settled::NotFound);
        };
        let event = Event::Settle {
            fence: settle.fence,
            outcome: &settle.outcome,
            progress: settle.progress.as_ref(),
        };
        let stepped = self.apply(&mut stored, &event).await?;
        if stepped.is_ok() {
            self.enqueue(&settle.then).await?;
        }
        Ok(stepped.into())
    }

    /// Locks the limits that an end of these jobs may touch.
    async fn lock_limits_of(&mut self, ids: &[Id]) -> Result<(), Failed> {
        if !self.limited {
            return Ok(());
        }
        let ids: Vec<Bits> = ids.iter().map(|id| row::id(*id)).collect();
        let sql = "SELECT DISTINCT queue, links & $2 <> 0 FROM {s}.job WHERE id = ANY ($1)";
        let rows = self
            .query(
                sql,
                &[(&ids, Type::UUID_ARRAY), (&links::WAITERS, Type::INT2)],
            )
            .await?;
        let mut queues = BTreeSet::new();
        for row in &rows {
            if row.try_get(1)? {
                // Those who wait may be in any queue.
                return self.lock_limits(None).await;
            }
            queues.insert(Name::readable(row.try_get(0)?));
        }
        let queues: Vec<Name> = queues.into_iter().collect();
        self.lock_limits(Some(&queues)).await
    }
}
