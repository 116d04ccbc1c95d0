//! What an app was told about jobs, until it is built: mistakes are collected, not reported one by one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::sync::Arc;

use tideway_engine::jobs::call::Caps;
use tideway_engine::jobs::cron::{Overlap, job_id};
use tideway_engine::jobs::pool::CronJob;
use tideway_engine::jobs::{Name, NewJob, Start};
use tideway_engine::{Seed, Wall};

use super::kinds::{Kind, Kinds, Runner};
use super::{Cron, DynJobStore, EnqueueError, Job, JobStore, Jobs, MaxPayload, enqueue};
use crate::Clock;
use crate::context::Context;

/// The jobs of an app in the making.
#[derive(Default)]
pub(crate) struct Plan {
    store: Option<DynJobStore>,
    seed: Option<Seed>,
    runners: BTreeMap<Name, Arc<dyn Runner>>,
    cron: Vec<CronJob>,
    errors: Vec<String>,
}

impl Plan {
    pub(crate) fn store(&mut self, store: DynJobStore) {
        if self.store.replace(store).is_some() {
            self.errors
                .push("`store` was given twice; keep one".to_owned());
        }
    }

    pub(crate) fn seed(&mut self, seed: Seed) {
        self.seed = Some(seed);
    }

    pub(crate) fn job<T: Job>(&mut self) {
        if let Err(error) = check::<T>() {
            self.wrong::<T>(&error.to_string());
        }
        // Without a name it is wrong already.
        let Ok(kind) = Name::new(T::NAME) else { return };
        match self.runners.entry(kind) {
            Place::Vacant(place) => {
                place.insert(Arc::new(Kind::<T>::new()));
            }
            Place::Occupied(place) => {
                let error = format!("another job is called `{}` too; rename one", place.key());
                self.wrong::<T>(&error);
            }
        }
    }

    pub(crate) fn cron<T: Job>(&mut self, cron: Cron<T>) {
        match cron.checked() {
            Ok(cron) => self.cron.push(cron),
            Err(error) => self.errors.push(error),
        }
    }

    fn wrong<T: Job>(&mut self, error: &str) {
        let name = std::any::type_name::<T>();
        self.errors.push(format!("the job `{name}`: {error}"));
    }

    /// Puts [`Jobs`] and [`Kinds`] into `context`.
    pub(crate) fn build(
        self,
        context: &mut Context,
        clock: Clock,
        max: MaxPayload,
        errors: &mut Vec<String>,
    ) {
        errors.extend(self.errors);
        for (at, cron) in self.cron.iter().enumerate() {
            let (key, kind) = (&cron.entry.key, &cron.job.spec.kind);
            if self.cron[..at].iter().any(|other| other.entry.key == *key) {
                errors.push(format!(
                    "the cron entry `{key}` is there twice; give each a key of its own"
                ));
            }
            if !self.runners.contains_key(kind) {
                errors.push(format!(
                    "the cron entry `{key}` enqueues the job `{kind}`, which is not registered; name it with `job`"
                ));
            }
            if let Err(error) = cron.job.check(max.0) {
                errors.push(format!("the cron entry `{key}`: {error}"));
            }
        }
        if let Some(store) = &self.store {
            let caps = store.caps();
            errors.extend(self.cron.iter().filter_map(|cron| unsupported(cron, &caps)));
        }
        let store = match (self.store, self.seed) {
            (Some(store), Some(seed)) => Some(Jobs::new(store, clock, &seed, max)),
            (Some(_), None) => {
                errors.push(
                    "there is a job store, but whoever builds the app gave it no `seed`".to_owned(),
                );
                return;
            }
            (None, _) => None,
        };
        if let Some(jobs) = &store
            && !context.insert(jobs.clone())
        {
            errors.push("a `Jobs` was provided beside a `store`; keep the store".to_owned());
        }
        for (name, runner) in &self.runners {
            if store.is_none() {
                errors.push(format!(
                    "the job `{name}` has no store to come from; give the app one with `store`"
                ));
            }
            let missing = runner.missing(context).into_iter();
            errors.extend(missing.map(|missing| format!("the job `{name}` {missing}")));
        }
        if let Some(jobs) = store {
            context.insert(Arc::new(Kinds::new(self.runners, self.cron, jobs)));
        }
    }
}

/// What the entry asks for and a store of these `caps` does not do.
fn unsupported(cron: &CronJob, caps: &Caps) -> Option<String> {
    let key = &cron.entry.key;
    if !caps.cron {
        return Some(format!(
            "the cron entry `{key}`: the job store declares `cron: false` in its `caps`; leave the entry out, or use a store that keeps cron entries"
        ));
    }
    if cron.entry.overlap != Overlap::Allow && !caps.unique {
        return Some(format!(
            "the cron entry `{key}`: its `overlap` needs a unique key, and the job store declares `unique: false` in its `caps`; allow overlaps, or use a store that keeps unique keys"
        ));
    }
    let error = enqueue::supported(&cron.job.spec, caps).err()?;
    Some(format!("the cron entry `{key}`: {error}"))
}

/// Whether a job of the kind could be enqueued, as far as its type alone can tell.
fn check<T: Job>() -> Result<(), EnqueueError> {
    let new = NewJob {
        spec: Arc::new(enqueue::spec::<T>(job_id("", T::QUEUE, Wall(0)))?),
        payload: bytes::Bytes::new(),
        start: Start::Now,
    };
    Ok(new.check(0)?)
}
