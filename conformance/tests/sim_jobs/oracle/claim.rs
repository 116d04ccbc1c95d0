//! Whether a claim took what it should: in order, all it may, nothing beyond a limit.

use std::collections::{BTreeMap, BTreeSet};

use tideway::Wall;
use tideway::jobs::call::{ClaimReq, Claimed, Lane};
use tideway::jobs::{Id, Record, State, later};

use super::{Change, Oracle, cut, shown};

impl Oracle {
    /// Judges a claim; the records are those before it.
    pub(super) fn claimed(
        &mut self,
        req: &ClaimReq,
        claimed: &Claimed,
        changes: &[Change],
        now: Wall,
        flaws: &mut Vec<String>,
    ) {
        let given: BTreeSet<Id> = claimed.jobs.iter().map(Record::id).collect();
        let fresh: BTreeMap<Id, &Record> = changes
            .iter()
            .filter_map(|change| change.after.as_ref())
            .filter(|after| after.state == State::Running)
            .map(|after| (after.id(), after))
            .collect();
        let newest = self.newest.entry(req.owner).or_default();
        let (seq, before) = (req.seq, *newest);
        *newest = before.max(seq);
        let mut flaw = |well: bool, text: &str| {
            if !well {
                let gave: Vec<String> = claimed.jobs.iter().map(shown).collect();
                flaws.push(format!("{text}: {}\n  gave {gave:#?}", cut(req)));
            }
        };
        if seq <= before {
            self.tally.repeated += 1;
            flaw(fresh.is_empty(), "a repeated claim took more");
            flaw(given.is_empty() || seq == before, "an old claim gave jobs");
            return;
        }
        flaw(
            given.iter().eq(fresh.keys()),
            "a claim gave other jobs than it took",
        );
        flaw(given.len() <= req.limit as usize, "a claim took too many");
        self.order(req, &fresh, now, &mut flaw);
        self.limits(&fresh, now, &mut flaw);
    }

    /// In each lane the first, and none left while there is room.
    fn order(
        &self,
        req: &ClaimReq,
        fresh: &BTreeMap<Id, &Record>,
        now: Wall,
        flaw: &mut impl FnMut(bool, &str),
    ) {
        let mut quotas: BTreeMap<&Lane, usize> = BTreeMap::new();
        for (lane, max) in &req.lanes {
            *quotas.entry(lane).or_default() += *max as usize;
        }
        let mut last: BTreeMap<Lane, (Wall, Id)> = BTreeMap::new();
        let mut taken: BTreeMap<Lane, usize> = BTreeMap::new();
        for before in fresh.keys().filter_map(|id| self.records.get(id)) {
            let (lane, place) = (before.lane(), (before.run_at, before.id()));
            *taken.entry(lane.clone()).or_default() += 1;
            let last = last.entry(lane).or_insert(place);
            *last = place.max(*last);
        }
        for (id, job) in &self.records {
            let claimable = job.state == State::Pending
                && job.run_at <= now
                && !fresh.contains_key(id)
                && job.expires_at().is_none_or(|time| time > now)
                && !self.paused.contains(&job.spec.queue)
                && !self.limited(job);
            if !claimable {
                continue;
            }
            let lane = job.lane();
            let passed = last
                .get(&lane)
                .is_some_and(|last| (job.run_at, *id) < *last);
            if passed {
                flaw(false, &format!("a claim passed over {id}"));
            }
            let quota = quotas.get(&lane).copied().unwrap_or_default();
            let room = fresh.len() < req.limit as usize
                && taken.get(&lane).copied().unwrap_or_default() < quota;
            if room {
                flaw(false, &format!("a claim left {id}, which is due"));
            }
        }
    }

    /// Whether a limit may hold it back.
    fn limited(&self, job: &Record) -> bool {
        let queue = &job.spec.queue;
        self.limits.contains_key(&(queue.clone(), false))
            || job.spec.group.is_some() && self.limits.contains_key(&(queue.clone(), true))
    }

    fn limits(
        &mut self,
        fresh: &BTreeMap<Id, &Record>,
        now: Wall,
        flaw: &mut impl FnMut(bool, &str),
    ) {
        for job in fresh.values() {
            for each in [false, true] {
                let queue = &job.spec.queue;
                let Some(limit) = self.limits.get(&(queue.clone(), each)) else {
                    continue;
                };
                if each && job.spec.group.is_none() {
                    continue;
                }
                let group = job.spec.group.clone().filter(|_| each);
                if let Some(most) = limit.running {
                    let same = |other: &Record| {
                        other.spec.queue == *queue && (!each || other.spec.group == group)
                    };
                    let ran = |other: &&Record| other.state == State::Running && same(other);
                    let running = self.records.values().filter(ran).count()
                        + fresh.values().filter(|other| same(other)).count();
                    let text = format!("{running} run of {queue} and {group:?}, {most} may");
                    flaw(running <= most as usize, &text);
                }
                if let Some((most, window)) = limit.rate {
                    let claims = self.claims.entry((queue.clone(), group)).or_default();
                    claims.push(now);
                    // A clock that went back has claims ahead of it, which count all the same.
                    let recent = claims
                        .iter()
                        .filter(|at| later(**at, window) > now && **at <= now);
                    let text = format!("more than {most} claims of {queue} in {window:?}");
                    flaw(recent.count() <= most as usize, &text);
                }
            }
        }
    }
}
