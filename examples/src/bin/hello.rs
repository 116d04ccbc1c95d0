//! Hello, world on a runtime chosen at start: the app does not know which.

use clap::Parser;
use tideway::{App, get};
use tideway_examples::{Serving, serve};

/// Answers GET / with a greeting.
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    serving: Serving,
}

async fn hello() -> &'static str {
    "Hello, world!\n"
}

fn main() -> std::io::Result<()> {
    let cli = Cli::parse();
    serve(&cli.serving, App::new().route("/", get(hello)))
}
