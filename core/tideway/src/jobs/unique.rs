//! `UniqueBy`: a unique key in the making. Checked when the job is enqueued.

use std::time::Duration;

use tideway_engine::jobs::{Conflict, Hold, Name, NameError, Unique};

/// A key of which there is at most one job at a time in a queue, held until that job ends unless told
/// otherwise.
///
/// ```
/// use std::time::Duration;
/// use tideway::jobs::UniqueBy;
///
/// // While one export of a user waits or runs, a second one is not made.
/// let export = UniqueBy::key("export-7");
/// // At most one reminder a day; a newer one that is still to come takes its place.
/// let remind = UniqueBy::key("remind-7").within(Duration::from_secs(86_400)).replacing();
/// ```
///
/// A key of more than [`Name::MAX`] bytes is refused when the job is enqueued: use a hash of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct UniqueBy {
    key: String,
    hold: Hold,
    conflict: Conflict,
}

impl UniqueBy {
    /// One job per `key`, until it ends; a second one is not made.
    pub fn key(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            hold: Hold::UntilDone,
            conflict: Conflict::Keep,
        }
    }

    /// Frees the key when the job starts: one may wait while another runs.
    pub fn until_start(mut self) -> Self {
        self.hold = Hold::UntilStart;
        self
    }

    /// Holds the key for `time` from the enqueue, whatever becomes of the job.
    pub fn within(mut self, time: Duration) -> Self {
        self.hold = Hold::For(time);
        self
    }

    /// A newer job takes the place of one that has not started.
    pub fn replacing(mut self) -> Self {
        self.conflict = Conflict::Replace;
        self
    }

    /// As [`replacing`](Self::replacing), but with the payload of the older one: only the start changes.
    pub fn rescheduling(mut self) -> Self {
        self.conflict = Conflict::Reschedule;
        self
    }

    pub(super) fn checked(self) -> Result<Unique, NameError> {
        Ok(Unique {
            key: Name::new(&self.key)?,
            hold: self.hold,
            conflict: self.conflict,
        })
    }
}
