//! One queue: counts, lanes, groups and limits. Which of its jobs may be claimed now, in which order.

use std::collections::{BTreeMap, BTreeSet};

use tideway_engine::Wall;
use tideway_engine::jobs::call::{Limit, QueueStats};
use tideway_engine::jobs::{Name, Record, State};

use super::lanes::{Head, Lane, Place, earlier};
use super::limits::{Gate, Log, gate};

/// What is known of a queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Queue {
    /// Jobs by state.
    pub(super) counts: [u64; 6],
    /// By band; none is empty.
    pub(super) lanes: BTreeMap<u8, Lane>,
    /// Those with a job that is pending or runs, or a claim that still counts.
    pub(super) groups: BTreeMap<Name, Group>,
    /// Groups with nothing but claims that count until then.
    idle: BTreeSet<(Wall, Name)>,
    pub(super) paused: bool,
    limit: Limit,
    log: Log,
    each: Limit,
    own: BTreeMap<Name, Limit>,
}

/// The jobs of one group of a queue that are pending or run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group {
    running: u64,
    log: Log,
    gate: Gate,
    /// By band; none is empty.
    bands: BTreeMap<u8, Band>,
    /// As in [`Queue::idle`].
    idle: Option<Wall>,
}

/// The pending jobs of a group in one band: its own lane.
#[derive(Clone, Debug, Default, PartialEq)]
struct Band {
    jobs: BTreeSet<Place>,
    /// As the queue's lane has it.
    head: Option<Head>,
}

impl Queue {
    pub(super) fn add(&mut self, job: &Record) {
        self.counts[job.state as usize] += 1;
        let place = (job.run_at, job.id());
        let Some(name) = &job.spec.group else {
            if job.state == State::Pending {
                self.lanes
                    .entry(job.band())
                    .or_default()
                    .ready
                    .insert(place);
            }
            return;
        };
        match job.state {
            State::Pending => {
                let band = job.band();
                let bands = &mut self.group(name).bands;
                bands.entry(band).or_default().jobs.insert(place);
                self.show(name, band);
            }
            State::Running => self.group(name).running += 1,
            _ => {}
        }
        self.regate(name);
    }

    pub(super) fn remove(&mut self, job: &Record) {
        self.counts[job.state as usize] -= 1;
        let (band, place) = (job.band(), (job.run_at, job.id()));
        match (&job.spec.group, job.state) {
            (None, State::Pending) => {
                if let Some(lane) = self.lanes.get_mut(&band) {
                    lane.ready.remove(&place);
                    if lane.is_empty() {
                        self.lanes.remove(&band);
                    }
                }
            }
            (Some(name), State::Pending) => {
                let bands = &mut self.group(name).bands;
                bands.entry(band).or_default().jobs.remove(&place);
                self.show(name, band);
            }
            (Some(name), State::Running) => self.group(name).running -= 1,
            _ => {}
        }
    }

    /// The next job of `band` that may be claimed at `now`.
    pub(super) fn head(&mut self, band: u8, now: Wall) -> Option<Place> {
        if self.paused || self.gate(now) != Gate::Open {
            return None;
        }
        self.open(band, now);
        let head = self.lanes.get(&band)?.ready.first().copied()?;
        (head.0 <= now).then_some(head)
    }

    /// A job of `group` was claimed.
    pub(super) fn claimed(&mut self, group: Option<&Name>, now: Wall) {
        if let Some(rate) = self.limit.rate {
            self.log.note(rate, now);
        }
        if let Some(name) = group
            && let Some(rate) = self.limit_of(name).rate
        {
            self.group(name).log.note(rate, now);
            self.regate(name);
        }
    }

    /// When time alone makes a job of `band` claimable.
    pub(super) fn next_due(&mut self, band: u8, now: Wall) -> Option<Wall> {
        let gate = self.gate(now);
        self.open(band, now);
        let lane = self.lanes.get(&band)?.next_due()?;
        match gate {
            Gate::Open if !self.paused => Some(lane),
            Gate::Until(time) if !self.paused => Some(lane.max(time)),
            _ => None,
        }
    }

    /// Replaces the limit of the queue.
    pub(super) fn limit(&mut self, limit: Limit) {
        self.limit = limit;
        if limit.rate.is_none() {
            self.log = Log::default();
        }
    }

    /// Replaces the limit of each group that has none of its own.
    pub(super) fn limit_each(&mut self, limit: Limit) {
        self.each = limit;
        let names: Vec<Name> = self.groups.keys().cloned().collect();
        for name in &names {
            self.regate(name);
        }
    }

    /// Replaces the limit of one group; one that says nothing leaves it to [`limit_each`](Self::limit_each).
    pub(super) fn limit_group(&mut self, name: &Name, limit: Limit) {
        if limit == Limit::default() {
            self.own.remove(name);
        } else {
            self.own.insert(name.clone(), limit);
        }
        if self.groups.contains_key(name) {
            self.regate(name);
        }
    }

    /// Whether the end of a running job of `group` lets another start.
    pub(super) fn limits_running(&self, group: Option<&Name>) -> bool {
        let group = group.is_some_and(|name| self.limit_of(name).running.is_some());
        group || self.limit.running.is_some()
    }

    /// The clock went back.
    pub(super) fn rewind(&mut self, now: Wall) {
        self.log.rewind(now);
        let names: Vec<Name> = self.groups.keys().cloned().collect();
        for name in &names {
            self.group(name).log.rewind(now);
            self.regate(name);
        }
    }

    /// Forgets groups of which no claim counts any more.
    pub(super) fn forget_idle(&mut self, now: Wall) {
        while let Some((time, _)) = self.idle.first()
            && *time <= now
            && let Some((_, name)) = self.idle.pop_first()
        {
            self.groups.remove(&name);
        }
    }

    /// Whether it is as if it had never been.
    pub(super) fn is_blank(&self) -> bool {
        *self == Self::default()
    }

    /// It without its jobs, to be filled again.
    pub(super) fn emptied(&self) -> Self {
        let mut empty = Self {
            paused: self.paused,
            limit: self.limit,
            log: self.log.clone(),
            each: self.each,
            own: self.own.clone(),
            ..Self::default()
        };
        for (name, group) in &self.groups {
            if !group.log.is_empty() {
                empty.group(name).log = group.log.clone();
                empty.regate(name);
            }
        }
        empty
    }

    pub(super) fn stats(&self, name: &Name) -> QueueStats {
        let mut stats = QueueStats::empty(name.clone());
        for state in State::ALL {
            *stats.count(state) = self.counts[state as usize];
        }
        stats.paused = self.paused;
        let lanes = self.lanes.values().map(Lane::oldest);
        stats.oldest = lanes.fold(None, earlier);
        stats
    }

    /// Whether one more job of the queue, of whatever group, may start.
    fn gate(&mut self, now: Wall) -> Gate {
        if let Some((_, window)) = self.limit.rate {
            self.log.trim(window, now);
        }
        let running = self.counts[State::Running as usize];
        gate(&self.limit, running, &self.log)
    }

    /// Opens the groups of `band` whose window has room since.
    fn open(&mut self, band: u8, now: Wall) {
        while let Some((time, name)) = self.lanes.get(&band).and_then(|lane| lane.timed.first())
            && *time <= now
        {
            let name = name.clone();
            if let Some((_, window)) = self.limit_of(&name).rate {
                self.group(&name).log.trim(window, now);
            }
            self.regate(&name);
        }
    }

    fn limit_of(&self, group: &Name) -> Limit {
        *self.own.get(group).unwrap_or(&self.each)
    }

    fn group(&mut self, name: &Name) -> &mut Group {
        if !self.groups.contains_key(name) {
            self.groups.insert(name.clone(), Group::default());
        }
        self.groups.get_mut(name).expect("it was just made")
    }

    /// Brings the group's gate, its heads in the lanes and its place among the idle up to date. Forgets it if
    /// there is nothing to it.
    fn regate(&mut self, name: &Name) {
        let limit = self.limit_of(name);
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        if limit.rate.is_none() {
            group.log = Log::default();
        }
        let gate = gate(&limit, group.running, &group.log);
        if gate != group.gate {
            group.gate = gate;
            let bands: Vec<u8> = group.bands.keys().copied().collect();
            for band in bands {
                self.show(name, band);
            }
        }
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let unused = group.bands.is_empty() && group.running == 0;
        let end = limit.rate.and_then(|(_, window)| group.log.end(window));
        let idle = end.filter(|_| unused);
        if idle != group.idle {
            if let Some(time) = group.idle {
                self.idle.remove(&(time, name.clone()));
            }
            self.idle.extend(idle.map(|time| (time, name.clone())));
            group.idle = idle;
        }
        if unused && idle.is_none() {
            self.groups.remove(name);
        }
    }

    /// Brings the head of the group's `band` in the lane up to date.
    fn show(&mut self, name: &Name, band: u8) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let Some(own) = group.bands.get_mut(&band) else {
            return;
        };
        let head = own.jobs.first().map(|place| match group.gate {
            Gate::Open => Head::Ready(*place),
            Gate::Until(time) => Head::Blocked(*place, Some(time.max(place.0))),
            Gate::Shut => Head::Blocked(*place, None),
        });
        if head != own.head {
            let lane = self.lanes.entry(band).or_default();
            if let Some(old) = own.head {
                lane.take(name, old);
            }
            if let Some(new) = head {
                lane.put(name, new);
            }
            own.head = head;
            if lane.is_empty() {
                self.lanes.remove(&band);
            }
        }
        if own.jobs.is_empty() {
            group.bands.remove(&band);
        }
    }
}
