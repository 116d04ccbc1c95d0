//! What the example programs share: their arguments, the start of a server, a log.
//!
//! Programs of your own need none of this: `tideway_tokio::run(app)` is a whole `main`.

mod broker;
pub mod custom_store;
pub mod own_runtime;
mod page;
mod place;

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use tideway::extract::Readiness;
use tideway::http::StatusCode;
use tideway::{App, Peer};
use tideway_driver::{Listen, config};
use tracing_subscriber::EnvFilter;

pub use broker::Broker;
pub use page::page;
pub use place::{Access, Place};

/// The runtime and the address: arguments of every program.
#[derive(Args, Clone, Debug)]
pub struct Serving {
    /// The async runtime to serve on
    #[arg(long, value_enum, default_value_t = On::Tokio)]
    pub runtime: On,
    /// The address to serve at.
    #[command(flatten)]
    pub at: At,
}

/// The address.
#[derive(Args, Clone, Debug)]
pub struct At {
    /// Where to listen: ADDRESS:PORT (port 0 takes a free one) or unix:PATH.
    /// Without it TIDEWAY_LISTEN says where, else 127.0.0.1:8080
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<Listen>,
}

/// The runtimes that Tideway has an adapter for.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[non_exhaustive]
pub enum On {
    /// tokio, many threads.
    Tokio,
    /// async-std, many threads; deprecated upstream in favour of smol.
    AsyncStd,
    /// smol, one thread unless `SMOL_THREADS` says otherwise.
    Smol,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// Serves `app` as the arguments say, until SIGTERM or Ctrl-C. When connections are taken it prints
/// one line to standard output, `listening on http://ADDRESS`.
///
/// # Errors
///
/// A wrong setting, an address that cannot be bound, an app that cannot be built, or a stop that had
/// to cut requests.
pub fn serve(args: &Serving, app: App) -> io::Result<()> {
    let mut config = config(|name| std::env::var(name).ok())?;
    if let Some(listen) = &args.at.listen {
        config.listen = listen.clone();
    }
    let ready = announce(&config.listen);
    match args.runtime {
        On::Tokio => tideway_tokio::run_with(app, config, ready),
        On::AsyncStd => tideway_async_std::run_with(app, config, ready),
        On::Smol => tideway_smol::run_with(app, config, ready),
    }
}

/// Prints the line that people and tests wait for.
pub fn announce(on: &Listen) -> impl FnOnce(Peer) + Send + 'static {
    let on = on.to_string();
    move |at| {
        let mut out = io::stdout().lock();
        // A reader that has gone is no reason not to serve.
        let _ = match at {
            Peer::Tcp(addr) => writeln!(out, "listening on http://{addr}"),
            _ => writeln!(out, "listening on {on}"),
        };
        let _ = out.flush();
    }
}

/// Logs to standard error what `RUST_LOG` asks for, by default `info`.
pub fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
}

/// `GET /healthz`: the process answers.
pub fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: 503 from the moment a stop begins.
pub fn readyz(Readiness(ready): Readiness) -> (StatusCode, &'static str) {
    if ready {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    }
}

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
