//! Tideway on tokio: sockets, sleeps, clocks, signals and entropy of either flavour of its runtime.
//! No HTTP and no policy lives here; both are the driver's.
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
use tideway_driver::{Config, Report, Server, Stop, config};
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
/// to cut requests ([`Report::into_result`]).
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
    let runtime = tokio::runtime::Runtime::new()?;
    let served = runtime.block_on(async {
        let stop = Stop::new();
        // Installed before anything is served, so that no signal is lost.
        watch(SignalKind::terminate(), stop.clone())?;
        watch(SignalKind::interrupt(), stop.clone())?;
        let server = serve(app).options(config.options).stop(stop);
        server.on_ready(ready).on(on).await
    });
    runtime.shutdown_background();
    served.and_then(Report::into_result)
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
