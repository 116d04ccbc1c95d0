//! How settles are made wrong.

use std::time::Duration;

use bytes::Bytes;
use tideway::jobs::{JobStore, StoreError};
use tideway_engine::jobs::call::{Beat, Control, Select, Settle, Settled};
use tideway_engine::jobs::{Fence, Id, Kind, Outcome, Record, Start};

use super::{Mutant, MutantStore};

impl<S: JobStore> MutantStore<S> {
    pub(super) async fn wrong_settles(
        &self,
        settles: &[Settle],
    ) -> Result<Vec<Settled>, StoreError> {
        let mut given = Vec::with_capacity(settles.len());
        for settle in settles {
            given.push(self.wrong_settle(settle).await?);
        }
        if !self.one_by_one() {
            let out = self.inner.settle(&given).await?;
            for (settle, settled) in settles.iter().zip(&out) {
                self.settled(settle.id, *settled);
            }
            return Ok(out);
        }
        let mut out: Vec<Settled> = Vec::new();
        for settle in &given {
            if self.is(Mutant::SettleBatchAborts)
                && let Some(bad @ (Settled::Fenced | Settled::NotFound)) = out.last()
            {
                out.push(*bad);
                continue;
            }
            out.push(self.settle_one(settle).await?);
        }
        Ok(out)
    }

    /// Whether what the fault does depends on what became of the single settle.
    fn one_by_one(&self) -> bool {
        matches!(
            self.mutant,
            Some(
                Mutant::SettleBatchAborts
                    | Mutant::SettleForgotten
                    | Mutant::FollowUpsWhenFenced
                    | Mutant::LostOnError
                    | Mutant::CancelOverridden
                    | Mutant::LateFinishRefused
                    | Mutant::StaleReads
            )
        )
    }

    async fn settle_one(&self, settle: &Settle) -> Result<Settled, StoreError> {
        let id = settle.id;
        let before = self.look(id).await?;
        if self.is(Mutant::LateFinishRefused)
            && matches!(settle.outcome, Outcome::Succeeded(_))
            && let Some(job) = &before
            && job.lapsed(self.inner.stats().await?.now)
        {
            return Ok(Settled::Fenced);
        }
        let out = self.inner.settle(std::slice::from_ref(settle)).await?;
        let settled = out.first().copied().unwrap_or(Settled::NotFound);
        match settled {
            Settled::Already(kind) if self.is(Mutant::SettleForgotten) => {
                return Ok(Settled::Applied(kind));
            }
            Settled::Fenced if self.is(Mutant::FollowUpsWhenFenced) => {
                self.inner.enqueue(&settle.then).await?;
            }
            Settled::Applied(Kind::Retry) if self.is(Mutant::LostOnError) => {
                self.inner.control(&Control::Cancel(one(id))).await?;
                self.inner.control(&Control::Delete(one(id))).await?;
            }
            Settled::Applied(Kind::Stop)
                if self.is(Mutant::CancelOverridden) && settle.outcome != Outcome::Cancelled =>
            {
                self.inner
                    .control(&Control::Revive(one(id), Start::Now))
                    .await?;
                return Ok(Settled::Applied(Kind::Retry));
            }
            Settled::Applied(_) if self.is(Mutant::StaleReads) => {
                self.notes().stale.extend(before.map(|job| (id, job)));
            }
            _ => {}
        }
        Ok(settled)
    }

    async fn wrong_settle(&self, settle: &Settle) -> Result<Settle, StoreError> {
        let mut settle = settle.clone();
        settle.fence = self.real(settle.id, settle.fence);
        let reaps = matches!(settle.outcome, Outcome::Crashed { .. } | Outcome::Lapsed);
        let by_id = self.is(Mutant::FenceRemoved) || self.is(Mutant::RescueById) && reaps;
        if (by_id || self.is(Mutant::OwnerIgnored))
            && let Some(job) = self.look(settle.id).await?
        {
            settle.fence = lease(&job, settle.fence, by_id);
        }
        if self.is(Mutant::CrashUnchecked) && reaps {
            // A lease of no length runs out at once.
            let beat = Beat {
                id: settle.id,
                fence: settle.fence,
                progress: None,
            };
            self.inner.heartbeat(&[beat], Duration::ZERO).await?;
        }
        if self.is(Mutant::ProgressLost) {
            settle.progress = None;
        }
        if self.is(Mutant::FollowUpsLost) {
            settle.then.clear();
        }
        match &mut settle.outcome {
            Outcome::Succeeded(result) if self.is(Mutant::ResultLost) => *result = Bytes::new(),
            Outcome::Retry { after, .. } if self.is(Mutant::BackoffIgnored) => {
                *after = Duration::ZERO;
            }
            Outcome::Crashed { strike, .. } if self.is(Mutant::NeverBuried) => *strike = false,
            outcome @ Outcome::Abandoned if self.is(Mutant::AbandonFrees) => {
                *outcome = Outcome::Released {
                    after: Duration::ZERO,
                    unknown: false,
                };
            }
            _ => {}
        }
        Ok(settle)
    }
}

/// The lease that `job` has now, if the token of `given` may be any or is the right one.
fn lease(job: &Record, given: Fence, any: bool) -> Fence {
    match job.owner {
        Some(owner) if any || job.token == given.token => Fence {
            token: job.token,
            owner,
        },
        _ => given,
    }
}

fn one(id: Id) -> Select {
    Select::Ids(vec![id])
}
