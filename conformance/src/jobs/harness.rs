//! What the author of a store writes: how to open it, and how to run a future.

use std::error::Error;
use std::future::Future;

use tideway::BoxFuture;
use tideway::jobs::{DynJobStore, JobStore};

use super::TestClock;

/// Why a store cannot be opened. A case fails with its message: a missing service is never skipped.
pub type OpenError = Box<dyn Error + Send + Sync>;

/// A store under test and the runtime it runs on. The suite makes one for each case.
///
/// ```
/// # use tideway_conformance::jobs::{Harness, OpenError, TestClock};
/// # use tideway::BoxFuture;
/// # fn example<MyStore: tideway::jobs::JobStore>(connect: fn(TestClock) -> Result<MyStore, OpenError>) {
/// struct Mine<MyStore> {
///     clock: TestClock,
///     connect: fn(TestClock) -> Result<MyStore, OpenError>,
/// }
///
/// impl<MyStore: tideway::jobs::JobStore> Harness for Mine<MyStore> {
///     type Store = MyStore;
///
///     async fn open(&self) -> Result<MyStore, OpenError> {
///         (self.connect)(self.clock.clone())
///     }
///
///     fn clock(&self) -> Option<TestClock> {
///         Some(self.clock.clone())
///     }
///
///     fn block_on(&self, task: BoxFuture<'_, ()>) {
///         smol::block_on(task);
///     }
/// }
/// # }
/// ```
pub trait Harness: Send + Sync + 'static {
    /// The store.
    type Store: JobStore;

    /// Opens a store with nothing in it: a fresh name space, file or table prefix. Called once.
    fn open(&self) -> impl Future<Output = Result<Self::Store, OpenError>> + Send;

    /// Opens again what [`open`](Harness::open) opened, after that was dropped, and after a second process that worked on
    /// it was killed. Asked of stores that outlive their process.
    fn reopen(&self) -> impl Future<Output = Result<Self::Store, OpenError>> + Send {
        async { Err("`Harness::reopen` is not written: the level Durable needs it".into()) }
    }

    /// What another process must know to open what [`open`](Harness::open) opened: a path, a schema, a prefix of
    /// keys. Asked after `open`, of stores that outlive their process.
    fn namespace(&self) -> Option<String> {
        None
    }

    /// Opens, in another process, the store of this [`namespace`](Harness::namespace) as it is. The suite runs the
    /// test program a second time and kills it while it works there; this is another harness than the one that
    /// gave the name.
    fn open_at(
        &self,
        namespace: &str,
    ) -> impl Future<Output = Result<Self::Store, OpenError>> + Send {
        let _ = namespace;
        async { Err("`Harness::open_at` is not written: the level Durable needs it".into()) }
    }

    /// The clock the store reads, if a test can move it. Without one the suite waits, with short
    /// leases, and the level Time cannot be run.
    fn clock(&self) -> Option<TestClock> {
        None
    }

    /// Whether a claim may look at its lanes before the moment it takes effect, as one does whose look is a snapshot
    /// and whose effect is a commit: then it may miss what was enqueued, put back or taken by another claim while it was under way, though
    /// others saw that before. Declared where the store's documentation says so; every other guarantee is as for all.
    fn looks_before_it_takes(&self) -> bool {
        false
    }

    /// Whether what a call brings to another queue (jobs that come with a settle or a cron slot, the end of waiting) may
    /// wait for the next `prune`, if the process that called dies right then: as where queues are on different nodes.
    /// Declared where the store's documentation says so.
    fn sends_follow_ups_by_prune(&self) -> bool {
        false
    }

    /// Runs `task` to its end on the calling thread, with the runtime running. Called from several
    /// threads at once; the store is opened in the first and used in all.
    fn block_on(&self, task: BoxFuture<'_, ()>);
}

/// A [`Harness`] whose store has no type.
pub(super) trait Erased: Send + Sync {
    fn open(&self) -> BoxFuture<'_, Result<DynJobStore, OpenError>>;
    fn reopen(&self) -> BoxFuture<'_, Result<DynJobStore, OpenError>>;
    fn namespace(&self) -> Option<String>;
    fn open_at<'a>(&'a self, namespace: &'a str) -> BoxFuture<'a, Result<DynJobStore, OpenError>>;
    fn clock(&self) -> Option<TestClock>;
    fn looks_before_it_takes(&self) -> bool;
    fn sends_follow_ups_by_prune(&self) -> bool;
    fn block_on(&self, task: BoxFuture<'_, ()>);
}

impl<H: Harness> Erased for H {
    fn open(&self) -> BoxFuture<'_, Result<DynJobStore, OpenError>> {
        Box::pin(async { Harness::open(self).await.map(DynJobStore::new) })
    }

    fn reopen(&self) -> BoxFuture<'_, Result<DynJobStore, OpenError>> {
        Box::pin(async { Harness::reopen(self).await.map(DynJobStore::new) })
    }

    fn namespace(&self) -> Option<String> {
        Harness::namespace(self)
    }

    fn open_at<'a>(&'a self, namespace: &'a str) -> BoxFuture<'a, Result<DynJobStore, OpenError>> {
        Box::pin(async move {
            let store = Harness::open_at(self, namespace).await?;
            Ok(DynJobStore::new(store))
        })
    }

    fn clock(&self) -> Option<TestClock> {
        Harness::clock(self)
    }

    fn looks_before_it_takes(&self) -> bool {
        Harness::looks_before_it_takes(self)
    }

    fn sends_follow_ups_by_prune(&self) -> bool {
        Harness::sends_follow_ups_by_prune(self)
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        Harness::block_on(self, task);
    }
}
