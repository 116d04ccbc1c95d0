//! Leases end or go on. The two most common ways are short; every other one reads the
//! record, applies [`step`](tideway_engine::jobs::step) and writes it back.

use std::time::Duration;

use rusqlite::{CachedStatement, OptionalExtension, params};
use tideway_engine::jobs::call::{Beat, Beaten, Settle, Settled};
use tideway_engine::jobs::{Event, Kind, Name, Outcome, State, later};

use super::Tx;
use crate::row::{self, links};

/// A running job under this fence to whose end nothing else is tied.
const FIND: &str = "SELECT n, queue FROM job \
    WHERE id = ?1 AND token = ?2 AND owner = ?3 AND state = 2 AND links & ?4 = 0";

/// The row Running → Succeed of the table, for a job that was found. Not one statement with the search: what is
/// to be returned passes through a table of its own and makes SQLite ready to undo the one row, which costs more
/// than looking twice.
const SUCCEED: &str = "UPDATE job SET state = 3, settled = ?2, returns = 0, payload = x'', result = ?3, \
    ended_at = ?4, prune_at = ?4 + keep WHERE n = ?1";

/// A running job under this fence.
const HELD: &str =
    "SELECT n, flags & 1 FROM job WHERE id = ?1 AND token = ?2 AND owner = ?3 AND state = 2";

/// The row Running → Beat, without a checkpoint. Not one statement with the search, as above.
const BEAT: &str = "UPDATE job SET lease = ?2, lease_until = ?3 WHERE n = ?1";

impl Tx<'_> {
    /// Ends leases; one outcome each.
    pub(crate) fn settle(&mut self, settles: &[Settle]) -> rusqlite::Result<Vec<Settled>> {
        let db = self.db;
        let mut succeed = (db.prepare_cached(FIND)?, db.prepare_cached(SUCCEED)?);
        let one = |one| self.settle_one(one, &mut succeed);
        settles.iter().map(one).collect()
    }

    fn settle_one(
        &mut self,
        settle: &Settle,
        succeed: &mut (CachedStatement<'_>, CachedStatement<'_>),
    ) -> rusqlite::Result<Settled> {
        let settled = match self.succeed(settle, succeed)? {
            true => Settled::Applied(Kind::Succeed),
            false => self.settle_any(settle)?,
        };
        if matches!(settled, Settled::Applied(_)) && !settle.then.is_empty() {
            self.enqueue(&settle.then)?;
        }
        Ok(settled)
    }

    /// The short way; false if it does not lead there.
    fn succeed(
        &mut self,
        settle: &Settle,
        (find, succeed): &mut (CachedStatement<'_>, CachedStatement<'_>),
    ) -> rusqlite::Result<bool> {
        let (Outcome::Succeeded(result), None) = (&settle.outcome, &settle.progress) else {
            return Ok(false);
        };
        let limited = self.limited()?;
        let tied =
            links::UNIQUE | links::WAITERS | links::BODY | if limited { links::GROUP } else { 0 };
        let mut rows = find.query(params![
            row::id(settle.id),
            settle.fence.token as i64,
            row::owner(settle.fence.owner),
            tied,
        ])?;
        let Some(row) = rows.next()? else {
            return Ok(false);
        };
        let n: i64 = row.get(0)?;
        let queue = row.get_ref(1)?.as_str()?;
        self.tally.moved(queue, State::Running, State::Succeeded);
        // Another of the queue may start.
        if limited && !self.hints.queues.contains(queue) {
            self.hints.queues.insert(Name::readable(queue));
        }
        drop(rows);
        succeed.execute(params![
            n,
            Kind::Succeed.code(),
            row::bytes(result),
            self.now.0
        ])?;
        Ok(true)
    }

    fn settle_any(&mut self, settle: &Settle) -> rusqlite::Result<Settled> {
        let Some(mut stored) = self.load(settle.id)? else {
            return Ok(Settled::NotFound);
        };
        let event = Event::Settle {
            fence: settle.fence,
            outcome: &settle.outcome,
            progress: settle.progress.as_ref(),
        };
        Ok(self.apply(&mut stored, &event)?.into())
    }

    /// Extends leases to `lease` from now; one outcome each.
    pub(crate) fn heartbeat(
        &mut self,
        beats: &[Beat],
        lease: Duration,
    ) -> rusqlite::Result<Vec<Beaten>> {
        let db = self.db;
        let mut extend = (db.prepare_cached(HELD)?, db.prepare_cached(BEAT)?);
        let one = |beat| self.beat(beat, lease, &mut extend);
        beats.iter().map(one).collect()
    }

    fn beat(
        &mut self,
        beat: &Beat,
        lease: Duration,
        (held, extend): &mut (CachedStatement<'_>, CachedStatement<'_>),
    ) -> rusqlite::Result<Beaten> {
        if beat.progress.is_none() {
            let found: Option<(i64, bool)> = held
                .query_row(
                    params![
                        row::id(beat.id),
                        beat.fence.token as i64,
                        row::owner(beat.fence.owner),
                    ],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let Some((n, cancel)) = found else {
                return Ok(Beaten::Lost);
            };
            let until = later(self.now, lease).0;
            extend.execute(params![n, row::millis(lease), until])?;
            return Ok(Beaten::Alive { cancel });
        }
        let Some(mut stored) = self.load(beat.id)? else {
            return Ok(Beaten::Lost);
        };
        let event = Event::Beat {
            fence: beat.fence,
            lease,
            progress: beat.progress.as_ref(),
        };
        Ok(match self.apply(&mut stored, &event)? {
            Ok(_) => Beaten::Alive {
                cancel: stored.job.cancel,
            },
            Err(_) => Beaten::Lost,
        })
    }
}
