//! Hello, world on a runtime that Tideway has never heard of; the runtime is in `src/own_runtime.rs`.

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tideway::{App, get};
use tideway_driver::{Report, Server, Stop, config};
use tideway_examples::own_runtime::{Own, block_on};
use tideway_examples::{At, announce};

/// Answers GET / on a runtime of its own.
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    at: At,
}

async fn hello() -> &'static str {
    "Hello from a runtime of our own!\n"
}

fn main() -> std::io::Result<()> {
    let mut config = config(|name| std::env::var(name).ok())?;
    if let Some(listen) = Cli::parse().at.listen {
        config.listen = listen;
    }
    let bound = config.listen.bind()?;
    let ready = announce(&config.listen);
    let stop = Stop::new();
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let asked = stop.clone();
    // The first signal drains, the second cuts.
    std::thread::spawn(move || signals.forever().for_each(|_| asked.stop()));
    let (tell, told) = std::sync::mpsc::channel();
    block_on(Box::pin(async move {
        let app = App::new().route("/", get(hello));
        let server = Server::new(Own::current(), app).options(config.options);
        let served = server.stop(stop).on_ready(ready).on(bound).await;
        let _ = tell.send(served);
    }));
    let served = told.recv().map_err(std::io::Error::other)?;
    served.and_then(Report::into_result)
}
