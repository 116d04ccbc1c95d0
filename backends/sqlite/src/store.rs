//! The handle: every call goes to the thread that does it.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use tideway::jobs::{JobStore, StoreError};
use tideway_engine::jobs::call::{
    AuditReport, Beat, Beaten, Caps, ClaimReq, Claimed, Control, ControlOut, CronCas, CronOut,
    Cursor, Durability, Enqueued, Expired, Filter, Page, Settle, Settled, Stats, Wake,
};
use tideway_engine::jobs::{Id, Name, NewJob, Owner, Record};

use crate::hub;
use crate::open;
use crate::options::{Options, Synchronous};
use crate::thread::{Role, Thread};
use tideway::jobs::hints::Wakes;

/// Items of one call at most, as `caps` reports it: a transaction of so many takes some milliseconds.
const MAX_BATCH: u32 = 1000;

/// A job store in one SQLite file. A clone is another handle on the same connections; they close, and
/// their threads end, with the last one.
#[derive(Clone)]
pub struct Sqlite(Arc<Inner>);

struct Inner {
    // Dropped in this order: the last of the two to close the file folds its log into it.
    reader: Thread,
    writer: Thread,
    hub: Arc<Wakes>,
    caps: Caps,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqlite({:?})", self.0.caps)
    }
}

impl Sqlite {
    /// Opens the store at `path`, and makes it if there is none. Blocks the thread for the time that takes,
    /// at most about [`Options::busy_timeout`]: call it at the start of the program.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fatal`] if the file cannot be opened or written, is damaged, is no SQLite database or that
    /// of another program, or has a schema newer than this program; nothing in it is changed then.
    /// [`StoreError::Transient`] if another process has locked it for longer than the busy timeout.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let writer = open::writer(path, &options)?;
        let reader = open::reader(path, &options)?;
        let hub = hub::of(path);
        let start = |role, db| Thread::start(role, db, options.clock.clone(), hub.clone());
        let writer = start(Role::Writer, writer)?;
        let reader = start(Role::Reader, reader)?;
        let caps = Caps {
            durability: match options.synchronous {
                Synchronous::Full => Durability::Power,
                Synchronous::Normal => Durability::Process,
            },
            unique: true,
            cron: true,
            limits: true,
            waits: true,
            list: true,
            wakeups: true,
            max_batch: MAX_BATCH,
            max_payload: options.max_payload,
        };
        Ok(Self(Arc::new(Inner {
            reader,
            writer,
            hub,
            caps,
        })))
    }
}

impl JobStore for Sqlite {
    fn caps(&self) -> Caps {
        self.0.caps
    }

    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        let jobs = jobs.to_vec();
        self.0.writer.call(move |tx| tx.enqueue(&jobs)).await
    }

    async fn claim(&self, req: &ClaimReq) -> Result<Claimed, StoreError> {
        let req = req.clone();
        self.0.writer.call(move |tx| tx.claim(&req)).await
    }

    async fn settle(&self, settles: &[Settle]) -> Result<Vec<Settled>, StoreError> {
        let settles = settles.to_vec();
        self.0.writer.call(move |tx| tx.settle(&settles)).await
    }

    async fn heartbeat(&self, beats: &[Beat], lease: Duration) -> Result<Vec<Beaten>, StoreError> {
        let beats = beats.to_vec();
        self.0
            .writer
            .call(move |tx| tx.heartbeat(&beats, lease))
            .await
    }

    async fn expired(&self, after: &Cursor, limit: u32) -> Result<Page<Expired>, StoreError> {
        let after = after.clone();
        self.0
            .reader
            .call(move |tx| tx.expired(&after, limit))
            .await
    }

    async fn cron_cas(&self, cas: &CronCas) -> Result<CronOut, StoreError> {
        let cas = cas.clone();
        self.0.writer.call(move |tx| tx.cron_cas(&cas)).await
    }

    async fn cron_cell(&self, key: &Name) -> Result<CronOut, StoreError> {
        let key = key.clone();
        self.0.reader.call(move |tx| tx.cron_cell(&key)).await
    }

    async fn control(&self, control: &Control) -> Result<ControlOut, StoreError> {
        let control = control.clone();
        let done = self.0.writer.call(move |tx| tx.control(&control)).await?;
        done.ok_or(StoreError::Unsupported("this control"))
    }

    async fn list(
        &self,
        filter: &Filter,
        after: &Cursor,
        limit: u32,
    ) -> Result<Page<Record>, StoreError> {
        let (filter, after) = (filter.clone(), after.clone());
        self.0
            .reader
            .call(move |tx| tx.list(&filter, &after, limit))
            .await
    }

    async fn prune(&self, limit: u32) -> Result<u64, StoreError> {
        self.0.writer.call(move |tx| tx.prune(limit)).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.0.reader.call(|tx| tx.stats()).await
    }

    async fn jobs(&self, ids: &[Id]) -> Result<Vec<Option<Record>>, StoreError> {
        let ids = ids.to_vec();
        self.0.reader.call(move |tx| tx.jobs(&ids)).await
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        self.0.reader.call(|tx| tx.audit()).await
    }

    fn wakeups(&self, owner: Owner) -> Pin<Box<dyn Stream<Item = Wake> + Send>> {
        Box::pin(self.0.hub.subscribe(owner))
    }
}
