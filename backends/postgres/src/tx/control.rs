//! What people and programs ask for.

use std::collections::BTreeSet;

use tideway_engine::jobs::call::{Control, ControlOut, Cursor, Left, Select};
use tideway_engine::jobs::{Event, Id, Name, Start, State};
use tokio_postgres::types::Type;

use super::pages::{MATCHING, Matching};
use super::{Call, Tx, unsupported};
use crate::error::Failed;
use crate::row::Stored;

/// Does what is asked.
pub(crate) struct Ask<'a>(pub(crate) &'a Control);

impl Call for Ask<'_> {
    type Out = ControlOut;

    fn exclusive(&self) -> bool {
        matches!(
            self.0,
            Control::Pause(_) | Control::Resume(_) | Control::Limit(..)
        )
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<ControlOut, Failed> {
        let none = ControlOut::default();
        match self.0 {
            Control::Cancel(select) => tx.each(select, &What::Event(Event::Cancel)).await,
            Control::Reschedule(select, start) => {
                tx.each(select, &What::Event(Event::Reschedule(*start)))
                    .await
            }
            Control::Revive(select, start) => tx.each(select, &What::Revive(*start)).await,
            Control::Delete(select) => tx.each(select, &What::Delete).await,
            Control::Pause(queue) => {
                let sql = "INSERT INTO {s}.paused (queue) VALUES ($1) ON CONFLICT DO NOTHING";
                tx.query(sql, &[(&&**queue, Type::TEXT)]).await?;
                Ok(none)
            }
            Control::Resume(queue) => {
                tx.query(
                    "DELETE FROM {s}.paused WHERE queue = $1",
                    &[(&&**queue, Type::TEXT)],
                )
                .await?;
                tx.hints.queue(queue);
                Ok(none)
            }
            Control::Limit(scope, limit) => {
                tx.limit(scope, limit).await?;
                Ok(none)
            }
            _ => Err(unsupported("this control")),
        }
    }
}

enum What {
    Event(Event<'static>),
    Revive(Start),
    Delete,
}

impl Tx<'_> {
    async fn each(&mut self, select: &Select, what: &What) -> Result<ControlOut, Failed> {
        self.lock_limits(None).await?;
        let (ids, next) = match select {
            Select::Ids(ids) => (ids.clone(), None),
            Select::Filter {
                filter,
                after,
                limit,
            } => match after.id() {
                Ok(after) => {
                    let matching = Matching::of(filter, after, *limit);
                    let sql = format!("SELECT id{MATCHING}");
                    let rows = self.query(&sql, &matching.params()).await?;
                    Cursor::cut(Self::ids(&rows)?, *limit, |id| *id)
                }
                Err(_) => (Vec::new(), None),
            },
        };
        self.load_for(&ids, matches!(what, What::Revive(_))).await?;
        if matches!(what, What::Event(Event::Cancel)) {
            self.meet_waiters(ids.iter().copied()).await?;
        }
        let mut out = ControlOut {
            next,
            ..ControlOut::default()
        };
        for id in ids {
            let done = match self.load(id).await? {
                Some(mut stored) => match what {
                    What::Event(event) => self.event(&mut stored, event).await?,
                    What::Revive(start) => self.revive(&mut stored, *start).await?,
                    What::Delete => self.delete(&stored),
                },
                None => Err(Left::NotFound),
            };
            match done {
                Ok(()) => out.done.push(id),
                Err(left) => out.left.push((id, left)),
            }
        }
        Ok(out)
    }

    /// Locks and reads rows; where their unique keys may be taken again, those before.
    async fn load_for(&mut self, ids: &[Id], keys: bool) -> Result<(), Failed> {
        if !keys {
            return self.load_all(ids.iter().copied()).await;
        }
        // Without a lock at first: a job's key never changes.
        let records = self.peek(ids).await?;
        let keys = records.iter().filter_map(|stored| {
            let spec = &stored.job.spec;
            Some((spec.queue.clone(), spec.unique.as_ref()?.key.clone()))
        });
        let keys: BTreeSet<(Name, Name)> = keys.collect();
        self.lock_keys(&keys).await?;
        self.load_holders(&keys, ids).await
    }

    async fn event(
        &mut self,
        stored: &mut Stored,
        event: &Event<'_>,
    ) -> Result<Result<(), Left>, Failed> {
        Ok(match self.apply(stored, event).await? {
            Ok(_) => Ok(()),
            Err(_) => Err(Left::State(stored.job.state)),
        })
    }

    async fn revive(
        &mut self,
        stored: &mut Stored,
        start: Start,
    ) -> Result<Result<(), Left>, Failed> {
        let unique = stored.job.spec.unique.clone();
        if let Some(unique) = &unique
            && matches!(stored.job.state, State::Dead | State::Cancelled)
            && let Some(holder) = self.holder(&stored.job.spec.queue, &unique.key).await?
            && holder != stored.job.id()
        {
            return Ok(Err(Left::UniqueHit(holder)));
        }
        let done = self.event(stored, &Event::Revive(start)).await?;
        if let (Ok(()), Some(unique)) = (done, &unique) {
            self.take(&stored.job, unique);
        }
        Ok(done)
    }

    fn delete(&mut self, stored: &Stored) -> Result<(), Left> {
        let job = &stored.job;
        if !job.state.ended() {
            return Err(Left::State(job.state));
        }
        let known = job.known_until().filter(|until| *until > self.now);
        self.gone
            .insert(job.id(), known.map(|until| (job.digest, until)));
        self.rows.insert(job.id(), None);
        self.count(&job.spec.queue, job.state, -1);
        Ok(())
    }
}
