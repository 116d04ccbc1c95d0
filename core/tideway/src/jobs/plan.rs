//! What an app was told about jobs, until it is built: mistakes are collected, not reported one by one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::sync::Arc;

use tideway_engine::Seed;
use tideway_engine::jobs::{Id, Name, NewJob, Spec, Start, WaitFailed, shard_of};

use super::kinds::{Kind, Kinds, Runner};
use super::{DynJobStore, Job, Jobs, MaxPayload};
use crate::Clock;
use crate::context::Context;

/// The jobs of an app in the making.
#[derive(Default)]
pub(crate) struct Plan {
    store: Option<DynJobStore>,
    seed: Option<Seed>,
    runners: BTreeMap<Name, Arc<dyn Runner>>,
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
        let kind = match Name::new(T::NAME) {
            Ok(kind) => kind,
            Err(error) => return self.wrong::<T>(&format!("`NAME`: {error}")),
        };
        if let Err(error) = check::<T>(&kind) {
            self.wrong::<T>(&error);
        }
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
            errors.extend(runner.missing(context).into_iter().map(|missing| {
                format!("the job `{name}` needs a `{missing}`; give the app one with `provide`")
            }));
        }
        if let Some(jobs) = store {
            context.insert(Arc::new(Kinds::new(self.runners, jobs)));
        }
    }
}

/// Whether a job of the kind could be enqueued, as far as its type alone can tell.
fn check<T: Job>(kind: &Name) -> Result<(), String> {
    let queue = Name::new(T::QUEUE).map_err(|error| format!("`QUEUE`: {error}"))?;
    let retry = T::retry();
    retry.check().map_err(|error| format!("`retry`: {error}"))?;
    let id = Id::from_u128(u128::from(shard_of(&queue)) << 50);
    let spec = Spec {
        id,
        queue,
        kind: kind.clone(),
        band: T::BAND,
        retry,
        strikes: T::STRIKES,
        timeout: T::TIMEOUT,
        expiry: T::EXPIRY,
        unique: None,
        group: None,
        waits: Vec::new(),
        wait_failed: WaitFailed::default(),
        keep: T::keep(),
        headers: Vec::new(),
    };
    let new = NewJob {
        spec: Arc::new(spec),
        payload: bytes::Bytes::new(),
        start: Start::Now,
    };
    new.check(0).map_err(|error| error.to_string())
}
