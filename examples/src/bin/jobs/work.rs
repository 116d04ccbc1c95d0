//! `work` and `run`: a worker until it is asked to stop, or until nothing is left to do.

use std::path::PathBuf;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures_util::future::{Either, join, select};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tideway::App;
use tideway::jobs::Cron;
use tideway::jobs::cron::Schedule;
use tideway::jobs::pool::{PoolConfig, PoolReport};
use tideway_driver::{Phase, Runtime, Server, Stop};

use crate::enqueue::{Batch, seconds};
use crate::journal::Journal;
use crate::kinds::{self, Fine};
use crate::look;
use crate::{Fail, Session};

/// How jobs are run.
#[derive(Args, Clone, Debug)]
struct Settings {
    /// How many jobs run at once
    #[arg(long, value_name = "N", default_value_t = 16)]
    slots: u32,
    /// How long a stop waits for jobs before it asks them to stop; 20 s, or the hard limit if that is less
    #[arg(long, value_name = "S", value_parser = seconds)]
    soft: Option<Duration>,
    /// How long a stop waits, from its begin, before it drops them and gives them back; 30 s, or the soft
    /// limit if that is more
    #[arg(long, value_name = "S", value_parser = seconds)]
    hard: Option<Duration>,
    /// How long after its death a worker's jobs are taken over
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "30")]
    lease: Duration,
    /// Appends one JSON line per start and finish of a job
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Enqueues an ok job at every slot of this schedule: five fields, or six with the second first;
    /// may be repeated
    #[arg(long, value_name = "EXPR")]
    cron: Vec<Crontab>,
    /// The revision of the schedules, raised by one with every change of them
    #[arg(long, value_name = "N", default_value_t = 0)]
    cron_rev: u32,
    /// What becomes of slots that passed while no worker ran
    #[arg(long, value_enum, default_value_t = Missed::Skip)]
    missed: Missed,
}

/// What becomes of slots that passed while no worker ran.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Missed {
    /// They never run.
    Skip,
    /// The newest runs for all of them.
    Once,
    /// Each runs; of more than 100 the newest.
    All,
}

/// A schedule as it is written.
#[derive(Clone, Debug)]
struct Crontab(Schedule);

impl FromStr for Crontab {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = match text.split_whitespace().count() {
            6 => Schedule::with_seconds(text),
            _ => Schedule::parse(text),
        };
        read.map(Self).map_err(|error| error.to_string())
    }
}

/// The name of the n-th schedule in the store, from 1.
pub(crate) fn cron_key(n: usize) -> String {
    format!("cron-{n}")
}

impl Settings {
    /// Checked here, before anybody is told that the worker is ready.
    fn pool(&self) -> Result<PoolConfig, Fail> {
        let usual = PoolConfig::default();
        let hard = self
            .hard
            .unwrap_or_else(|| usual.hard.max(self.soft.unwrap_or_default()));
        let pool = PoolConfig {
            slots: self.slots,
            lease: self.lease,
            soft: self.soft.unwrap_or(usual.soft.min(hard)),
            hard,
            ..usual
        };
        pool.check()?;
        Ok(pool)
    }

    fn app<R>(&self, session: &Session<R>) -> Result<App, Fail> {
        use tideway::jobs::cron;
        let journal = self.journal.as_deref().map(Journal::open).transpose()?;
        let mut app = kinds::app(journal.unwrap_or_default())
            .store(session.store.clone())
            .worker(self.pool()?);
        for (at, Crontab(schedule)) in self.cron.iter().enumerate() {
            let missed = match self.missed {
                Missed::Skip => cron::Missed::Skip,
                Missed::Once => cron::Missed::RunOnce,
                Missed::All => cron::Missed::All(cron::MAX_AT_ONCE),
            };
            let cron = Cron::new(cron_key(at + 1), Ok(schedule.clone()), Fine { ms: 0 });
            app = app.cron(cron.rev(self.cron_rev).missed(missed));
        }
        Ok(app)
    }
}

/// A stop at every SIGTERM and Ctrl-C: the first drains, the second drops what still runs.
fn signals() -> Result<Stop, Fail> {
    let stop = Stop::new();
    let asked = stop.clone();
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::spawn(move || signals.forever().for_each(|_| asked.stop()));
    Ok(stop)
}

/// The command `work`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Work {
    #[command(flatten)]
    settings: Settings,
}

impl Work {
    pub(crate) async fn run<R: Runtime>(self, session: &Session<R>) -> Result<(), Fail> {
        let app = self.settings.app(session)?;
        let stop = signals()?;
        let (slots, store) = (self.settings.slots, session.place.to_string());
        session.say(
            &json!({ "event": "ready", "slots": slots, "store": store, "pid": std::process::id() }),
            || format!("working with {slots} slots on {store}"),
        )?;
        let server = Server::new(session.rt.clone(), app).stop(stop);
        let report = server.work().await?;
        let PoolReport {
            started,
            released,
            abandoned,
            ..
        } = report;
        session.say(
            &json!({ "event": "stopped", "started": started, "released": released, "abandoned": abandoned }),
            || format!("stopped: {started} started, {released} given back, {abandoned} left to their leases"),
        )
    }
}

/// The command `run`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    batch: Batch,
    #[command(flatten)]
    settings: Settings,
}

impl Run {
    pub(crate) async fn run<R: Runtime>(self, session: &Session<R>) -> Result<(), Fail> {
        if !self.settings.cron.is_empty() {
            return Err("a schedule has no end: use `work` for --cron".into());
        }
        let app = self.settings.app(session)?;
        let stop = signals()?;
        let added = self.batch.add(&session.jobs).await?;
        added.whole()?;
        let server = Server::new(session.rt.clone(), app).stop(stop.clone());
        let drained = async {
            let drained = drained(session, &stop).await;
            stop.stop();
            drained
        };
        let (worked, drained) = join(server.work(), drained).await;
        worked?;
        drained?;
        let counts = look::counts(session).await?;
        session.say(&counts, || format!("{}\n{counts}", added.text()))?;
        match counts.open() {
            0 => Ok(()),
            left => Err(format!("stopped before the end: {left} jobs are left").into()),
        }
    }
}

/// Waits until every job has ended, or the stop has begun.
async fn drained<R: Runtime>(session: &Session<R>, stop: &Stop) -> Result<(), Fail> {
    const LOOK: Duration = Duration::from_millis(20);
    while look::counts(session).await?.open() > 0 {
        let pause = session.rt.sleep_until(session.rt.now().mono.plus(LOOK));
        let stopped = std::pin::pin!(stop.reached(Phase::Draining));
        if let Either::Right(_) = select(std::pin::pin!(pause), stopped).await {
            break;
        }
    }
    Ok(())
}
