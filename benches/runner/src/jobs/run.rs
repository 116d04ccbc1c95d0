//! Builds and runs the queues' programs, and reads the line each prints.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::options::Options;
use super::peer::Peer;
use crate::Outcome;
use crate::build::{cargo, root};

/// No run takes longer; `timeout` kills it.
const LONGEST: &str = "300";

/// How a program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// As it would be deployed.
    Plain,
    /// With the counting allocator.
    Counted,
}

/// All runs of one queue.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) peer: &'static Peer,
    pub(crate) lines: Vec<Value>,
}

impl Runs {
    /// One number of every run.
    pub(crate) fn numbers(&self, key: &str) -> Vec<f64> {
        let numbers = self.lines.iter().filter_map(|line| line.get(key)?.as_f64());
        numbers.collect()
    }
}

/// Builds `package` alone and keeps the program apart, so that the next flavour does not overwrite it.
pub(crate) fn build(package: &str, flavour: Flavour) -> Outcome<()> {
    eprintln!("building {package} ({flavour:?})");
    let mut arguments = vec!["build", "--release", "--quiet", "-p", package];
    if flavour == Flavour::Counted {
        arguments.extend(["--features", "count"]);
    }
    cargo(&arguments)?;
    let to = program(package, flavour);
    let from = root().join("target/release").join(package);
    std::fs::create_dir_all(to.parent().expect("programs have a directory"))
        .and_then(|()| std::fs::copy(&from, &to))
        .map_err(|e| format!("copying {package}: {e}"))?;
    Ok(())
}

/// The parts of the core, with the counted allocations among the rest.
pub(crate) fn core() -> Outcome<Vec<Value>> {
    let mut lines = Vec::new();
    for part in ["step", "pool", "idle"] {
        let arguments = ["--store", part, "--jobs", "200000"];
        let timed = run("jobs-core", Flavour::Plain, &arguments)?;
        let counted = run("jobs-core", Flavour::Counted, &arguments)?;
        for (mut line, counted) in timed.into_iter().zip(counted) {
            if let Some(allocations) = counted.get("allocations") {
                line["allocations"] = allocations.clone();
            }
            lines.push(line);
        }
    }
    Ok(lines)
}

/// Every queue once per round, so that all see the same mood of the machine.
pub(crate) fn in_turns(options: &Options) -> Outcome<Vec<Runs>> {
    let mut runs: Vec<Runs> = options
        .peers
        .iter()
        .map(|&peer| Runs {
            peer,
            lines: Vec::new(),
        })
        .collect();
    for round in 1..=options.rounds {
        for runs in &mut runs {
            let (name, store) = (runs.peer.name, runs.peer.store);
            eprintln!("round {round}: {name} on {store}");
            let jobs = options.jobs(runs.peer);
            runs.lines.extend(once(runs.peer, jobs, Flavour::Plain)?);
        }
    }
    Ok(runs)
}

/// Ours once more, with counted allocations.
pub(crate) fn counted(options: &Options) -> Outcome<Vec<Runs>> {
    let ours = options.peers.iter().filter(|peer| peer.name == "ours");
    let run = |peer: &&'static Peer| {
        let lines = once(peer, options.jobs(peer), Flavour::Counted)?;
        Ok(Runs { peer, lines })
    };
    ours.map(run).collect()
}

/// User instructions per job: the difference of two runs, so that start-up cancels out.
pub(crate) fn instructions(options: &Options) -> Outcome<Vec<(&'static Peer, f64)>> {
    const FEW: usize = 1000;
    const MANY: usize = 5000;
    let mut all = Vec::new();
    for &peer in &options.peers {
        // An instruction costs the same whatever is flushed.
        if matches!(peer.store, "sqlite-full" | "sqlite-off") || peer.most < MANY {
            continue;
        }
        eprintln!("instructions: {} on {}", peer.name, peer.store);
        let (few, many) = (callgrind(peer, FEW)?, callgrind(peer, MANY)?);
        all.push((peer, (many - few) / (MANY - FEW) as f64));
    }
    Ok(all)
}

fn callgrind(peer: &Peer, jobs: usize) -> Outcome<f64> {
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program(peer.package, Flavour::Plain))
        .args(["--store", peer.store, "--jobs", &jobs.to_string()])
        .args(peer.arguments)
        .current_dir(root())
        .output()
        .map_err(|e| format!("cannot start valgrind: {e}"))?;
    let text = String::from_utf8_lossy(&out.stderr);
    let counted = text
        .lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    counted.ok_or_else(|| format!("valgrind counted nothing of {}:\n{text}", peer.package))
}

fn once(peer: &Peer, jobs: usize, flavour: Flavour) -> Outcome<Vec<Value>> {
    let jobs = jobs.to_string();
    let mut arguments = vec!["--store", peer.store, "--jobs", &jobs];
    arguments.extend(peer.arguments);
    run(peer.package, flavour, &arguments)
}

fn run(package: &str, flavour: Flavour, arguments: &[&str]) -> Outcome<Vec<Value>> {
    let out = Command::new("timeout")
        .arg(LONGEST)
        .arg(program(package, flavour))
        .args(arguments)
        .current_dir(root())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot start {package}: {e}"))?;
    if !out.status.success() {
        return Err(format!("{package} {}: {}", arguments.join(" "), out.status));
    }
    let text = String::from_utf8_lossy(&out.stdout);
    let lines = text.lines().map(|line| {
        serde_json::from_str(line).map_err(|e| format!("{package} printed `{line}`: {e}"))
    });
    lines.collect()
}

/// Where [`build`] put the program.
pub(crate) fn program(package: &str, flavour: Flavour) -> PathBuf {
    let directory = match flavour {
        Flavour::Plain => "plain",
        Flavour::Counted => "counted",
    };
    root().join("target/queues").join(directory).join(package)
}
