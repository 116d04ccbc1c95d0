//! What looks and changes nothing: `stats`, `list`, `dead`, `cron`, `audit`.

use std::fmt::{self, Write as _};

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use tideway::Wall;
use tideway::jobs::call::{Cursor, Filter};
use tideway::jobs::{JobStore as _, Name, Record, State};

use crate::work::cron_key;
use crate::{Fail, Session};

/// All queues together. Jobs that wait for others count as pending.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Counts {
    pending: u64,
    running: u64,
    succeeded: u64,
    dead: u64,
    cancelled: u64,
}

impl Counts {
    /// How many have not ended.
    pub(crate) fn open(&self) -> u64 {
        self.pending + self.running
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pending,
            running,
            succeeded,
            dead,
            cancelled,
        } = self;
        write!(
            f,
            "{pending} pending, {running} running, {succeeded} succeeded, {dead} dead, {cancelled} cancelled"
        )
    }
}

pub(crate) async fn counts<R>(session: &Session<R>) -> Result<Counts, Fail> {
    let mut counts = Counts::default();
    for queue in session.jobs.stats().await?.queues {
        counts.pending += queue.pending + queue.waiting;
        counts.running += queue.running;
        counts.succeeded += queue.succeeded;
        counts.dead += queue.dead;
        counts.cancelled += queue.cancelled;
    }
    Ok(counts)
}

pub(crate) async fn stats<R>(session: &Session<R>) -> Result<(), Fail> {
    let counts = counts(session).await?;
    let stats = session.jobs.stats().await?;
    session.say(&counts, || {
        let paused = stats.queues.iter().filter(|queue| queue.paused);
        let mut text = counts.to_string();
        for queue in paused {
            let _ = write!(text, "\nthe queue `{}` is paused", queue.queue);
        }
        text
    })
}

/// The command `list`.
#[derive(Args, Clone, Debug)]
pub(crate) struct List {
    /// Only those in this state: waiting, pending, running, succeeded, dead or cancelled
    #[arg(long, value_parser = state)]
    state: Option<State>,
}

fn state(text: &str) -> Result<State, String> {
    let found = State::ALL.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| {
        let names = State::ALL.map(State::as_str).join(", ");
        format!("there is no state {text:?}: use one of {names}")
    })
}

impl List {
    pub(crate) async fn run<R>(self, session: &Session<R>) -> Result<(), Fail> {
        list(session, self.state).await
    }
}

pub(crate) async fn dead<R>(session: &Session<R>) -> Result<(), Fail> {
    list(session, Some(State::Dead)).await
}

async fn list<R>(session: &Session<R>, state: Option<State>) -> Result<(), Fail> {
    const PAGE: u32 = 500;
    let filter = Filter {
        state,
        ..Filter::default()
    };
    let (mut found, mut after) = (Vec::new(), Cursor::default());
    loop {
        let page = session.jobs.list(&filter, &after, PAGE).await?;
        found.extend(page.items.iter().map(described));
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    session.say(&found, || {
        let s = if found.len() == 1 { "" } else { "s" };
        found.iter().map(line).collect::<String>() + &format!("{} job{s}", found.len())
    })
}

/// What a person or a test wants to know of a job. Times are milliseconds since 1970.
fn described(job: &Record) -> Value {
    json!({
        "id": job.id(),
        "kind": job.spec.kind,
        "queue": job.spec.queue,
        "band": job.spec.band,
        "state": job.state,
        "reason": job.reason,
        "attempt": job.attempt,
        "failures": job.failures,
        "crashes": job.crashes,
        "strikes": job.strikes,
        "token": job.token,
        "run_at": job.run_at.0,
        "ended_at": job.ended_at.map(|at| at.0),
        "result": serde_json::from_slice::<Value>(&job.result).ok(),
        "errors": job.errors,
    })
}

fn line(job: &Value) -> String {
    let text = |field: &str| job[field].as_str().unwrap_or_default().to_owned();
    let mut line = format!(
        "{} {} {}, attempt {}, {} crashes",
        text("id"),
        text("kind"),
        text("state"),
        job["attempt"],
        job["crashes"]
    );
    if !job["reason"].is_null() {
        let _ = write!(line, ", because of {}", job["reason"]);
    }
    if let Some(error) = job["errors"].as_array().and_then(|errors| errors.last()) {
        let _ = write!(line, ": {}", error["text"]);
    }
    line + "\n"
}

/// The cells of the schedules, in order, to the first that was never seen.
pub(crate) async fn cron<R>(session: &Session<R>) -> Result<(), Fail> {
    let mut cells = Vec::new();
    for n in 1.. {
        let key = Name::new(&cron_key(n))?;
        let Some(cell) = session.store.cron_cell(&key).await?.cell else {
            break;
        };
        cells.push((key, cell));
    }
    let json = cells.iter().map(|(key, cell)| {
        json!({
            "key": key,
            "slot": cell.slot.0,
            "rev": cell.rev,
            "spec": cell.spec,
            "last_job": cell.last_job,
        })
    });
    session.say(&json.collect::<Vec<_>>(), || {
        let lines = cells.iter().map(|(key, cell)| {
            let last = cell
                .last_job
                .map_or("none yet".to_owned(), |id| id.to_string());
            let slot = time(cell.slot);
            format!(
                "{key} ({}) has come to {slot}; last job {last}\n",
                cell.spec
            )
        });
        let s = if cells.len() == 1 { "" } else { "s" };
        lines.collect::<String>() + &format!("{} schedule{s}", cells.len())
    })
}

fn time(at: Wall) -> String {
    String::from_utf8_lossy(&tideway::rfc3339(at)).into_owned()
}

pub(crate) async fn audit<R>(session: &Session<R>) -> Result<(), Fail> {
    let report = session.store.audit().await?;
    let (checked, flaws) = (report.checked, &report.flaws);
    session.say(&json!({ "checked": checked, "flaws": flaws }), || {
        let lines = flaws.iter().map(|flaw| format!("{flaw}\n"));
        let count = flaws.len();
        lines.collect::<String>() + &format!("{checked} records checked, {count} flaws")
    })?;
    match flaws.len() {
        0 => Ok(()),
        count => Err(format!("the store has {count} flaws").into()),
    }
}
