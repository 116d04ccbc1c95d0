//! Rooms to talk in, with who is there, who is typing, and the last 50 messages. Open the address it prints in two tabs.

mod history;
mod page;
mod talk;
mod words;

use clap::Parser;
use tideway::{App, get};
use tideway_examples::{Serving, healthz, log, readyz, serve};

use history::Histories;
use talk::Announcer;

/// A chat for browsers: rooms, presence, typing, and the last 50 messages
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    serving: Serving,
}

fn main() -> std::io::Result<()> {
    let cli = Cli::parse();
    log();
    serve(&cli.serving, app())
}

fn app() -> App {
    App::new()
        .provide(Histories::default())
        .room_events(Announcer)
        .merge(page::routes())
        .route("/rooms/{room}", get(talk::open))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
}
