//! Core's object-safe [`Tasks`], over any [`Runtime`].

use std::sync::Arc;

use tideway::{BoxFuture, Mono, Now, Tasks};

use crate::Runtime;

/// The runtime as handlers see it: for a [`Clock`](tideway::Clock) or [`Jobs`](tideway::jobs::Jobs) outside of
/// an app.
pub fn tasks<R: Runtime>(rt: R) -> Arc<dyn Tasks> {
    Arc::new(RuntimeTasks(rt))
}

/// A runtime as handlers see it.
pub(crate) struct RuntimeTasks<R>(pub(crate) R);

impl<R: Runtime> Tasks for RuntimeTasks<R> {
    fn now(&self) -> Now {
        self.0.now()
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        Box::pin(self.0.sleep_until(at))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.spawn(task);
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        let blocking = self.0.clone();
        self.0.spawn(async move { blocking.blocking(work).await });
    }
}
