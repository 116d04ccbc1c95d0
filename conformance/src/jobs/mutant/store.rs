//! The port of a wrong store: each call goes to the good one, made wrong on the way there or back.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, future};
use tideway::jobs::{JobStore, StoreError};
use tideway_engine::jobs::call::{
    AuditReport, Beat, Beaten, Caps, ClaimReq, Claimed, Control, ControlOut, CronCas, CronOut,
    Cursor, Enqueued, Expired, Filter, Page, Settle, Settled, Stats, Wake,
};
use tideway_engine::jobs::{Id, Name, NewJob, Owner, Record};

use super::{Mutant, MutantStore};

impl<S: JobStore> JobStore for MutantStore<S> {
    fn caps(&self) -> Caps {
        self.caps
    }

    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        self.wrong_enqueue(jobs).await
    }

    async fn claim(&self, req: &ClaimReq) -> Result<Claimed, StoreError> {
        self.wrong_claim(req).await
    }

    async fn settle(&self, settles: &[Settle]) -> Result<Vec<Settled>, StoreError> {
        self.wrong_settles(settles).await
    }

    async fn heartbeat(&self, beats: &[Beat], lease: Duration) -> Result<Vec<Beaten>, StoreError> {
        self.wrong_beats(beats, lease).await
    }

    async fn expired(&self, after: &Cursor, limit: u32) -> Result<Page<Expired>, StoreError> {
        self.wrong_expired(after, limit).await
    }

    async fn cron_cas(&self, cas: &CronCas) -> Result<CronOut, StoreError> {
        self.wrong_cron(cas).await
    }

    async fn cron_cell(&self, key: &Name) -> Result<CronOut, StoreError> {
        self.inner.cron_cell(key).await
    }

    async fn control(&self, control: &Control) -> Result<ControlOut, StoreError> {
        self.wrong_control(control).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: &Cursor,
        limit: u32,
    ) -> Result<Page<Record>, StoreError> {
        self.wrong_list(filter, after, limit).await
    }

    async fn prune(&self, limit: u32) -> Result<u64, StoreError> {
        let limit = if self.is(Mutant::PruneUnlimited) {
            u32::MAX
        } else {
            limit
        };
        self.inner.prune(limit).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        let mut stats = self.inner.stats().await?;
        if self.is(Mutant::StatsIncomplete) {
            stats
                .queues
                .iter_mut()
                .for_each(|queue| queue.succeeded = 0);
        }
        Ok(stats)
    }

    async fn jobs(&self, ids: &[Id]) -> Result<Vec<Option<Record>>, StoreError> {
        let jobs = self.inner.jobs(ids).await?;
        let stale = |job: Record| self.notes().stale.remove(&job.id()).unwrap_or(job);
        let show = |job: Option<Record>| job.map(|job| self.show(stale(job)));
        Ok(jobs.into_iter().map(show).collect())
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        self.inner.audit().await
    }

    fn wakeups(&self, owner: Owner) -> Pin<Box<dyn Stream<Item = Wake> + Send>> {
        let hints = self.inner.wakeups(owner);
        let (once, no_cancel) = (
            self.is(Mutant::HintOnlyOnce),
            self.is(Mutant::CancelHintLost),
        );
        let mut first = true;
        Box::pin(hints.filter(move |wake| {
            let keep = match wake {
                Wake::Queue(_) => !once || std::mem::take(&mut first),
                Wake::Cancel(_) => !no_cancel,
                _ => true,
            };
            future::ready(keep)
        }))
    }
}
