//! `Cron`: one entry of an app's crontab in the making. Checked when the app is built.

use std::sync::Arc;

use tideway_engine::Wall;
use tideway_engine::jobs::cron::{CronError, Entry, Missed, Overlap, Schedule, job_id};
use tideway_engine::jobs::pool::CronJob;
use tideway_engine::jobs::{Name, NewJob, Start};

use super::{Job, enqueue};

/// A job that is enqueued by the clock, once per slot however many workers there are.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tideway::App;
/// use tideway::jobs::cron::{Missed, Schedule};
/// use tideway::jobs::{Cron, Job, JobCx, JobResult};
///
/// #[derive(Serialize, Deserialize)]
/// struct Report;
///
/// impl Job for Report {
///     const NAME: &'static str = "report";
///
///     async fn run(self, _: JobCx) -> JobResult { Ok(()) }
/// }
///
/// let nightly = Schedule::parse("30 3 * * *").and_then(|daily| daily.zone("Europe/Berlin"));
/// let app = App::new()
///     .job::<Report>()
///     .cron(Cron::new("nightly report", nightly, Report).missed(Missed::RunOnce));
/// ```
///
/// What is wrong with the schedule, or with the job, is found when the app is built.
#[derive(Debug)]
#[must_use]
pub struct Cron<T> {
    key: String,
    schedule: Result<Schedule, CronError>,
    job: T,
    rev: u32,
    missed: Missed,
    overlap: Overlap,
}

impl<T: Job> Cron<T> {
    /// An entry called `key`, which enqueues `job` at every slot of `schedule`. Slots that passed while no
    /// worker ran are skipped, and jobs of two slots may overlap, unless told otherwise.
    pub fn new(key: impl Into<String>, schedule: Result<Schedule, CronError>, job: T) -> Self {
        Self {
            key: key.into(),
            schedule,
            job,
            rev: 0,
            missed: Missed::default(),
            overlap: Overlap::default(),
        }
    }

    /// The revision, 0 unless set. Raise it with every change of schedule or queue: then the old and the new
    /// version of a program never both fire.
    pub fn rev(mut self, rev: u32) -> Self {
        self.rev = rev;
        self
    }

    /// What becomes of slots that passed while no worker ran.
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// What happens if the job of the slot before has not ended.
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// The entry as a worker takes it, or what is wrong with it.
    pub(super) fn checked(self) -> Result<CronJob, String> {
        let wrong =
            |error: &dyn std::fmt::Display| format!("the cron entry `{}`: {error}", self.key);
        let key = Name::new(&self.key).map_err(|error| wrong(&error))?;
        let schedule = self.schedule.map_err(|error| wrong(&error))?;
        // Each slot has an id of its own; this one only names the shard.
        let mut spec =
            enqueue::spec::<T>(job_id(&key, T::QUEUE, Wall(0))).map_err(|error| wrong(&error))?;
        enqueue::fill(&mut spec, &self.job).map_err(|error| wrong(&error))?;
        let payload = enqueue::payload(&self.job).map_err(|error| wrong(&error))?;
        Ok(CronJob {
            entry: Entry {
                key,
                rev: self.rev,
                schedule,
                missed: self.missed,
                overlap: self.overlap,
                queue: spec.queue.clone(),
            },
            job: NewJob {
                spec: Arc::new(spec),
                payload,
                start: Start::Now,
            },
        })
    }
}
