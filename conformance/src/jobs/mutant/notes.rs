//! What a wrong store remembers beside the good one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use tideway::jobs::{JobStore, StoreError};
use tideway_engine::jobs::call::Settled;
use tideway_engine::jobs::{Fence, Id, Kind, Name, Owner, Record, Spec};

use super::{Mutant, MutantStore};

#[derive(Default)]
pub(super) struct Notes {
    /// Specifications as enqueued, where the good store was given others.
    pub(super) specs: BTreeMap<Id, Arc<Spec>>,
    /// How much less than the good store's a token is.
    pub(super) discount: BTreeMap<Id, u64>,
    /// The numbers that claims of an owner went on with.
    pub(super) seqs: BTreeMap<Owner, Seqs>,
    /// The job claimed last, and how many claims there were.
    pub(super) last: (Option<Record>, u64),
    /// Records as they were before a settle.
    pub(super) stale: BTreeMap<Id, Record>,
    /// Jobs that were enqueued since this store was opened.
    pub(super) seen: BTreeSet<Id>,
    /// Jobs that were deleted.
    pub(super) deleted: BTreeSet<Id>,
    /// Queues that were paused since.
    pub(super) paused: BTreeSet<Name>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Seqs {
    /// The newest number that found a job.
    pub(super) found: u64,
    /// The number the good store saw last.
    pub(super) passed: u64,
    /// The number the good store saw when a job was found.
    pub(super) passed_found: u64,
}

impl<S: JobStore> MutantStore<S> {
    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record as the wrong store shows it.
    pub(super) fn show(&self, mut job: Record) -> Record {
        let notes = self.notes();
        if let Some(spec) = notes.specs.get(&job.id()) {
            job.spec = spec.clone();
        }
        if self.is(Mutant::TokenReused) {
            job.token -= notes.discount.get(&job.id()).copied().unwrap_or(0);
        }
        if self.is(Mutant::RefundAlways) {
            job.attempt = job.attempt.saturating_sub(job.failures);
        }
        if self.is(Mutant::ProgressNotStored) && !notes.seen.contains(&job.id()) {
            job.progress.clear();
        }
        if self.is(Mutant::SeqNotStored) {
            job.seq &= u64::from(u32::MAX);
        }
        if self.is(Mutant::PayloadCut) && job.payload.len() > 65_536 {
            job.payload = job.payload.slice(..65_536);
        }
        job
    }

    /// The good store's token for one that was shown.
    pub(super) fn real(&self, id: Id, mut fence: Fence) -> Fence {
        if self.is(Mutant::TokenReused) {
            fence.token += self.notes().discount.get(&id).copied().unwrap_or(0);
        }
        fence
    }

    /// Notes what a settle did.
    pub(super) fn settled(&self, id: Id, settled: Settled) {
        use Kind::{Crash, Lapse, Release, Snooze};
        if matches!(settled, Settled::Applied(Release | Snooze | Lapse | Crash)) {
            *self.notes().discount.entry(id).or_default() += 1;
        }
    }

    /// The good store's record of `id`.
    pub(super) async fn look(&self, id: Id) -> Result<Option<Record>, StoreError> {
        Ok(self.inner.jobs(&[id]).await?.pop().flatten())
    }
}
