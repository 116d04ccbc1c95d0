//! What a claim should find, by looking at every record: slow, and too simple to be wrong in the same way.

use std::collections::{BTreeMap, BTreeSet};

use tideway_engine::Wall;
use tideway_engine::jobs::call::{ClaimReq, Control, Lane, Limit, Scope};
use tideway_engine::jobs::{Id, Record, State};

use crate::world::name;

/// What a plain search knows beside the records.
#[derive(Default)]
pub(crate) struct Plain {
    paused: BTreeSet<String>,
    limits: BTreeMap<Scope, Limit>,
    /// Claims that count against the rate of a queue, or of a group of it.
    claims: BTreeMap<(String, Option<String>), Vec<i64>>,
}

/// As the store's own, but found by counting.
#[derive(Clone, Copy, PartialEq)]
enum Gate {
    Open,
    Until(i64),
    Shut,
}

impl Plain {
    pub(crate) fn limit(&self, queue: &str, group: Option<&str>) -> Limit {
        let scope = match group {
            None => Scope::Queue(name(queue)),
            Some(group) => {
                let own = Scope::Group(name(queue), name(group));
                match self.limits.get(&own) {
                    Some(limit) if *limit != Limit::default() => own,
                    _ => Scope::EachGroup(name(queue)),
                }
            }
        };
        self.limits.get(&scope).copied().unwrap_or_default()
    }

    pub(crate) fn control(&mut self, control: &Control) {
        match control {
            Control::Pause(queue) => drop(self.paused.insert(queue.to_string())),
            Control::Resume(queue) => drop(self.paused.remove(&**queue)),
            Control::Limit(scope, limit) => {
                self.limits.insert(scope.clone(), *limit);
                let mut claims = std::mem::take(&mut self.claims);
                claims
                    .retain(|(queue, group), _| self.limit(queue, group.as_deref()).rate.is_some());
                self.claims = claims;
            }
            _ => {}
        }
    }

    pub(crate) fn claimed(&mut self, job: &Record, now: i64) {
        let queue = job.spec.queue.to_string();
        let group = job.spec.group.as_ref().map(|group| group.to_string());
        for group in [None, group].into_iter().collect::<BTreeSet<_>>() {
            if self.limit(&queue, group.as_deref()).rate.is_some() {
                self.claims
                    .entry((queue.clone(), group))
                    .or_default()
                    .push(now);
            }
        }
    }

    fn gate(
        &self,
        jobs: &BTreeMap<Id, Record>,
        queue: &str,
        group: Option<&str>,
        now: i64,
    ) -> Gate {
        let limit = self.limit(queue, group);
        let ours = |job: &&Record| {
            let same = group.is_none() || job.spec.group.as_deref() == group;
            job.state == State::Running && job.spec.queue == queue && same
        };
        let running = jobs.values().filter(ours).count();
        if limit.running.is_some_and(|max| running >= max as usize) {
            return Gate::Shut;
        }
        let Some((n, window)) = limit.rate else {
            return Gate::Open;
        };
        if n == 0 {
            return Gate::Shut;
        }
        let none = Vec::new();
        let key = (queue.to_owned(), group.map(str::to_owned));
        let claims = self.claims.get(&key).unwrap_or(&none);
        let Some(nth) = claims.len().checked_sub(n as usize) else {
            return Gate::Open;
        };
        match claims[nth] + window.as_millis() as i64 {
            free if free > now => Gate::Until(free),
            _ => Gate::Open,
        }
    }

    fn gates(&self, jobs: &BTreeMap<Id, Record>, job: &Record, now: i64) -> [Gate; 2] {
        let queue = &*job.spec.queue;
        let group = job.spec.group.as_deref();
        let own = group.map_or(Gate::Open, |group| self.gate(jobs, queue, Some(group), now));
        [self.gate(jobs, queue, None, now), own]
    }

    /// What `req`, a new one, should claim. Notes it.
    pub(crate) fn claim(
        &mut self,
        jobs: &mut BTreeMap<Id, Record>,
        req: &ClaimReq,
        now: i64,
    ) -> Vec<Id> {
        let mut got = Vec::new();
        let mut bytes = 0;
        for (lane, max) in &req.lanes {
            let mut due: Vec<_> = in_lane(jobs, lane)
                .filter(|job| job.run_at.0 <= now)
                .collect();
            due.sort_by_key(|job| (job.run_at, job.id()));
            let due: Vec<Record> = due.into_iter().cloned().collect();
            let mut left = *max;
            for job in due {
                if left == 0 || got.len() == req.limit as usize {
                    break;
                }
                let open = self.gates(jobs, &job, now) == [Gate::Open; 2];
                if self.paused.contains(&*lane.queue) || !open {
                    continue;
                }
                bytes += job.payload.len() + job.progress.len();
                if bytes > req.max_bytes && !got.is_empty() {
                    return got;
                }
                self.claimed(&job, now);
                jobs.get_mut(&job.id()).unwrap().state = State::Running;
                got.push(job.id());
                left -= 1;
            }
        }
        got
    }

    pub(crate) fn next_due(
        &self,
        jobs: &BTreeMap<Id, Record>,
        req: &ClaimReq,
        now: i64,
    ) -> Option<Wall> {
        let lanes = req
            .lanes
            .iter()
            .filter(|(lane, _)| !self.paused.contains(&*lane.queue));
        let due = lanes
            .flat_map(|(lane, _)| in_lane(jobs, lane))
            .filter_map(|job| {
                let gates = self.gates(jobs, job, now);
                gates
                    .into_iter()
                    .try_fold(job.run_at.0, |due, gate| match gate {
                        Gate::Open => Some(due),
                        Gate::Until(time) => Some(due.max(time)),
                        Gate::Shut => None,
                    })
            });
        due.min().map(Wall)
    }
}

fn in_lane<'a>(jobs: &'a BTreeMap<Id, Record>, lane: &'a Lane) -> impl Iterator<Item = &'a Record> {
    let all = jobs.values();
    all.filter(move |job| job.state == State::Pending && job.lane() == *lane)
}
