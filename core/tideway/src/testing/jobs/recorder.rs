//! A store that only takes notes: for tests of what enqueues.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_core::Stream;
use tideway_engine::jobs::call::{
    AuditReport, Beat, Beaten, Caps, ClaimReq, Claimed, Control, ControlOut, CronCas, CronOut,
    Cursor, Durability, Enqueued, Expired, Filter, Page, Settle, Settled, Stats, Wake,
};
use tideway_engine::jobs::{Id, Name, NewJob, Owner, Record};

use crate::jobs::{Job, JobStore, StoreError};

/// A [`JobStore`] that records what is enqueued, whatever it asks for, and supports nothing else. Clones share the
/// record.
///
/// See [`Jobs`](crate::jobs::Jobs) for an example.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    jobs: Vec<NewJob>,
    calls: usize,
    fault: Option<Fault>,
    caps: Option<Caps>,
}

/// What goes wrong with every call of a [`Recorder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is recorded, and the call fails with this.
    Fail(StoreError),
    /// The job is recorded, and the reply is lost.
    LoseReply,
    /// The job is recorded, and there is never a reply.
    Hang,
}

impl Recorder {
    /// What was enqueued, in order; an id that came again is there once.
    #[must_use]
    pub fn jobs(&self) -> Vec<NewJob> {
        self.notes().jobs.clone()
    }

    /// The jobs of one kind.
    ///
    /// # Panics
    ///
    /// If a payload of that kind does not decode.
    #[must_use]
    #[track_caller]
    pub fn of<T: Job>(&self) -> Vec<T> {
        let jobs = self.jobs();
        let of_kind = jobs.iter().filter(|job| job.spec.kind == T::NAME);
        let decoded = of_kind.map(|job| serde_json::from_slice(&job.payload));
        match decoded.collect() {
            Ok(jobs) => jobs,
            Err(error) => panic!("a payload of `{}` does not decode: {error}", T::NAME),
        }
    }

    /// How often it was called.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.notes().calls
    }

    /// What goes wrong from now on; `None` for nothing.
    pub fn set_fault(&self, fault: impl Into<Option<Fault>>) {
        self.notes().fault = fault.into();
    }

    /// Declares these from now on: to see what an app does on a store that can do less. Whoever has asked for
    /// them before is not told.
    pub fn set_caps(&self, caps: Caps) {
        self.notes().caps = Some(caps);
    }

    fn record(&self, jobs: &[NewJob]) -> (Vec<Enqueued>, Option<Fault>) {
        let mut notes = self.notes();
        notes.calls += 1;
        let fault = notes.fault.clone();
        if let Some(Fault::Fail(_)) = fault {
            return (Vec::new(), fault);
        }
        let outcomes = jobs.iter().map(|job| {
            let known = notes.jobs.iter().find(|other| other.spec.id == job.spec.id);
            match known.map(|other| other.digest() == job.digest()) {
                Some(true) => Enqueued::Duplicate,
                Some(false) => Enqueued::IdConflict,
                None => {
                    notes.jobs.push(job.clone());
                    Enqueued::Inserted
                }
            }
        });
        (outcomes.collect(), fault)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        // No user code runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn only_records<T>() -> Result<T, StoreError> {
    Err(StoreError::Unsupported(
        "anything but `enqueue`: it is a `Recorder`",
    ))
}

impl JobStore for Recorder {
    fn caps(&self) -> Caps {
        self.notes().caps.unwrap_or(Caps {
            durability: Durability::Memory,
            unique: true,
            cron: true,
            limits: false,
            waits: true,
            list: false,
            wakeups: false,
            max_batch: 1000,
            max_payload: usize::MAX,
        })
    }

    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        match self.record(jobs) {
            (outcomes, None) => Ok(outcomes),
            (_, Some(Fault::Fail(error))) => Err(error),
            (_, Some(Fault::LoseReply)) => Err(StoreError::Ambiguous("the reply is lost".into())),
            (_, Some(Fault::Hang)) => std::future::pending().await,
        }
    }

    async fn claim(&self, _: &ClaimReq) -> Result<Claimed, StoreError> {
        only_records()
    }

    async fn settle(&self, _: &[Settle]) -> Result<Vec<Settled>, StoreError> {
        only_records()
    }

    async fn heartbeat(&self, _: &[Beat], _: Duration) -> Result<Vec<Beaten>, StoreError> {
        only_records()
    }

    async fn expired(&self, _: &Cursor, _: u32) -> Result<Page<Expired>, StoreError> {
        only_records()
    }

    async fn cron_cas(&self, _: &CronCas) -> Result<CronOut, StoreError> {
        only_records()
    }

    async fn cron_cell(&self, _: &Name) -> Result<CronOut, StoreError> {
        only_records()
    }

    async fn control(&self, _: &Control) -> Result<ControlOut, StoreError> {
        only_records()
    }

    async fn list(&self, _: &Filter, _: &Cursor, _: u32) -> Result<Page<Record>, StoreError> {
        only_records()
    }

    async fn prune(&self, _: u32) -> Result<u64, StoreError> {
        only_records()
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        only_records()
    }

    async fn jobs(&self, _: &[Id]) -> Result<Vec<Option<Record>>, StoreError> {
        only_records()
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        only_records()
    }

    fn wakeups(&self, _: Owner) -> Pin<Box<dyn Stream<Item = Wake> + Send>> {
        Box::pin(futures_util::stream::empty())
    }
}
