//! How pages, controls and cron cells are made wrong.

use tideway::jobs::{JobStore, StoreError};
use tideway_engine::jobs::call::{
    Control, ControlOut, CronCas, CronOut, Cursor, Expired, Filter, Limit, Page, Scope, Select,
};
use tideway_engine::jobs::{Id, Record, State};

use super::super::worker::fence;
use super::{Mutant, MutantStore};

impl<S: JobStore> MutantStore<S> {
    pub(super) async fn wrong_expired(
        &self,
        after: &Cursor,
        limit: u32,
    ) -> Result<Page<Expired>, StoreError> {
        if self.is(Mutant::ExpiredListsLive) {
            return self.live(after, limit).await;
        }
        let mut page = if self.is(Mutant::ExpiredByOffset) {
            offset(
                self.inner.expired(&Cursor::default(), u32::MAX).await?,
                after,
                limit,
            )
        } else if self.is(Mutant::ExpiredCursorDropped) {
            self.inner.expired(&Cursor::default(), limit).await?
        } else {
            self.inner.expired(after, limit).await?
        };
        for lease in &mut page.items {
            if self.is(Mutant::CompanyForgotten) {
                lease.peers_at_or_above = 0;
            }
            if self.is(Mutant::TokenReused) {
                lease.fence.token -= self.notes().discount.get(&lease.id).copied().unwrap_or(0);
            }
        }
        Ok(page)
    }

    async fn live(&self, after: &Cursor, limit: u32) -> Result<Page<Expired>, StoreError> {
        let filter = Filter {
            state: Some(State::Running),
            ..Filter::default()
        };
        let page = self.inner.list(&filter, after, limit).await?;
        let lease = |job: &Record| Expired {
            id: job.id(),
            fence: fence(job),
            lease_until: job.lease_until,
            lease: job.lease,
            crashes: job.crashes,
            peers_at_or_above: 0,
            abandoned: job.abandoned,
        };
        Ok(Page {
            items: page.items.iter().map(lease).collect(),
            next: page.next,
            now: page.now,
        })
    }

    pub(super) async fn wrong_list(
        &self,
        filter: &Filter,
        after: &Cursor,
        limit: u32,
    ) -> Result<Page<Record>, StoreError> {
        let mut filter = filter.clone();
        if self.is(Mutant::FilterIgnoresGroup) {
            filter.group = None;
        }
        let mut page = if self.is(Mutant::ListByOffset) {
            offset(
                self.inner
                    .list(&filter, &Cursor::default(), u32::MAX)
                    .await?,
                after,
                limit,
            )
        } else {
            self.inner.list(&filter, after, limit).await?
        };
        page.items = page.items.into_iter().map(|job| self.show(job)).collect();
        Ok(page)
    }

    pub(super) async fn wrong_control(&self, control: &Control) -> Result<ControlOut, StoreError> {
        let mut control = control.clone();
        match &mut control {
            Control::Pause(_) if self.is(Mutant::PauseLeaked) => return Ok(ControlOut::default()),
            Control::Pause(queue) if self.is(Mutant::PauseNotStored) => {
                self.notes().paused.insert(queue.clone());
                return Ok(ControlOut::default());
            }
            Control::Resume(queue) if self.is(Mutant::PauseNotStored) => {
                self.notes().paused.remove(queue);
            }
            Control::Cancel(Select::Ids(ids)) if self.is(Mutant::CancelIgnored) => {
                let mut out = ControlOut::default();
                let mut others = Vec::new();
                for id in ids.drain(..) {
                    match self.look(id).await? {
                        Some(job) if job.state == State::Running => out.done.push(id),
                        _ => others.push(id),
                    }
                }
                let rest = self
                    .inner
                    .control(&Control::Cancel(Select::Ids(others)))
                    .await?;
                out.done.extend(rest.done);
                out.left = rest.left;
                return Ok(out);
            }
            Control::Delete(select) if self.is(Mutant::DeletesPending) => {
                self.inner.control(&Control::Cancel(select.clone())).await?;
            }
            Control::Limit(scope, limit) => self.wrong_limit(scope, limit),
            Control::Revive(..) if self.is(Mutant::ExpiryOutlivesRevival) => {
                let out = self.inner.control(&control).await?;
                self.expire_again(&out.done).await?;
                return Ok(out);
            }
            _ => {}
        }
        let mut out = self.inner.control(&control).await?;
        if self.is(Mutant::IdForgottenAtDelete) && matches!(control, Control::Delete(_)) {
            self.notes().deleted.extend(&out.done);
        }
        if self.is(Mutant::ControlStopsEarly) {
            out.next = None;
        }
        Ok(out)
    }

    /// Ends those of `revived` that may expire, as a store would that counts from their first enqueue.
    async fn expire_again(&self, revived: &[Id]) -> Result<(), StoreError> {
        let jobs = self.inner.jobs(revived).await?;
        let expires = |job: &Record| job.spec.expiry.is_some();
        let ids = jobs.iter().flatten().filter(|job| expires(job));
        let select = Select::Ids(ids.map(Record::id).collect());
        self.inner.control(&Control::Cancel(select)).await?;
        Ok(())
    }

    fn wrong_limit(&self, scope: &Scope, limit: &mut Limit) {
        if self.is(Mutant::LimitOffByOne) {
            limit.running = limit.running.map(|most| most + 1);
        }
        if self.is(Mutant::RateIgnored) {
            limit.rate = None;
        }
        if self.is(Mutant::GroupLimitIgnored) && matches!(scope, Scope::EachGroup(_)) {
            *limit = Limit::default();
        }
    }

    pub(super) async fn wrong_cron(&self, cas: &CronCas) -> Result<CronOut, StoreError> {
        let mut cas = cas.clone();
        let cell = self.inner.cron_cell(&cas.key).await?.cell;
        if self.is(Mutant::CronDoubled) {
            cas.prev = cell.as_ref().map(|cell| cell.slot);
        }
        if self.is(Mutant::CronRevisionIgnored) {
            let newest = cell.map_or(0, |cell| cell.rev);
            cas.next.rev = cas.next.rev.max(newest);
        }
        let out = self.inner.cron_cas(&cas).await?;
        if self.is(Mutant::CronLoserEnqueues) && !out.won {
            self.inner.enqueue(&cas.jobs).await?;
        }
        Ok(out)
    }
}

/// The page that begins after so many rows, of what there is now.
fn offset<T>(all: Page<T>, after: &Cursor, limit: u32) -> Page<T> {
    let from: usize = after
        .0
        .as_deref()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let count = all.items.len();
    let to = count.min(from.saturating_add(limit as usize));
    Page {
        items: all
            .items
            .into_iter()
            .skip(from)
            .take(limit as usize)
            .collect(),
        next: (to < count).then(|| Cursor(Some(to.to_string().into()))),
        now: all.now,
    }
}
