//! The services of an application, by type: dependency injection without a container.
//!
//! What handlers need is collected when the application is built, so that a missing service is
//! found at start, never at the first request.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::jobs::Jobs;

/// Values that handlers and stages share, one per type.
#[derive(Clone, Default)]
pub struct Context {
    values: BTreeMap<TypeId, (Arc<dyn Any + Send + Sync>, &'static str)>,
}

impl Context {
    /// Adds `value`; `false` if a value of this type was there (it is kept).
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) -> bool {
        let mut fresh = false;
        self.values.entry(TypeId::of::<T>()).or_insert_with(|| {
            fresh = true;
            (Arc::new(value), type_name::<T>())
        });
        fresh
    }

    /// The value of type `T`.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.values.get(&TypeId::of::<T>())?.0.downcast_ref()
    }

    pub(crate) fn has(&self, id: TypeId) -> bool {
        self.values.contains_key(&id)
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(self.values.values().map(|v| v.1))
            .finish()
    }
}

/// What an endpoint's extractors need from the [`Context`].
#[derive(Debug, Default)]
pub struct Needs(Vec<(TypeId, &'static str)>);

impl Needs {
    /// Declares that a value of type `T` must have been provided.
    pub fn service<T: Send + Sync + 'static>(&mut self) {
        self.0.push((TypeId::of::<T>(), type_name::<T>()));
    }

    /// What `context` lacks of them, each as the end of a sentence about who needs it.
    pub(crate) fn missing(&self, context: &Context) -> Vec<String> {
        let lacks = self.0.iter().filter(|(id, _)| !context.has(*id));
        let mut missing: Vec<_> = lacks.map(|(id, name)| (*name, *id)).collect();
        missing.sort_unstable();
        missing.dedup();
        let say = |(name, id)| match id {
            // Nobody could provide one.
            id if id == TypeId::of::<Jobs>() => {
                "needs `Jobs`; give the app a job store with `store`".to_owned()
            }
            _ => format!("needs a `{name}`; give the app one with `provide`"),
        };
        missing.into_iter().map(say).collect()
    }
}
