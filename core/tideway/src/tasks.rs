//! What a handler may ask of the runtime it does not know: the time, a sleep, a task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tideway_engine::{Mono, Now};

use crate::ws::{ConnectError, Dial};

/// A boxed, sendable future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The runtime behind core's back, object-safe. The driver implements it once for every runtime,
/// the tests and the simulator implement it with virtual time.
pub trait Tasks: Send + Sync + 'static {
    /// Both clocks, read now.
    fn now(&self) -> Now;
    /// Completes at `at`, or at once if that has passed.
    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()>;
    /// Runs `task` in the background; it is never awaited, and dropped when the runtime ends.
    fn spawn(&self, task: BoxFuture<'static, ()>);
    /// Runs `work` on a thread that may block.
    fn run(&self, work: Box<dyn FnOnce() + Send>);
    /// Connects a WebSocket, and drives it to its end in the background. Where there is no network, as by default, it is
    /// refused.
    fn dial(&self, dial: Dial) {
        dial.fail(ConnectError::NoNetwork);
    }
}

/// The clock of whichever runtime serves this request; an extractor.
#[derive(Clone)]
pub struct Clock(pub(crate) Arc<dyn Tasks>);

impl Clock {
    /// A clock over `tasks`.
    #[must_use]
    pub fn new(tasks: Arc<dyn Tasks>) -> Self {
        Self(tasks)
    }

    /// Both clocks, read now.
    #[must_use]
    pub fn now(&self) -> Now {
        self.0.now()
    }

    /// Completes after `duration`.
    pub fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep_until(self.0.now().mono.plus(duration))
    }

    /// Completes at `at`, or at once if that has passed.
    pub fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        self.0.sleep_until(at)
    }

    /// The tasks of the same runtime.
    #[must_use]
    pub fn tasks(&self) -> &Arc<dyn Tasks> {
        &self.0
    }
}

impl AsRef<dyn Tasks> for Clock {
    fn as_ref(&self) -> &(dyn Tasks + 'static) {
        &*self.0
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}
