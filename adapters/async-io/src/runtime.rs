//! What the driver asks of a runtime, answered by async-io and somebody's executor.

use std::future::Future;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};

use async_io::Async;
use tideway::{Mono, Now, Seed};
use tideway_driver::{Bound, Runtime, clock};

use crate::listener::AsyncListener;
use crate::sleep::AsyncSleep;
use crate::stream::AsyncStream;

/// Where tasks run: the one thing async-io leaves open.
pub trait Executor: Clone + Send + Sync + 'static {
    /// Runs `task` to its end in the background, whatever becomes of the caller.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// A runtime made of async-io's reactor, the `blocking` thread pool and an executor.
///
/// All of a process share one monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncIo<E>(E);

impl<E: Executor> AsyncIo<E> {
    /// A runtime that spawns on `executor`.
    #[must_use]
    pub fn new(executor: E) -> Self {
        Self(executor)
    }
}

impl<E: Executor> Runtime for AsyncIo<E> {
    type Stream = AsyncStream;
    type Listener = AsyncListener;
    type Sleep = AsyncSleep;

    fn now(&self) -> Now {
        clock::now()
    }

    fn seed(&self) -> Seed {
        let mut seed = Seed([0; 32]);
        getrandom::fill(&mut seed.0).expect("the operating system has entropy");
        seed
    }

    fn sleep_until(&self, at: Mono) -> AsyncSleep {
        AsyncSleep::new(at)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        blocking::unblock(work)
    }

    fn listen(&self, on: Bound) -> io::Result<AsyncListener> {
        AsyncListener::new(on)
    }

    async fn connect(&self, host: &str, port: u16) -> io::Result<AsyncStream> {
        let name = (host.to_owned(), port);
        let found = blocking::unblock(move || name.to_socket_addrs()).await?;
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for addr in found {
            match Async::<TcpStream>::connect(addr).await {
                Ok(stream) => return Ok(stream.into()),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}
