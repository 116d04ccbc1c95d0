//! Tideway on async-std, with as many threads as cores unless `ASYNC_STD_THREAD_COUNT` says
//! otherwise. Sockets and sleeps are async-io's and live in `tideway-async-io`.
//!
//! async-std is deprecated upstream in favour of smol (RUSTSEC-2025-0052). This adapter is for
//! programs that already use it; new ones are better served by `tideway-smol`, which is the same
//! but for the executor.
//!
//! The feature `http2`, off by default, serves HTTP/2 on the port of HTTP/1.1; without it nothing of tokio but its
//! channels is compiled.
//!
//! ```no_run
//! # fn app() -> tideway::App { unreachable!() }
//! fn main() -> std::io::Result<()> {
//!     tideway_async_std::run(app())
//! }
//! ```

use std::future::Future;
use std::io;

use tideway::{App, Peer};
use tideway_async_io::{AsyncIo, Executor};
use tideway_driver::{Config, Server};

/// async-std as a runtime for the driver.
pub type AsyncStd = AsyncIo<Global>;

/// async-std's global executor: `async_std::task::spawn`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Global;

impl Executor for Global {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(async_std::task::spawn(task));
    }
}

/// Serves `app` until SIGTERM or SIGINT.
///
/// The address and the limits come from the environment (`TIDEWAY_LISTEN` and its relatives). The
/// first signal drains, the second cuts.
///
/// # Errors
///
/// A wrong setting, an address that cannot be bound, signals that cannot be watched, or a stop that
/// had to cut requests ([`tideway_driver::Report::into_result`]).
pub fn run(app: App) -> io::Result<()> {
    async_std::task::block_on(tideway_async_io::run(AsyncStd::default(), app))
}

/// As [`run`], with settings of the caller's; `ready` is called with the address once connections
/// are taken.
///
/// # Errors
///
/// As [`run`], the settings apart.
pub fn run_with(
    app: App,
    config: Config,
    ready: impl FnOnce(Peer) + Send + 'static,
) -> io::Result<()> {
    let served = tideway_async_io::run_with(AsyncStd::default(), app, config, ready);
    async_std::task::block_on(served)
}

/// Only runs the jobs of `app`, until SIGTERM or SIGINT: the first drains, the second drops what still runs.
///
/// # Errors
///
/// The app cannot be built or has no job store.
pub fn work(app: App) -> io::Result<()> {
    async_std::task::block_on(tideway_async_io::work(AsyncStd::default(), app))
}

/// A server for a program with a `task::block_on` of its own; no signals, no environment.
pub fn serve(app: App) -> Server<AsyncStd> {
    Server::new(AsyncStd::default(), app)
}
