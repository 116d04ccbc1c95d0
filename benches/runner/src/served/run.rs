//! Runs the programs in turns and reads the line each prints.

use std::process::Command;

use serde_json::Value;

use super::build;
use super::options::{Options, Part};
use super::peer::Peer;
use super::server::{Keeping, Server};
use crate::Outcome;
use crate::build::root;

/// No run takes longer; `timeout` kills it.
const LONGEST: &str = "600";
/// Jobs a caller enqueues one by one.
const SINGLES: &str = "2000";
/// The smaller backlog.
pub(crate) const SHORT: usize = 1000;

/// A part with its arguments: what is run, what the report calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Batch,
    Single,
    /// A job now and then.
    Idle,
    /// 300 jobs a second.
    Steady,
    /// Before a thousand jobs.
    Short,
    /// Before a million.
    Long,
}

impl Which {
    fn of(part: Part) -> &'static [Which] {
        match part {
            Part::Batch => &[Which::Batch],
            Part::Single => &[Which::Single],
            Part::Pickup => &[Which::Idle, Which::Steady],
            Part::Claim => &[Which::Short, Which::Long],
        }
    }

    /// Whether `peer` runs it.
    fn fits(self, peer: &Peer) -> bool {
        match self {
            Which::Batch => true,
            Which::Single => peer.main && peer.name != "bare",
            // fang sleeps 5 s when it finds nothing, at its default.
            Which::Idle | Which::Steady => peer.main && !matches!(peer.name, "bare" | "fang"),
            Which::Short | Which::Long => peer.main && peer.ours(),
        }
    }

    fn arguments(self, options: &Options, peer: &Peer) -> Vec<String> {
        let words = |words: &str| words.split(' ').map(str::to_owned).collect();
        match self {
            Which::Batch => words(&format!("--jobs {}", jobs(options, peer))),
            Which::Single => words(&format!("--mode single --jobs {SINGLES}")),
            Which::Idle => words("--mode pickup --jobs 60"),
            Which::Steady => words("--mode pickup --jobs 1500 --gap-us 3333"),
            Which::Short => words(&format!("--mode claim --jobs {SHORT}")),
            Which::Long => words(&format!("--mode claim --jobs {}", options.backlog)),
        }
    }
}

/// How many jobs a run of `peer` in batches has.
pub(crate) fn jobs(options: &Options, peer: &Peer) -> usize {
    options.jobs.min(peer.most)
}

/// All runs of one program in one part.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) peer: &'static Peer,
    pub(crate) which: Which,
    pub(crate) lines: Vec<Value>,
}

impl Runs {
    /// One number of every run.
    pub(crate) fn numbers(&self, key: &str) -> Vec<f64> {
        let numbers = self.lines.iter().filter_map(|line| line.get(key)?.as_f64());
        numbers.collect()
    }
}

/// Everything on one server.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) keeping: Keeping,
    pub(crate) version: String,
    pub(crate) runs: Vec<Runs>,
    /// What went wrong, in words.
    pub(crate) failures: Vec<String>,
}

/// Every program once per round, so that all see the same mood of the machine.
pub(crate) fn in_turns(options: &Options, keeping: Keeping) -> Outcome<Results> {
    let server = Server::start(keeping)?;
    let mut results = Results {
        keeping,
        version: server.version()?,
        runs: Vec::new(),
        failures: Vec::new(),
    };
    let parts = options.parts.iter().flat_map(|&part| Which::of(part));
    for &which in parts {
        for &peer in options.peers.iter().filter(|peer| which.fits(peer)) {
            results.runs.push(Runs {
                peer,
                which,
                lines: Vec::new(),
            });
        }
    }
    for round in 1..=options.rounds {
        for runs in &mut results.runs {
            // A million jobs once: a run has hundreds of claims.
            if runs.which == Which::Long && round > 1 {
                continue;
            }
            let label = runs.peer.label();
            eprintln!(
                "round {round}, {}: {label}, {:?}",
                keeping.name(),
                runs.which
            );
            match once(options, &server, runs.peer, runs.which) {
                Ok(line) => runs.lines.push(line),
                Err(wrong) => {
                    eprintln!("FAILED: {wrong}");
                    results.failures.push(format!("{label}: {wrong}"));
                }
            }
        }
    }
    Ok(results)
}

fn once(options: &Options, server: &Server, peer: &Peer, which: Which) -> Outcome<Value> {
    server.empty()?;
    let program = build::program(peer.package);
    let arguments = which.arguments(options, peer);
    let out = Command::new("timeout")
        .arg(LONGEST)
        .args(program)
        .args(["--url", &server.url()])
        .args(["--server-pid", &server.pid()?.to_string()])
        .args(peer.arguments)
        .args(&arguments)
        .current_dir(root())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot start {}: {e}", peer.package))?;
    if !out.status.success() {
        return Err(format!("{}: {}", arguments.join(" "), out.status));
    }
    let text = String::from_utf8_lossy(&out.stdout);
    let line = text.lines().last().unwrap_or_default();
    let mut line: Value =
        serde_json::from_str(line).map_err(|e| format!("it printed `{line}`: {e}"))?;
    if let (Which::Batch, Some(count)) = (which, server.transactions()?) {
        line["transactions"] = (count / jobs(options, peer) as f64).into();
    }
    Ok(line)
}
