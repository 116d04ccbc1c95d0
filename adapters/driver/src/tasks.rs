//! Core's object-safe [`Tasks`], over any [`Runtime`].

use std::sync::Arc;

use tideway::ws::Dial;
use tideway::{BoxFuture, Mono, Now, Tasks};

use crate::Runtime;
use crate::dial::Dials;

/// The runtime as handlers see it: for a [`Clock`](tideway::Clock), [`Jobs`](tideway::jobs::Jobs) or a
/// [WebSocket to a server](tideway::ws::connect) outside of an app.
pub fn tasks<R: Runtime>(rt: R) -> Arc<dyn Tasks> {
    Arc::new(RuntimeTasks {
        rt,
        dials: Dials::default(),
    })
}

/// A runtime as handlers see it.
pub(crate) struct RuntimeTasks<R> {
    pub(crate) rt: R,
    pub(crate) dials: Dials,
}

impl<R: Runtime> Tasks for RuntimeTasks<R> {
    fn now(&self) -> Now {
        self.rt.now()
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        Box::pin(self.rt.sleep_until(at))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.rt.spawn(task);
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        let blocking = self.rt.clone();
        self.rt.spawn(async move { blocking.blocking(work).await });
    }

    fn dial(&self, dial: Dial) {
        self.dials.dial(&self.rt, dial);
    }
}
