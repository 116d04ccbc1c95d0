//! The specification of a job store as a plain value. Never waits, locks or reads a clock: every call
//! takes `now`, the store's clock.

mod audit;
mod claim;
mod control;
mod cron;
mod deleted;
mod enqueue;
mod index;
mod lanes;
mod limits;
mod owners;
mod pages;
mod queue;
mod retention;
mod settle;
mod unique;
mod waits;

use std::collections::BTreeMap;

use tideway_engine::Wall;
use tideway_engine::jobs::cron::Cell;
use tideway_engine::jobs::{Event, Id, Kind, Name, Record, Refused, State, step};

use deleted::Deleted;
use index::Index;
use owners::Owners;
use tideway::jobs::hints::Hints;
use unique::Holds;

/// All jobs of a store, and every rule about more than one of them.
///
/// The rule for one record is [`step`]. Deterministic: equal models given equal calls stay equal and
/// answer alike. A method costs O(log n) per job it returns or changes and looks at no other, with the exceptions
/// of [`audit`](Self::audit), of listings by a filter that few jobs match, and of the first claim after
/// the clock went back.
///
/// | What | Grows with | Is forgotten |
/// |---|---|---|
/// | records | jobs | when pruned or deleted |
/// | ids of deleted jobs | deletions of jobs that ended in the last minute | a minute after their time, by the next deletion or prune |
/// | unique holds | jobs; those by time outlive their job | a minute after their time, by the next enqueue or prune |
/// | newest claim of an owner | processes | a day after its last claim |
/// | claims that a rate counts | at most 65 536 entries per queue or group | after the window |
/// | cron cells, pauses, limits | what the program or its operator names | never |
#[derive(Clone, Debug, Default)]
pub struct Model {
    records: BTreeMap<Id, Box<Record>>,
    index: Index,
    holds: Holds,
    deleted: Deleted,
    owners: Owners,
    cells: BTreeMap<Name, Cell>,
    /// The clock at the last claim, to notice that it went back.
    last: Wall,
    /// The latest clock at which a lease was given. Saves a search, changes no answer.
    ahead: Wall,
    /// Jobs that ended in this call and whose waiters have not been told.
    ends: Vec<Id>,
    /// Of the last call that changed something. No part of what the store holds.
    hints: Hints,
}

/// Equal if all further calls have the same answers.
impl PartialEq for Model {
    fn eq(&self, other: &Self) -> bool {
        self.records == other.records
            && self.index == other.index
            && self.holds == other.holds
            && self.deleted == other.deleted
            && self.owners == other.owners
            && self.cells == other.cells
            && self.last == other.last
    }
}

impl Model {
    /// A store without jobs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records there are, ended ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record of `id`.
    #[must_use]
    pub fn job(&self, id: Id) -> Option<&Record> {
        self.records.get(&id).map(|job| &**job)
    }

    /// The records of `ids`, in order.
    #[must_use]
    pub fn jobs(&self, ids: &[Id]) -> Vec<Option<Record>> {
        ids.iter().map(|id| self.job(*id).cloned()).collect()
    }

    pub(crate) fn take_hints(&mut self) -> Hints {
        std::mem::take(&mut self.hints)
    }

    /// Applies `event` to the job and everything that follows from it: index, unique hold, waiters.
    /// `None` if there is no such job.
    fn apply(&mut self, id: Id, event: &Event<'_>, now: Wall) -> Option<Result<Kind, Refused>> {
        let done = self.apply_alone(id, event, now)?;
        self.tell_waiters(now);
        Some(done)
    }

    /// As [`apply`](Self::apply), but the waiters are told by a later [`tell_waiters`](Self::tell_waiters).
    fn apply_alone(
        &mut self,
        id: Id,
        event: &Event<'_>,
        now: Wall,
    ) -> Option<Result<Kind, Refused>> {
        let job = self.records.get_mut(&id)?;
        let ran = job.state == State::Running;
        let done = self.index.change(job, |job| step(job, event, now));
        if let Ok(kind) = done {
            self.holds.after(job, kind);
            self.hints.after(job, kind);
            if ran && job.state != State::Running && self.index.limits_running(job) {
                self.hints.queue(&job.spec.queue);
            }
            if job.state.ended() {
                self.ends.push(id);
            }
        }
        Some(done)
    }
}
