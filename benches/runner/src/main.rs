//! The benchmark's runner: builds the servers, starts one at a time on its own core, drives it
//! from another and writes Markdown to standard output; progress goes to standard error. `jobs` does
//! the like for job queues, which need no driving; `jobs-redis` and `jobs-postgres` for those on a server; `ws` drives
//! WebSocket servers.
//!
//! It sends traffic to 127.0.0.1 only, and every run has an end.

mod build;
mod client;
mod endpoint;
mod jobs;
mod load;
mod machine;
mod measure;
mod options;
mod peer;
mod report;
mod served;
mod server;
mod sockets;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    let outcome = if words.next_if_eq("jobs").is_some() {
        jobs::main(words)
    } else if words.next_if_eq("jobs-redis").is_some() {
        served::main(served::Store::Redis, words)
    } else if words.next_if_eq("jobs-postgres").is_some() {
        served::main(served::Store::Postgres, words)
    } else if words.next_if_eq("ws").is_some() {
        sockets::main(words)
    } else {
        options::parse(words).and_then(|options| run(&options))
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

/// Every fallible step says what failed in words; nobody matches on the cause.
type Outcome<T> = Result<T, String>;

fn run(options: &options::Options) -> Outcome<()> {
    machine::prepare()?;
    let results = measure::all(options)?;
    report::print(options, &results);
    Ok(())
}
