//! Everything that is looked up by other than the id. It follows from the records (and the limits) alone:
//! [`Index::add`], [`Index::change`] and [`Index::forget`] are the only places where it changes.

use std::collections::{BTreeMap, BTreeSet};

use tideway_engine::Wall;
use tideway_engine::jobs::{Id, Name, Owner, Record, State};

use super::queue::Queue;

/// Indexes over the records.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index {
    /// Lanes, counts, groups; also pauses and limits.
    pub(super) queues: BTreeMap<Name, Queue>,
    /// Running jobs by the end of their lease.
    pub(super) leases: BTreeSet<(Wall, Id)>,
    /// How many jobs each owner last held, by crashes before that.
    pub(super) cohorts: BTreeMap<(Owner, u32), u32>,
    /// Waiting and pending jobs by the time after which they may not start.
    pub(super) expiries: BTreeSet<(Wall, Id)>,
    /// Ended jobs by when their record is forgotten.
    pub(super) ended: BTreeSet<(Wall, Id)>,
    /// (job, who waits for it).
    pub(super) waiters: BTreeSet<(Id, Id)>,
}

impl Index {
    /// Lets `edit` change `job`, which is indexed, and indexes it anew.
    pub(super) fn change<T>(&mut self, job: &mut Record, edit: impl FnOnce(&mut Record) -> T) -> T {
        self.unlink(job);
        let spec = job.spec.clone();
        let queue = self.queue(&spec.queue);
        queue.remove(job);
        let out = edit(job);
        queue.add(job);
        self.link(job);
        out
    }

    pub(super) fn add(&mut self, job: &Record) {
        self.queue(&job.spec.queue).add(job);
        self.link(job);
    }

    fn remove(&mut self, job: &Record) {
        self.queue(&job.spec.queue).remove(job);
        self.unlink(job);
    }

    /// All but the queue.
    fn link(&mut self, job: &Record) {
        let id = job.id();
        match job.state {
            State::Waiting => {
                let waits = job.waits.iter().map(|awaited| (*awaited, id));
                self.waiters.extend(waits);
            }
            State::Pending => {}
            State::Running => {
                self.leases.insert((job.lease_until, id));
            }
            State::Succeeded | State::Dead | State::Cancelled => {
                self.ended.insert((job.forget_at().unwrap_or_default(), id));
            }
        }
        if let Some(time) = expiry(job) {
            self.expiries.insert((time, id));
        }
        if let Some(cohort) = cohort(job) {
            *self.cohorts.entry(cohort).or_default() += 1;
        }
    }

    /// As [`link`](Self::link), back.
    fn unlink(&mut self, job: &Record) {
        let id = job.id();
        match job.state {
            State::Waiting => {
                for awaited in &job.waits {
                    self.waiters.remove(&(*awaited, id));
                }
            }
            State::Pending => {}
            State::Running => {
                self.leases.remove(&(job.lease_until, id));
            }
            State::Succeeded | State::Dead | State::Cancelled => {
                self.ended
                    .remove(&(job.forget_at().unwrap_or_default(), id));
            }
        }
        if let Some(time) = expiry(job) {
            self.expiries.remove(&(time, id));
        }
        if let Some(cohort) = cohort(job)
            && let Some(count) = self.cohorts.get_mut(&cohort)
        {
            *count -= 1;
            if *count == 0 {
                self.cohorts.remove(&cohort);
            }
        }
    }

    /// Forgets `job`; the queue goes with its last job.
    pub(super) fn forget(&mut self, job: &Record) {
        self.remove(job);
        self.tidy(&job.spec.queue);
    }

    /// The queue, made if there is none.
    pub(super) fn queue(&mut self, name: &Name) -> &mut Queue {
        // Not by `entry`: that would touch the count of the shared name each time.
        if !self.queues.contains_key(name) {
            self.queues.insert(name.clone(), Queue::default());
        }
        self.queues.get_mut(name).expect("it was just made")
    }

    /// Forgets the queue if nothing is known of it.
    pub(super) fn tidy(&mut self, name: &Name) {
        if self.queues.get(name).is_some_and(Queue::is_blank) {
            self.queues.remove(name);
        }
    }

    /// Whether the end of this running job lets another start.
    pub(super) fn limits_running(&self, job: &Record) -> bool {
        self.queues
            .get(&job.spec.queue)
            .is_some_and(|queue| queue.limits_running(job.spec.group.as_ref()))
    }

    /// How many jobs last held by the same owner had as many crashes as `job`, which runs, or more; itself
    /// not counted.
    pub(super) fn peers(&self, job: &Record) -> u32 {
        let Some((owner, crashes)) = cohort(job) else {
            return 0;
        };
        let all: u32 = self
            .cohorts
            .range((owner, crashes)..=(owner, u32::MAX))
            .map(|(_, count)| *count)
            .sum();
        all.saturating_sub(1)
    }
}

/// Under which key a job counts among those its owner held: the crashes it had before that.
fn cohort(job: &Record) -> Option<(Owner, u32)> {
    Some((job.owner?, job.crashes_when_held()?))
}

fn expiry(job: &Record) -> Option<Wall> {
    match job.state {
        State::Waiting | State::Pending => job.expires_at(),
        _ => None,
    }
}
