//! How enqueues, claims and beats are made wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tideway::jobs::{JobStore, StoreError};
use tideway_engine::Wall;
use tideway_engine::jobs::call::{
    Beat, Beaten, ClaimReq, Claimed, Control, Enqueued, Lane, Select,
};
use tideway_engine::jobs::{Conflict, Hold, NewJob, SUSPECT, Spec, Start, State};

use super::{Mutant, MutantStore};

const MS: Duration = Duration::from_millis(1);

impl<S: JobStore> MutantStore<S> {
    pub(super) async fn wrong_enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        let mut given: Vec<NewJob> = jobs.iter().map(|job| self.wrong_job(job)).collect();
        if self.is(Mutant::BatchAborts) {
            return self.abort(&given).await;
        }
        let lost = if self.is(Mutant::BatchTruncated) && given.len() > 20 {
            given.pop()
        } else {
            None
        };
        let mut out = self.inner.enqueue(&given).await?;
        if lost.is_some() {
            out.push(Enqueued::Inserted);
        }
        for (job, outcome) in jobs.iter().zip(&mut out) {
            let known = !self.notes().seen.insert(job.spec.id);
            if self.is(Mutant::IdsNotStored) && *outcome == Enqueued::Duplicate && !known {
                *outcome = Enqueued::Inserted;
            }
            if self.notes().deleted.remove(&job.spec.id) {
                *outcome = Enqueued::Inserted;
            }
        }
        if self.is(Mutant::OutcomesReversed) {
            out.reverse();
        }
        if self.is(Mutant::ConflictUnnoticed) {
            for outcome in &mut out {
                if *outcome == Enqueued::IdConflict {
                    *outcome = Enqueued::Duplicate;
                }
            }
        }
        Ok(out)
    }

    async fn abort(&self, given: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        let mut out = Vec::new();
        for job in given {
            match out.last() {
                Some(bad @ Enqueued::IdConflict) => out.push(*bad),
                _ => out.extend(self.inner.enqueue(std::slice::from_ref(job)).await?),
            }
        }
        Ok(out)
    }

    fn wrong_job(&self, job: &NewJob) -> NewJob {
        let mut job = job.clone();
        if self.is(Mutant::EarlyByOne) {
            job.start = match job.start {
                Start::After(delay) => Start::After(delay.saturating_sub(MS)),
                Start::At(time) => Start::At(Wall(time.0 - 1)),
                Start::Now => Start::Now,
            };
        }
        let mut spec = Spec::clone(&job.spec);
        if self.is(Mutant::WaitsIgnored) {
            spec.waits.clear();
        }
        if self.is(Mutant::UniqueIgnored) {
            spec.unique = None;
        }
        if let Some(unique) = &mut spec.unique {
            if self.is(Mutant::UniqueLeaked) && unique.hold == Hold::UntilStart {
                unique.hold = Hold::UntilDone;
            }
            if self.is(Mutant::HoldEndsWithJob) && matches!(unique.hold, Hold::For(_)) {
                unique.hold = Hold::UntilDone;
            }
            if self.is(Mutant::RescheduleOverwrites) && unique.conflict == Conflict::Reschedule {
                unique.conflict = Conflict::Replace;
            }
        }
        if spec != *job.spec {
            self.notes().specs.insert(spec.id, job.spec.clone());
            job.spec = Arc::new(spec);
        }
        job
    }

    pub(super) async fn wrong_claim(&self, req: &ClaimReq) -> Result<Claimed, StoreError> {
        let mut given = req.clone();
        if self.is(Mutant::OverLimit) && given.limit > 0 {
            given.limit += 1;
        }
        if self.is(Mutant::OverBytes) {
            given.max_bytes = usize::MAX;
        }
        if self.is(Mutant::LaneShareIgnored) {
            given.lanes.iter_mut().for_each(|lane| lane.1 = u32::MAX);
        }
        if self.is(Mutant::LaneOnce) {
            let mut seen = BTreeSet::new();
            given.lanes.retain(|(lane, _)| seen.insert(lane.clone()));
        }
        if self.is(Mutant::LanesSorted) {
            given.lanes.sort();
        }
        if self.is(Mutant::SuspectsMixed) {
            let suspects = given.lanes.iter().map(|(lane, most)| {
                let queue = lane.queue.clone();
                let band = SUSPECT;
                (Lane { queue, band }, *most)
            });
            let suspects: Vec<_> = suspects.collect();
            given.lanes.extend(suspects);
        }
        if self.is(Mutant::SeqIgnored) {
            let mut notes = self.notes();
            let seqs = notes.seqs.entry(req.owner).or_default();
            seqs.passed += 1;
            given.seq = seqs.passed;
        }
        if self.is(Mutant::EmptyClaimForgotten) && !self.forgetful(&mut given) {
            given.limit = 0;
        }
        if self.is(Mutant::SeqNotStored) {
            given.seq += self.opened << 32;
        }
        if self.is(Mutant::PauseNotStored) {
            let notes = self.notes();
            given
                .lanes
                .retain(|(lane, _)| !notes.paused.contains(&lane.queue));
        }
        let mut out = self.inner.claim(&given).await?;
        if self.is(Mutant::EmptyClaimForgotten) && !out.jobs.is_empty() {
            let mut notes = self.notes();
            let seqs = notes.seqs.entry(req.owner).or_default();
            (seqs.found, seqs.passed_found) = (req.seq, given.seq);
        }
        let place = |queue: &str| {
            let mut lanes = req.lanes.iter();
            lanes.position(|(lane, _)| lane.queue == *queue)
        };
        if self.is(Mutant::FifoBroken) {
            out.jobs.reverse();
        }
        if self.is(Mutant::OrderById) {
            out.jobs
                .sort_by_key(|job| (place(&job.spec.queue), job.band(), job.id()));
        }
        if self.is(Mutant::NextDueMissing) {
            out.next_due = None;
        }
        out.jobs = out.jobs.into_iter().map(|job| self.show(job)).collect();
        if self.is(Mutant::DoubleLease) {
            self.lease_twice(req, &mut out);
        }
        Ok(out)
    }

    /// Rewrites the number of a claim as if empty claims had none; whether it may claim at all.
    fn forgetful(&self, req: &mut ClaimReq) -> bool {
        let mut notes = self.notes();
        let seqs = notes.seqs.entry(req.owner).or_default();
        if req.seq < seqs.found {
            seqs.passed += 1;
            req.seq = seqs.passed;
            return false;
        }
        if req.seq == seqs.found && seqs.passed == seqs.passed_found {
            req.seq = seqs.passed;
            return true;
        }
        seqs.passed += 1;
        req.seq = seqs.passed;
        true
    }

    /// Now and then gives a job that another owner was given a moment ago.
    fn lease_twice(&self, req: &ClaimReq, out: &mut Claimed) {
        let mut notes = self.notes();
        notes.last.1 += 1;
        if notes.last.1.is_multiple_of(3)
            && out.jobs.len() < req.limit as usize
            && let Some(job) = notes.last.0.take_if(|job| job.owner != Some(req.owner))
            && req.lanes.iter().any(|(lane, _)| *lane == job.lane())
        {
            out.jobs.push(job);
        } else if let Some(job) = out.jobs.last() {
            notes.last.0 = Some(job.clone());
        }
    }

    pub(super) async fn wrong_beats(
        &self,
        beats: &[Beat],
        lease: Duration,
    ) -> Result<Vec<Beaten>, StoreError> {
        let mut given = beats.to_vec();
        for beat in &mut given {
            beat.fence = self.real(beat.id, beat.fence);
            if self.is(Mutant::ProgressLost) {
                beat.progress = None;
            }
        }
        if self.is(Mutant::BeatIgnored) {
            return self.beat_nothing(&given).await;
        }
        let mut out = self.inner.heartbeat(&given, lease).await?;
        for (beat, beaten) in beats.iter().zip(&mut out) {
            match beaten {
                Beaten::Lost if self.is(Mutant::BeatUnfenced) => {
                    *beaten = Beaten::Alive { cancel: false };
                }
                Beaten::Lost if self.is(Mutant::BeatResurrects) => {
                    let job = self.look(beat.id).await?;
                    if job.is_some_and(|job| {
                        job.token == beat.fence.token && job.owner == Some(beat.fence.owner)
                    }) {
                        let select = Select::Ids(vec![beat.id]);
                        self.inner
                            .control(&Control::Revive(select, Start::Now))
                            .await?;
                        *beaten = Beaten::Alive { cancel: false };
                    }
                }
                Beaten::Alive { cancel } if self.is(Mutant::CancelUntold) => *cancel = false,
                _ => {}
            }
        }
        Ok(out)
    }

    async fn beat_nothing(&self, beats: &[Beat]) -> Result<Vec<Beaten>, StoreError> {
        let mut out = Vec::new();
        for beat in beats {
            let job = self.look(beat.id).await?.filter(|job| {
                let fence = beat.fence;
                let same = job.token == fence.token && job.owner == Some(fence.owner);
                same && job.state == State::Running
            });
            out.push(job.map_or(Beaten::Lost, |job| Beaten::Alive { cancel: job.cancel }));
        }
        Ok(out)
    }
}
