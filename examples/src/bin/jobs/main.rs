//! Background jobs from a shell: producer, worker and operator as separate processes over one store.
//!
//! Its kinds of jobs do on purpose what jobs do by mistake (fail, panic, hang, abort the process), and
//! a journal tells from outside what ran when, so that a store or a whole deployment can be judged.

mod enqueue;
mod journal;
mod kinds;
mod look;
mod on;
mod steer;
mod work;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use serde::Serialize;
use tideway::Clock;
use tideway::jobs::{DynJobStore, Jobs, MaxPayload};
use tideway_driver::{Net, Runtime};
use tideway_examples::{Access, On, Place, log};

use on::Program;

/// Enqueues jobs, works them off and looks after them
#[derive(Parser)]
#[command(name = "jobs")]
struct Cli {
    /// Where the jobs are: sqlite:PATH, postgres://HOST/DATABASE, redis://HOST, redis-cluster://HOST,HOST, or
    /// memory: for `run`
    #[arg(long, global = true, value_name = "URL")]
    store: Option<Place>,
    #[command(flatten)]
    access: Access,
    /// The async runtime to use
    #[arg(long, global = true, value_enum, default_value_t = On::Tokio)]
    runtime: On,
    /// Prints JSON for programs, not text for people
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Adds jobs and prints their ids
    Enqueue(enqueue::Enqueue),
    /// Runs jobs until SIGTERM or Ctrl-C: the first drains, the second drops what still runs
    Work(work::Work),
    /// Adds jobs and runs them in this process until all have ended; `--store memory:` unless set
    Run(work::Run),
    /// Counts the jobs by state
    Stats,
    /// Lists jobs
    List(look::List),
    /// Lists the dead jobs and why they died
    Dead,
    /// Runs every dead job again
    RetryDead,
    /// Shows how far each schedule of `work --cron` has come
    Cron,
    /// Lets no worker start jobs of a queue
    Pause(steer::Queue),
    /// Lets workers start jobs of a queue again
    Resume(steer::Queue),
    /// Checks the structure of the store; fails if it is flawed
    Audit,
}

/// What went wrong, for a person.
type Fail = Box<dyn std::error::Error + Send + Sync>;

/// A command under way.
struct Session<R> {
    rt: R,
    place: Place,
    store: DynJobStore,
    jobs: Jobs,
    json: bool,
}

impl<R> Session<R> {
    /// Prints one answer: `json` or `text`.
    fn say(&self, json: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Fail> {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(json)?)?;
        } else {
            writeln!(out, "{}", text())?;
        }
        Ok(out.flush()?)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log();
    let fallback = matches!(cli.command, Command::Run(_)).then_some(Place::Memory);
    let Some(place) = cli.store.clone().or(fallback) else {
        usage("say where the jobs are: --store sqlite:PATH");
    };
    if place == Place::Memory && !matches!(cli.command, Command::Run(_)) {
        usage(
            "the store memory: lives in one process: `run` can use it, other commands need --store sqlite:PATH",
        );
    }
    let runtime = cli.runtime;
    match on::run(runtime, Started { cli, place }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "jobs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ends the program with status 2, as other mistakes in arguments do.
fn usage(what: &str) -> ! {
    Cli::command()
        .error(ErrorKind::ValueValidation, what)
        .exit()
}

struct Started {
    cli: Cli,
    place: Place,
}

impl Program for Started {
    async fn run<R: Runtime>(self, rt: R) -> Result<(), Fail> {
        let Self { cli, place } = self;
        let makes = matches!(
            cli.command,
            Command::Enqueue(_) | Command::Work(_) | Command::Run(_)
        );
        let store = place.open(Net::of(rt.clone()), &cli.access, makes).await?;
        let clock = Clock::new(tideway_driver::tasks(rt.clone()));
        let jobs = Jobs::new(store.clone(), clock, &rt.seed(), MaxPayload::default());
        let session = Session {
            rt,
            place,
            store,
            jobs,
            json: cli.json,
        };
        match cli.command {
            Command::Enqueue(enqueue) => enqueue.run(&session).await,
            Command::Work(work) => work.run(&session).await,
            Command::Run(run) => run.run(&session).await,
            Command::Stats => look::stats(&session).await,
            Command::List(list) => list.run(&session).await,
            Command::Dead => look::dead(&session).await,
            Command::RetryDead => steer::retry_dead(&session).await,
            Command::Cron => look::cron(&session).await,
            Command::Pause(queue) => queue.pause(&session).await,
            Command::Resume(queue) => queue.resume(&session).await,
            Command::Audit => look::audit(&session).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_contradict_nothing() {
        Cli::command().debug_assert();
    }
}
