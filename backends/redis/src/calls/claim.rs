//! Jobs go out. Of one tag by one script; of several by a look at all of them at once, which also notes the number
//! of the claim, and one script for each that has something due.

use std::time::Duration;

use futures_util::future::try_join_all;
use tideway::jobs::StoreError;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{ClaimReq, Claimed, Lane, Settle};
use tideway_engine::jobs::{Outcome, Record, Unreadable};

use crate::error::in_doubt;
use crate::nodes::Tag;
use crate::row;
use crate::scripts::CLAIM;
use crate::store::{Inner, by_tag};

/// What a script is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Claim = 1,
    Look = 2,
    Take = 3,
}

/// What a script said.
struct Part {
    now: Wall,
    next_due: Option<Wall>,
    /// It was a repeat, or late.
    repeat: bool,
    /// Jobs with the lane they came from, counted from 1, and what is wrong with them.
    jobs: Vec<(usize, Record, Option<Unreadable>)>,
    /// How many are due in each lane.
    due: Vec<u32>,
}

impl Inner {
    pub(crate) async fn claim(&self, req: &ClaimReq) -> Result<Claimed, StoreError> {
        let by_tag = by_tag(&req.lanes, |(lane, _)| self.tag_of(&lane.queue));
        let (parts, several) = match by_tag.first_key_value() {
            Some((tag, _)) if by_tag.len() == 1 => (
                vec![
                    self.part(tag, What::Claim, req, &req.lanes, req.limit, req.max_bytes)
                        .await?,
                ],
                false,
            ),
            None => {
                let tag = self.tag(0);
                (
                    vec![self.part(&tag, What::Claim, req, &[], 0, 0).await?],
                    false,
                )
            }
            Some(_) => (Vec::new(), true),
        };
        let parts = if several {
            self.claim_several(req, &by_tag.into_iter().collect::<Vec<_>>())
                .await?
        } else {
            parts
        };
        let mut out = Claimed {
            jobs: Vec::new(),
            next_due: None,
            now: Wall(i64::MIN),
        };
        let mut jobs = Vec::new();
        for part in parts {
            out.now = out.now.max(part.now);
            out.next_due = [out.next_due, part.next_due].into_iter().flatten().min();
            // Records are large: those of one part stay where they are.
            if jobs.is_empty() {
                jobs = part.jobs;
            } else {
                jobs.extend(part.jobs);
            }
        }
        jobs.sort_by_key(|(lane, _, _)| *lane);
        let flawed = jobs.extract_if(.., |(_, _, flaw)| flaw.is_some()).collect();
        self.set_aside(flawed).await.map_err(in_doubt)?;
        out.jobs = jobs.into_iter().map(|(_, job, _)| job).collect();
        Ok(out)
    }

    /// Ends jobs that nobody can read, and leaves those of another release to others.
    async fn set_aside(
        &self,
        flawed: Vec<(usize, Record, Option<Unreadable>)>,
    ) -> Result<(), StoreError> {
        let settles = flawed.into_iter().filter_map(|(_, job, flaw)| {
            Some(Settle::new(job.id(), job.fence()?, flaw?.outcome()))
        });
        let settles: Vec<Settle> = settles.collect();
        if !settles.is_empty() {
            self.settle(&settles).await?;
        }
        Ok(())
    }

    async fn claim_several(
        &self,
        req: &ClaimReq,
        by_tag: &[(Tag, Vec<usize>)],
    ) -> Result<Vec<Part>, StoreError> {
        let lanes = |places: &[usize]| -> Vec<(Lane, u32)> {
            places.iter().map(|at| req.lanes[*at].clone()).collect()
        };
        let looks = by_tag.iter().map(|(tag, places)| {
            let lanes = lanes(places);
            async move { self.part(tag, What::Look, req, &lanes, req.limit, 0).await }
        });
        let mut looks = try_join_all(looks).await?;
        if looks.iter().any(|look| look.repeat) {
            // A part that was only looked at is not taken by a repeat: the next claim does that.
            for (at, job, _) in looks.iter_mut().flat_map(|look| &mut look.jobs) {
                let lane = req.lanes.iter().position(|(lane, _)| *lane == job.lane());
                *at = lane.unwrap_or_default();
            }
            return Ok(looks);
        }
        let mut due = vec![0; req.lanes.len()];
        // The same lane may be asked twice; what its first place gets, the second does not see.
        for ((_, places), look) in by_tag.iter().zip(&looks) {
            for (at, count) in places.iter().zip(&look.due) {
                due[*at] = *count;
            }
        }
        let mut left = req.limit;
        let mut share = vec![0; req.lanes.len()];
        for at in 0..req.lanes.len() {
            let (lane, max) = &req.lanes[at];
            let earlier = (0..at).filter(|other| req.lanes[*other].0 == *lane);
            let given: u32 = earlier.map(|other| share[other]).sum();
            share[at] = due[at].saturating_sub(given).min(*max).min(left);
            left -= share[at];
        }
        let mut bytes = req.max_bytes;
        let mut any = false;
        let mut order: Vec<usize> = (0..by_tag.len()).collect();
        let first = |tag: usize| by_tag[tag].1.iter().copied().find(|at| share[*at] > 0);
        order.sort_by_key(|tag| first(*tag));
        for tag in order {
            let (at, places) = &by_tag[tag];
            if first(tag).is_none() || any && bytes == 0 {
                continue;
            }
            let mut asked = lanes(places);
            let mut limit = 0;
            for ((_, max), place) in asked.iter_mut().zip(places) {
                *max = share[*place];
                limit += *max;
            }
            let part = self.part(at, What::Take, req, &asked, limit, bytes).await;
            // What other tags gave is leased, and comes again with a repeat alone.
            let mut part = part.map_err(|error| if any { in_doubt(error) } else { error })?;
            let size = |job: &Record| job.payload.len() + job.progress.len();
            let taken: usize = part.jobs.iter().map(|(_, job, _)| size(job)).sum();
            if any && taken > bytes {
                // The first of a script is given whatever its size, and this is not the first of the claim.
                let over = std::mem::take(&mut part.jobs);
                self.give_back(over.into_iter().map(|(_, job, _)| job))
                    .await
                    .map_err(in_doubt)?;
                part.next_due = Some(part.now);
                bytes = 0;
            }
            any |= !part.jobs.is_empty();
            bytes = bytes.saturating_sub(taken);
            for (lane, _, _) in &mut part.jobs {
                *lane = places[lane.saturating_sub(1)];
            }
            looks[tag] = part;
        }
        Ok(looks)
    }

    /// Releases what was taken and is too much.
    async fn give_back(&self, jobs: impl Iterator<Item = Record>) -> Result<(), StoreError> {
        let outcome = Outcome::Released {
            after: Duration::ZERO,
            unknown: false,
        };
        let settles =
            jobs.filter_map(|job| Some(Settle::new(job.id(), job.fence()?, outcome.clone())));
        let settles: Vec<Settle> = settles.collect();
        self.settle(&settles).await.map(|_| ())
    }

    async fn part(
        &self,
        tag: &Tag,
        what: What,
        req: &ClaimReq,
        lanes: &[(Lane, u32)],
        limit: u32,
        max_bytes: usize,
    ) -> Result<Part, StoreError> {
        let mut call = self.call(tag, &CLAIM);
        call.arg(what as u8).arg(&row::owner(req.owner));
        call.arg(req.seq).arg(row::millis(req.lease));
        call.arg(limit).arg(max_bytes);
        for (lane, max) in lanes {
            call.arg(&*lane.queue).arg(lane.band).arg(max);
        }
        let mut reply = self.run_one(tag, &CLAIM, call).await?;
        let (now, next_due) = (reply.now()?, reply.time()?);
        let (status, sent, count) = (reply.int()?, reply.count()?, reply.count()?);
        let mut part = Part {
            now,
            next_due,
            repeat: status != 0,
            jobs: Vec::with_capacity(count.min(limit.into()) as usize),
            due: Vec::new(),
        };
        for _ in 0..count {
            let lane = reply.count()?;
            if let Some(stored) = reply.job()? {
                let lane = usize::try_from(lane).unwrap_or_default();
                part.jobs.push((lane, stored.job, stored.flaw));
            }
        }
        while !reply.is_over() {
            part.due
                .push(u32::try_from(reply.count()?).unwrap_or(u32::MAX));
        }
        if sent > 0 {
            self.deliver(*tag).await?;
        }
        Ok(part)
    }
}
