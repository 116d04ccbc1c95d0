//! Jobs come in.

use std::collections::BTreeMap;

use redis::Cmd;
use tideway::jobs::StoreError;
use tideway_engine::jobs::call::Enqueued;
use tideway_engine::jobs::{Id, NewJob};

use super::{Reply, id};
use crate::error::{in_doubt, unreadable};
use crate::nodes::Tag;
use crate::row;
use crate::scripts::{ENQUEUE, STATES};
use crate::store::{Inner, by_tag};

/// How jobs in other tags are that some wait for; see `lua/insert.lua`.
pub(super) type Told = BTreeMap<Id, u8>;

const OPEN: u8 = 1;
const UNKNOWN: u8 = 4;

impl Inner {
    pub(crate) async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        let mut out = vec![Enqueued::Inserted; jobs.len()];
        let mut rest: Vec<usize> = (0..jobs.len()).collect();
        let mut begun = false;
        while !rest.is_empty() {
            // One that waits for another queue's job, which may be an earlier one of this batch, begins a new part.
            let cut = rest
                .iter()
                .skip(1)
                .position(|at| self.looks_away(&jobs[*at]));
            let later = rest.split_off(cut.map_or(rest.len(), |cut| cut + 1));
            let part: Vec<&NewJob> = rest.iter().map(|at| &jobs[*at]).collect();
            let outcomes = self.enqueue_part(&part).await;
            let outcomes = outcomes.map_err(|error| match begun {
                true => in_doubt(error),
                false => error,
            })?;
            begun = true;
            for (at, outcome) in rest.iter().zip(outcomes) {
                out[*at] = outcome;
            }
            rest = later;
        }
        Ok(out)
    }

    fn looks_away(&self, new: &NewJob) -> bool {
        let own = self.tag_of(&new.spec.queue);
        new.spec.waits.iter().any(|id| self.tag_of_id(*id) != own)
    }

    async fn enqueue_part(&self, jobs: &[&NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        let told = self.told(jobs.iter().copied()).await?;
        let by_tag = by_tag(jobs, |job| self.tag_of(&job.spec.queue));
        self.enter(by_tag.keys()).await?;
        let size = |at: usize| jobs[at].payload.len();
        let fill = |call: &mut Cmd, tag: &Tag, chunk: &[usize]| {
            for at in chunk {
                self.add_job(call, jobs[*at], tag, &told, &[]);
            }
        };
        self.each(&ENQUEUE, &by_tag, size, fill, Reply::count, outcome)
            .await
    }

    /// How the jobs in other tags are that `jobs` wait for.
    pub(super) async fn told(
        &self,
        jobs: impl Iterator<Item = &NewJob>,
    ) -> Result<Told, StoreError> {
        let mut away = Vec::new();
        for job in jobs {
            let own = self.tag_of(&job.spec.queue);
            let waits = job.spec.waits.iter().copied();
            away.extend(waits.filter(|id| self.tag_of_id(*id) != own));
        }
        let mut told = Told::new();
        for (tag, places) in by_tag(&away, |id| self.tag_of_id(*id)) {
            for chunk in places.chunks(1000) {
                let mut call = self.call(&tag, &STATES);
                for at in chunk {
                    call.arg(&row::id(away[*at]));
                }
                let mut reply = self.run_one(&tag, &STATES, call).await?;
                for at in chunk {
                    let state = u8::try_from(reply.int()?).map_err(|_| unreadable())?;
                    told.insert(away[*at], state);
                }
            }
        }
        Ok(told)
    }

    /// Adds `new` to the arguments of a script on `tag`. It comes with the jobs `before` it, of which those in other tags
    /// are not there yet, and will be before anybody asks.
    pub(super) fn add_job(
        &self,
        call: &mut Cmd,
        new: &NewJob,
        tag: &Tag,
        told: &Told,
        before: &[NewJob],
    ) {
        let spec = &*new.spec;
        let elsewhere = self.tag_of(&spec.queue) != *tag;
        let waits = spec.waits.iter().map(|id| {
            let away = self.tag_of_id(*id) != *tag;
            match told.get(id).filter(|_| away).copied() {
                Some(UNKNOWN) if before.iter().any(|other| other.spec.id == *id) => OPEN,
                Some(how) => how,
                None => 0,
            }
        });
        let waits: Vec<u8> = waits.collect();
        let start = row::start(new.start, elsewhere, &waits);
        call.arg(&row::id(spec.id)).arg(row::pack(new));
        call.arg(&*new.payload).arg(start);
    }
}

fn outcome(reply: &mut Reply) -> Result<Enqueued, StoreError> {
    let code = reply.bytes()?;
    let (code, other) = code.split_first().ok_or_else(unreadable)?;
    Ok(match code {
        b'1' => Enqueued::Inserted,
        b'2' => Enqueued::Duplicate,
        b'3' => Enqueued::IdConflict,
        b'4' => Enqueued::UniqueHit(id(other)?),
        b'5' => Enqueued::Superseded(id(other)?),
        b'6' => Enqueued::UnknownWait(id(other)?),
        _ => return Err(unreadable()),
    })
}
