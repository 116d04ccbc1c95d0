//! Tideway on tokio: sockets, sleeps, clocks, signals and entropy of either flavour of its runtime.
//! No HTTP and no policy lives here; both are the driver's. The feature `http2`, on by default, serves HTTP/2 on the
//! port of HTTP/1.1.
//!
//! ```no_run
//! # fn app() -> tideway::App { unreachable!() }
//! fn main() -> std::io::Result<()> {
//!     tideway_tokio::run(app())
//! }
//! ```

mod listener;
mod runtime;
mod sleep;
mod stream;

use std::io;

use tideway::{App, Peer};
use tideway_driver::{Config, Server, Stop, config};
use tokio::signal::unix::{SignalKind, signal};

pub use listener::TokioListener;
pub use runtime::Tokio;
pub use sleep::TokioSleep;
pub use stream::TokioStream;

/// Serves `app` on a multi-threaded runtime of its own, until SIGTERM or SIGINT.
///
/// The address and the limits come from the environment (`TIDEWAY_LISTEN` and its relatives). The
/// first signal drains, the second cuts. Work still blocking a thread when the server has stopped
/// is left behind, not waited for.
///
/// # Errors
///
/// A wrong setting, an address that cannot be bound, a runtime that cannot start, or a stop that had
/// to cut requests ([`tideway_driver::Report::into_result`]).
pub fn run(app: App) -> io::Result<()> {
    let config = config(|name| std::env::var(name).ok())?;
    let ready = |at| tracing::info!(target: "tideway", %at, "listening");
    run_with(app, config, ready)
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
    let on = config.listen.bind()?;
    let report = until_signals(|stop| {
        let server = serve(app).options(config.options).stop(stop);
        server.on_ready(ready).on(on)
    })?;
    report.into_result()
}

/// Only runs the jobs of `app`, on a multi-threaded runtime of its own, until SIGTERM or SIGINT: the first
/// drains, the second drops what still runs.
///
/// # Errors
///
/// The app cannot be built or has no job store, or the runtime cannot start.
pub fn work(app: App) -> io::Result<()> {
    until_signals(|stop| serve(app).stop(stop).work()).map(drop)
}

/// Runs what `served` makes on a runtime of its own, and stops it at each signal.
fn until_signals<T, F>(served: impl FnOnce(Stop) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let runtime = tokio::runtime::Runtime::new()?;
    let served = runtime.block_on(async {
        let stop = Stop::new();
        // Installed before anything is served, so that no signal is lost.
        watch(SignalKind::terminate(), stop.clone())?;
        watch(SignalKind::interrupt(), stop.clone())?;
        served(stop).await
    });
    runtime.shutdown_background();
    served
}

/// A server on the runtime that is running already; no signals, no environment.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn serve(app: App) -> Server<Tokio> {
    Server::new(Tokio::current(), app)
}

/// Stops at each signal of a kind, until the runtime ends.
fn watch(kind: SignalKind, stop: Stop) -> io::Result<()> {
    let mut signals = signal(kind)?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            tracing::info!(target: "tideway", signal = kind.as_raw_value(), "asked to stop");
            stop.stop();
        }
    });
    Ok(())
}
