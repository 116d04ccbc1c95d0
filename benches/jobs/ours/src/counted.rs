//! A store that counts its calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tideway::jobs::call::{
    AuditReport, Beat, Beaten, Caps, ClaimReq, Claimed, Control, ControlOut, CronCas, CronOut,
    Cursor, Enqueued, Expired, Filter, Page, Settle, Settled, Stats, Wake,
};
use tideway::jobs::{Id, JobStore, Name, NewJob, Owner, Record, StoreError};

/// How many calls there were.
#[derive(Debug, Default)]
pub struct Calls(AtomicU64);

impl Calls {
    /// Of every kind.
    pub fn all(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A store, counted.
pub struct Counted<S> {
    store: S,
    calls: Arc<Calls>,
}

impl<S> Counted<S> {
    /// Counts the calls of `store` in `calls`.
    pub fn new(store: S, calls: Arc<Calls>) -> Self {
        Self { store, calls }
    }
}

macro_rules! counted {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)+) => {
        impl<S: JobStore> JobStore for Counted<S> {
            fn caps(&self) -> Caps {
                self.store.caps()
            }

            fn wakeups(
                &self,
                owner: Owner,
            ) -> Pin<Box<dyn futures_core::Stream<Item = Wake> + Send>> {
                self.store.wakeups(owner)
            }

            $(fn $name(
                &self,
                $($arg: $type),*
            ) -> impl Future<Output = Result<$out, StoreError>> + Send {
                self.calls.0.fetch_add(1, Relaxed);
                self.store.$name($($arg),*)
            })+
        }
    };
}

counted! {
    enqueue(jobs: &[NewJob]) -> Vec<Enqueued>;
    claim(req: &ClaimReq) -> Claimed;
    settle(settles: &[Settle]) -> Vec<Settled>;
    heartbeat(beats: &[Beat], lease: Duration) -> Vec<Beaten>;
    expired(after: &Cursor, limit: u32) -> Page<Expired>;
    cron_cas(cas: &CronCas) -> CronOut;
    cron_cell(key: &Name) -> CronOut;
    control(control: &Control) -> ControlOut;
    list(filter: &Filter, after: &Cursor, limit: u32) -> Page<Record>;
    prune(limit: u32) -> u64;
    stats() -> Stats;
    jobs(ids: &[Id]) -> Vec<Option<Record>>;
    audit() -> AuditReport;
}
