//! A whole program: settings from the environment, a server, and the two signals that stop it.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::Poll;

use async_signal::{Signal, Signals};
use futures_core::Stream;
use tideway::{App, Peer};
use tideway_driver::{Config, Runtime, Server, Stop, config};

/// Serves `app` until SIGTERM or SIGINT; the body of an adapter's `run`.
///
/// The address and the limits come from the environment (`TIDEWAY_LISTEN` and its relatives). The
/// first signal drains, the second cuts.
///
/// # Errors
///
/// A wrong setting, an address that cannot be bound, signals that cannot be watched, or a stop that
/// had to cut requests ([`tideway_driver::Report::into_result`]).
pub async fn run(rt: impl Runtime, app: App) -> io::Result<()> {
    let config = config(|name| std::env::var(name).ok())?;
    let ready = |at| tracing::info!(target: "tideway", %at, "listening");
    run_with(rt, app, config, ready).await
}

/// As [`run`], with settings of the caller's; the body of an adapter's `run_with`.
///
/// # Errors
///
/// As [`run`], the settings apart.
pub async fn run_with(
    rt: impl Runtime,
    app: App,
    config: Config,
    ready: impl FnOnce(Peer) + Send + 'static,
) -> io::Result<()> {
    let on = config.listen.bind()?;
    let stop = Stop::new();
    let server = Server::new(rt, app).options(config.options).on_ready(ready);
    let report = until_signals(&stop, server.stop(stop.clone()).on(on)).await?;
    report.into_result()
}

/// Only runs the jobs of `app`, until SIGTERM or SIGINT; the body of an adapter's `work`.
///
/// The first signal drains, the second drops what still runs.
///
/// # Errors
///
/// The app cannot be built or has no job store, or signals cannot be watched.
pub async fn work(rt: impl Runtime, app: App) -> io::Result<()> {
    let stop = Stop::new();
    let worker = Server::new(rt, app).stop(stop.clone()).work();
    until_signals(&stop, worker).await.map(drop)
}

/// Runs `served`, and stops it at each signal.
async fn until_signals<T>(
    stop: &Stop,
    served: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    // Installed before anything is served, so that no signal is lost.
    let mut signals = pin!(Signals::new([Signal::Term, Signal::Int])?);
    let mut served = pin!(served);
    std::future::poll_fn(|cx| {
        while let Poll::Ready(Some(signal)) = signals.as_mut().poll_next(cx)? {
            tracing::info!(target: "tideway", ?signal, "asked to stop");
            stop.stop();
        }
        served.as_mut().poll(cx)
    })
    .await
}
