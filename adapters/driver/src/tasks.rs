//! Core's object-safe [`Tasks`], over any [`Runtime`].

use tideway::{BoxFuture, Mono, Now, Tasks};

use crate::Runtime;

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
