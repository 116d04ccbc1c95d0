//! A small service that keeps notes in memory: a page for people, JSON and CSV for programs.
//!
//! Open the address it prints in a browser, or follow the README with curl. Exports are background jobs, which need a
//! store: a file in the system's directory for temporary ones, removed when the program ends.

mod csv;
mod draft;
mod export;
mod exports;
mod live;
mod notes;
mod store;

use clap::Parser;
use tempfile::TempDir;
use tideway::jobs::DynJobStore;
use tideway::{App, get};
use tideway_examples::{Place, Serving, healthz, log, page, readyz, serve};

use export::{Export, Files};
use store::Store;

/// Keeps notes in memory and serves them as a page, as JSON and as CSV
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    serving: Serving,
    /// How many notes are kept; one more is refused with 507
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    capacity: usize,
    /// Where export jobs are kept: sqlite:PATH (their files beside it, in PATH.exports), or memory:.
    /// Without it in temporary files that are gone when the program ends
    #[arg(long, value_name = "URL")]
    store: Option<Place>,
    /// Makes exports slow, and fail once, so that progress and retry can be watched
    #[arg(long)]
    rehearse: bool,
}

fn main() -> std::io::Result<()> {
    let cli = Cli::parse();
    log();
    // Removed when `main` returns, after the server has stopped.
    let scratch = tempfile::Builder::new()
        .prefix("tideway-quickstart-")
        .tempdir()?;
    let (jobs, files) = places(&cli, &scratch)?;
    let app = app(
        Store::with_capacity(cli.capacity),
        jobs.open_here(true)?,
        files,
    );
    serve(&cli.serving, app)
}

/// Where jobs are, and where their files are.
fn places(cli: &Cli, scratch: &TempDir) -> std::io::Result<(Place, Files)> {
    let (place, dir) = match &cli.store {
        Some(Place::Sqlite(path)) => {
            let mut dir = path.clone().into_os_string();
            dir.push(".exports");
            (Place::Sqlite(path.clone()), dir.into())
        }
        Some(place) => (place.clone(), scratch.path().to_owned()),
        None => {
            let path = scratch.path().join("jobs.db");
            (Place::Sqlite(path), scratch.path().to_owned())
        }
    };
    Ok((place, Files::in_dir(dir, cli.rehearse)?))
}

fn app(notes: Store, jobs: DynJobStore, files: Files) -> App {
    App::new()
        .provide(notes)
        .provide(files)
        .store(jobs)
        .job::<Export>()
        .worker(export::worker())
        .merge(page(
            include_str!("page.html"),
            include_str!("page.css"),
            include_str!("page.js"),
        ))
        .nest("/notes", notes::routes())
        .nest("/exports", exports::routes())
        .route("/live", get(live::listen))
        .route("/notes.csv", get(csv::export))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
}
