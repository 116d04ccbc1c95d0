//! Tideway on tokio: sockets, sleeps, clocks, signals and entropy of either flavour of its runtime.
//! No HTTP and no policy lives here; both are the driver's.
//!
//! ```no_run
//! # fn app() -> tideway::App { unreachable!() }
//! fn main() -> std::io::Result<()> {
//!     tideway_tokio::run(app())
//! }
//! ```

mod clock;
mod listener;
mod runtime;
mod sleep;
mod stream;

use std::io;

use tideway::App;
use tideway_driver::{Server, Stop, config};
use tokio::signal::unix::{Signal, SignalKind, signal};

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
/// A wrong setting, an address that cannot be bound, or a runtime that cannot start.
pub fn run(app: App) -> io::Result<()> {
    let config = config(|name| std::env::var(name).ok()).map_err(io::Error::other)?;
    let on = config.listen.bind()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let stop = Stop::new();
        // Installed before anything is served, so that no signal is lost.
        let signals = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let watch = tokio::spawn(stop_on(signals, stop.clone()));
        let served = serve(app).options(config.options).stop(stop).on(on).await;
        watch.abort();
        served
    });
    runtime.shutdown_background();
    served.map(drop)
}

/// A server on the runtime that is running already; no signals, no environment.
///
/// # Panics
///
/// Outside a tokio runtime.
#[must_use]
pub fn serve(app: App) -> Server<Tokio> {
    Server::new(Tokio::current(), app)
}

async fn stop_on((mut terminate, mut interrupt): (Signal, Signal), stop: Stop) {
    loop {
        let name = std::future::poll_fn(|cx| {
            if terminate.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready("SIGTERM");
            }
            interrupt.poll_recv(cx).map(|_| "SIGINT")
        })
        .await;
        tracing::info!(signal = name, "asked to stop");
        stop.stop();
    }
}
