//! A small service that keeps notes in memory: a page for people, JSON and CSV for programs.
//!
//! Open the address it prints in a browser, or follow the README with curl.

mod csv;
mod draft;
mod notes;
mod page;
mod store;

use clap::Parser;
use tideway::{App, get};
use tideway_examples::{Serving, healthz, log, readyz, serve};

use store::Store;

/// Keeps notes in memory and serves them as a page, as JSON and as CSV
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    serving: Serving,
    /// How many notes are kept; one more is refused with 507
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    capacity: usize,
}

fn main() -> std::io::Result<()> {
    let cli = Cli::parse();
    log();
    serve(&cli.serving, app(Store::with_capacity(cli.capacity)))
}

fn app(store: Store) -> App {
    App::new()
        .provide(store)
        .merge(page::routes())
        .nest("/notes", notes::routes())
        .route("/notes.csv", get(csv::export))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
}
