//! The hold set: which job has which unique key of a queue. A key is taken at enqueue or revival alone, by one
//! transaction at a time.

use std::collections::BTreeSet;

use tideway_engine::Wall;
use tideway_engine::jobs::{Hold, Id, Kind, Name, Record, Unique};
use tokio_postgres::types::Type;

use super::Tx;
use crate::error::Failed;
use crate::row;
use crate::sql::Bits;

/// Who holds a key, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    id: Id,
    /// 0 until start, 1 until done, 2 until a time.
    hold: i16,
    until: Option<Wall>,
}

type Key = (Name, Name);

impl Tx<'_> {
    /// Keeps others from taking these keys until the end of the transaction. Before any row is locked.
    pub(super) async fn lock_keys(&self, keys: &BTreeSet<Key>) -> Result<(), Failed> {
        if keys.is_empty() {
            return Ok(());
        }
        let locks = keys
            .iter()
            .map(|(queue, key)| self.terms.schema.lock(&["key", queue, key]));
        let locks: BTreeSet<i64> = locks.collect();
        let locks: Vec<i64> = locks.into_iter().collect();
        let sql = "SELECT pg_advisory_xact_lock(n) FROM unnest($1) AS n";
        self.query(sql, &[(&locks, Type::INT8_ARRAY)]).await?;
        Ok(())
    }

    /// Reads who holds these keys. Whoever gives one up meanwhile has its own row locked: of the holders, that is
    /// to be read afterwards, and then this once more.
    pub(super) async fn load_holds(
        &mut self,
        keys: impl IntoIterator<Item = Key>,
    ) -> Result<(), Failed> {
        let new: BTreeSet<Key> = keys
            .into_iter()
            .filter(|key| !self.holds.contains_key(key))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let queues: Vec<&str> = new.iter().map(|(queue, _)| &**queue).collect();
        let names: Vec<&str> = new.iter().map(|(_, key)| &**key).collect();
        let sql = "SELECT h.queue, h.key, h.id, h.hold, h.until FROM unnest($1, $2) AS n (queue, key) \
                   JOIN {s}.hold h ON h.queue = n.queue AND h.key = n.key";
        let rows = self
            .query(
                sql,
                &[(&queues, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)],
            )
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let held = Held {
                id: Id::from_u128(row.try_get::<_, Bits>(2)?.0),
                hold: row.try_get(3)?,
                until: row.try_get::<_, Option<i64>>(4)?.map(Wall),
            };
            found.push((
                (
                    Name::readable(row.try_get(0)?),
                    Name::readable(row.try_get(1)?),
                ),
                Some(held),
            ));
        }
        self.holds.extend(new.into_iter().map(|key| (key, None)));
        self.holds.extend(found);
        Ok(())
    }

    /// Locks the jobs that hold these keys, which nobody else can take meanwhile, and reads who has kept his.
    pub(super) async fn load_holders(
        &mut self,
        keys: &BTreeSet<Key>,
        ids: &[Id],
    ) -> Result<(), Failed> {
        if keys.is_empty() {
            return self.load_all(ids.iter().copied()).await;
        }
        self.load_holds(keys.iter().cloned()).await?;
        let holders = self.holds.values().flatten().map(|held| held.id);
        let all: Vec<Id> = holders.chain(ids.iter().copied()).collect();
        self.load_all(all).await?;
        self.holds.retain(|key, _| !keys.contains(key));
        self.load_holds(keys.iter().cloned()).await
    }

    /// Who holds the key now.
    pub(super) async fn holder(&mut self, queue: &Name, key: &Name) -> Result<Option<Id>, Failed> {
        let key = (queue.clone(), key.clone());
        self.load_holds([key.clone()]).await?;
        let held = self.holds.get(&key).copied().flatten();
        let held = held.filter(|held| held.until.is_none_or(|until| until > self.now));
        Ok(held.map(|held| held.id))
    }

    /// Gives the key to `job`.
    pub(super) fn take(&mut self, job: &Record, unique: &Unique) {
        let held = Held {
            id: job.id(),
            hold: i16::from(unique.hold.code()),
            until: unique.hold.until(self.now),
        };
        let key = (job.spec.queue.clone(), unique.key.clone());
        self.holds.insert(key.clone(), Some(held));
        self.moved.insert(key);
    }

    /// Frees what the job held until `kind` was applied to it.
    pub(super) async fn release(&mut self, job: &Record, kind: Kind) -> Result<(), Failed> {
        let Some(most) = Hold::ends(kind, job.state).map(i16::from) else {
            return Ok(());
        };
        let Some(unique) = &job.spec.unique else {
            // Unreadable: by its id, then.
            let sql = "DELETE FROM {s}.hold WHERE id = $1 AND hold <= $2";
            self.query(
                sql,
                &[(&row::id(job.id()), Type::UUID), (&most, Type::INT2)],
            )
            .await?;
            return Ok(());
        };
        let key = (job.spec.queue.clone(), unique.key.clone());
        self.load_holds([key.clone()]).await?;
        let held = self.holds.get_mut(&key);
        if let Some(held) = held
            && held.is_some_and(|held| held.id == job.id() && held.hold <= most)
        {
            *held = None;
            self.moved.insert(key);
        }
        Ok(())
    }

    pub(super) async fn flush_holds(&mut self) -> Result<(), Failed> {
        let moved = std::mem::take(&mut self.moved);
        if moved.is_empty() {
            return Ok(());
        }
        let (mut queues, mut keys, mut ids, mut holds, mut untils) =
            (vec![], vec![], vec![], vec![], vec![]);
        for key in &moved {
            let held = self.holds.get(key).copied().flatten();
            queues.push(&*key.0);
            keys.push(&*key.1);
            ids.push(held.map(|held| row::id(held.id)));
            holds.push(held.map(|held| held.hold));
            untils.push(held.and_then(|held| held.until).map(|time| time.0));
        }
        let params = [
            (&queues as _, Type::TEXT_ARRAY),
            (&keys as _, Type::TEXT_ARRAY),
            (&ids as _, Type::UUID_ARRAY),
            (&holds as _, Type::INT2_ARRAY),
            (&untils as _, Type::INT8_ARRAY),
        ];
        let sql = "WITH n AS (SELECT * FROM unnest($1, $2, $3, $4, $5) AS n (queue, key, id, hold, until)), \
             freed AS (DELETE FROM {s}.hold h USING n WHERE n.id IS NULL AND h.queue = n.queue AND h.key = n.key) \
             INSERT INTO {s}.hold (queue, key, id, hold, until) \
             SELECT queue, key, id, hold, until FROM n WHERE id IS NOT NULL ORDER BY queue, key \
             ON CONFLICT (queue, key) DO UPDATE SET id = excluded.id, hold = excluded.hold, until = excluded.until";
        self.query(sql, &params).await?;
        Ok(())
    }
}
