//! Rooms to talk in, with who is there, who is typing, and the last 50 messages. Open the address it prints in two tabs.

mod history;
mod talk;
mod words;

use clap::Parser;
use tideway::ws::{Channels, HubConfig, Reach, Rules};
use tideway::{App, get};
use tideway_examples::{Broker, Serving, healthz, log, page, readyz, serve};

use history::Histories;
use talk::Announcer;

/// A chat for browsers: rooms, presence, typing, and the last 50 messages
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    serving: Serving,
    /// The broker by which several nodes share their rooms: redis://HOST:PORT. Without it each node has its own
    #[arg(long, value_name = "URL")]
    pubsub: Option<Broker>,
}

fn main() -> std::io::Result<()> {
    let cli = Cli::parse();
    log();
    let mut app = app();
    if let Some(broker) = &cli.pubsub {
        app = app.hub(shared()?).pubsub(broker.open(cli.serving.runtime)?);
    }
    serve(&cli.serving, app)
}

/// Rooms that reach all nodes.
fn shared() -> std::io::Result<HubConfig> {
    Ok(HubConfig {
        rules: Rules {
            reach: Reach::Cluster,
            ..Rules::default()
        },
        channels: Channels::new("tideway-chat").map_err(std::io::Error::other)?,
        ..HubConfig::default()
    })
}

fn app() -> App {
    App::new()
        .provide(Histories::default())
        .room_events(Announcer)
        .merge(page(
            include_str!("page.html"),
            include_str!("page.css"),
            include_str!("page.js"),
        ))
        .route("/rooms/{room}", get(talk::open))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
}
