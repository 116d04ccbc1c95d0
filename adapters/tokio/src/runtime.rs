//! What the driver asks of a runtime, answered by tokio.

use std::future::Future;
use std::io;

use tideway::{Mono, Now, Seed};
use tideway_driver::{Bound, Runtime, clock};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::listener::TokioListener;
use crate::sleep::TokioSleep;
use crate::stream::TokioStream;

/// A handle to a tokio runtime of either flavour, with its IO and time enabled.
///
/// Clones are handles to the same runtime; all of a process share one monotonic clock.
#[derive(Clone, Debug)]
pub struct Tokio {
    handle: Handle,
}

impl Tokio {
    /// The runtime this is called on.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn current() -> Self {
        Self::new(Handle::current())
    }

    /// The runtime behind `handle`.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }
}

impl Runtime for Tokio {
    type Stream = TokioStream;
    type Listener = TokioListener;
    type Sleep = TokioSleep;

    fn now(&self) -> Now {
        clock::now()
    }

    fn seed(&self) -> Seed {
        let mut seed = Seed([0; 32]);
        getrandom::fill(&mut seed.0).expect("the operating system has entropy");
        seed
    }

    fn sleep_until(&self, at: Mono) -> TokioSleep {
        let _context = self.handle.enter();
        TokioSleep::new(at)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(task));
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match self.handle.spawn_blocking(work).await {
            Ok(value) => value,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that is shutting down cancels; nobody is left to be told.
                Err(_) => std::future::pending().await,
            },
        }
    }

    fn listen(&self, on: Bound) -> io::Result<TokioListener> {
        let _context = self.handle.enter();
        TokioListener::new(on)
    }

    async fn connect(&self, host: &str, port: u16) -> io::Result<TokioStream> {
        Ok(TcpStream::connect((host, port)).await?.into())
    }
}
