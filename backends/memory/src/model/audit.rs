//! The structural check: every index is built again from the records and compared, and every record is
//! looked at by itself. Slow: for tests and operators.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use tideway_engine::jobs::call::AuditReport;
use tideway_engine::jobs::{Hold, Id, Record, State};

use super::Model;
use super::index::Index;

/// A report says no more than this: a store with a flaw may have it in every record.
const FLAWS: usize = 1000;

const NOT_HELD: &str = "it does not hold its unique key";

impl Model {
    /// Checks that every index and count agrees with the records, and each record with the rules.
    #[must_use]
    pub fn audit(&self) -> AuditReport {
        let mut flaws = Vec::new();
        let mut fresh = Index::default();
        for (name, queue) in &self.index.queues {
            fresh.queues.insert(name.clone(), queue.emptied());
        }
        for (id, job) in &self.records {
            fresh.add(job);
            if *id != job.id() {
                flaws.push(format!("job {} is kept under the id {id}", job.id()));
            }
            let all = self.flaws(job).into_iter();
            flaws.extend(all.map(|flaw| format!("job {id} ({}): {flaw}", job.state.as_str())));
        }
        self.compare(&fresh, &mut flaws);
        self.check_holds(&mut flaws);
        self.check_owners(&mut flaws);
        let known = self.deleted.known.iter();
        let until = known.map(|(id, (_, until))| (*until, *id)).collect();
        sets(
            "the ids of deleted jobs",
            &self.deleted.until,
            &until,
            &mut flaws,
        );
        flaws.truncate(FLAWS);
        AuditReport {
            checked: self.records.len() as u64,
            flaws,
        }
    }

    fn flaws(&self, job: &Record) -> Vec<&'static str> {
        let mut flaws = job.flaws();
        let mut check = |well: bool, flaw| {
            if !well {
                flaws.push(flaw);
            }
        };
        if job.state == State::Waiting {
            let open = |id: &Id| self.job(*id).is_some_and(|awaited| !awaited.state.ended());
            check(
                job.waits.iter().all(open),
                "it waits for a job that has ended or is gone",
            );
        }
        if let Some(unique) = &job.spec.unique
            && !job.state.ended()
        {
            let key = (job.spec.queue.clone(), unique.key.clone());
            let held = self.holds.held.get(&key).map(|held| held.by) == Some(job.id());
            match unique.hold {
                Hold::UntilDone => check(held, NOT_HELD),
                Hold::UntilStart if job.token == 0 => check(held, NOT_HELD),
                Hold::UntilStart => check(
                    !held || job.state != State::Running,
                    "it runs and holds its unique key",
                ),
                Hold::For(_) => {}
            }
        }
        flaws
    }

    fn compare(&self, fresh: &Index, flaws: &mut Vec<String>) {
        let Index {
            queues,
            leases,
            cohorts,
            expiries,
            ended,
            waiters,
        } = &self.index;
        sets("the leases", leases, &fresh.leases, flaws);
        sets("the expiries", expiries, &fresh.expiries, flaws);
        sets("the ended jobs", ended, &fresh.ended, flaws);
        sets("the waiting pairs", waiters, &fresh.waiters, flaws);
        maps("the cohorts", cohorts, &fresh.cohorts, flaws);
        let names: BTreeSet<_> = queues.keys().chain(fresh.queues.keys()).collect();
        for name in names {
            let (Some(now), Some(then)) = (queues.get(name), fresh.queues.get(name)) else {
                flaws.push(format!("queue {name} has jobs and no index"));
                continue;
            };
            if now.is_blank() {
                flaws.push(format!("queue {name} has nothing and is kept"));
            }
            for state in State::ALL {
                let (said, are) = (now.counts[state as usize], then.counts[state as usize]);
                if said != are {
                    let state = state.as_str();
                    flaws.push(format!(
                        "queue {name} counts {said} {state} jobs, there are {are}"
                    ));
                }
            }
            maps(
                &format!("the lanes of {name}"),
                &now.lanes,
                &then.lanes,
                flaws,
            );
            maps(
                &format!("the groups of {name}"),
                &now.groups,
                &then.groups,
                flaws,
            );
            if flaws.is_empty() && now != then {
                flaws.push(format!(
                    "queue {name} is {now:?}, by its jobs it is {then:?}"
                ));
            }
        }
    }

    fn check_holds(&self, flaws: &mut Vec<String>) {
        let mut until = BTreeSet::new();
        for (key, held) in &self.holds.held {
            let (queue, name, by) = (&key.0, &key.1, held.by);
            until.extend(held.until.map(|time| (time, key.clone())));
            let job = self.job(by);
            let over = job.is_none_or(|job| job.state.ended());
            if held.until.is_none() && over {
                flaws.push(format!(
                    "key {name} of {queue} is held by {by}, which is over"
                ));
            }
            let own = |job: &Record| {
                let unique = job.spec.unique.as_ref();
                job.spec.queue == *queue && unique.is_some_and(|unique| unique.key == *name)
            };
            // A hold by time outlives its job, whose id may have come again since as another's.
            if held.until.is_none() && job.is_some_and(|job| !own(job)) {
                flaws.push(format!(
                    "key {name} of {queue} is held by {by}, which has another"
                ));
            }
        }
        sets("the ends of holds", &self.holds.until, &until, flaws);
    }

    fn check_owners(&self, flaws: &mut Vec<String>) {
        let newest = self.owners.newest.iter();
        let last = newest.map(|(owner, newest)| (newest.at, *owner)).collect();
        sets("the last claims", &self.owners.last, &last, flaws);
    }
}

fn sets<T: Ord + Debug>(
    what: &str,
    are: &BTreeSet<T>,
    shall: &BTreeSet<T>,
    flaws: &mut Vec<String>,
) {
    let more = are
        .difference(shall)
        .map(|it| format!("{what} have {it:?} without a record"));
    let less = shall
        .difference(are)
        .map(|it| format!("{what} lack {it:?}"));
    flaws.extend(more.chain(less).take(FLAWS));
}

fn maps<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    are: &BTreeMap<K, V>,
    shall: &BTreeMap<K, V>,
    flaws: &mut Vec<String>,
) {
    let keys: BTreeSet<_> = are.keys().chain(shall.keys()).collect();
    for key in keys {
        let (is, should) = (are.get(key), shall.get(key));
        if is != should {
            flaws.push(format!(
                "{what} have {is:?} at {key:?}, by the records it is {should:?}"
            ));
        }
    }
}
