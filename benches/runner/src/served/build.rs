//! Builds the queues' programs, and leaves out, loudly, what cannot be built here.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::options::Options;
use crate::Outcome;
use crate::build::{cargo, root};
use crate::jobs::run::{self, Flavour};

/// Not in the workspace of the others.
const FANG: &str = "jobs-fang";
/// On Node.
const BULLMQ: &str = "bullmq";

/// Builds what `options` ask for; takes out of them what is not to be had, and tells what and why.
pub(crate) fn all(options: &mut Options) -> Outcome<Vec<String>> {
    let known = cargo(&["metadata", "--no-deps", "--format-version", "1"])?;
    let mut packages: Vec<_> = options.peers.iter().map(|peer| peer.package).collect();
    packages.dedup();
    let mut skipped = Vec::new();
    for package in packages {
        let there = match package {
            BULLMQ => node(options.build),
            FANG => fang(options.build).map(|()| true),
            _ if !known.contains(&format!("\"name\":\"{package}\"")) => Ok(false),
            _ if options.build => run::build(package, Flavour::Plain).map(|()| true),
            _ => Ok(true),
        };
        if !there? {
            let why = match package {
                BULLMQ => "node or npm is missing",
                _ => "the workspace has no such package",
            };
            eprintln!("SKIPPING {package}: {why}");
            skipped.push(format!("{package}: {why}"));
            options.peers.retain(|peer| peer.package != package);
        }
    }
    if options.peers.is_empty() {
        return Err("nothing is left to run".to_owned());
    }
    Ok(skipped)
}

/// How the program of `package` is started.
pub(crate) fn program(package: &str) -> Vec<PathBuf> {
    match package {
        BULLMQ => vec!["node".into(), root().join("jobs/bullmq/main.js")],
        FANG => vec![root().join("target/fang/release/jobs-fang")],
        package => vec![run::program(package, Flavour::Plain)],
    }
}

fn fang(build: bool) -> Outcome<()> {
    if !build {
        return Ok(());
    }
    eprintln!("building {FANG}");
    let manifest = "jobs/fang/Cargo.toml";
    let target = ["--target-dir", "target/fang", "--locked"];
    let mut arguments = vec!["build", "--release", "--quiet", "--manifest-path", manifest];
    arguments.extend(target);
    cargo(&arguments).map(|_| ())
}

/// Whether BullMQ can run; installs what its lock file names.
fn node(install: bool) -> Outcome<bool> {
    for program in ["node", "npm"] {
        let mut version = Command::new(program);
        let version = version.arg("--version").stdout(Stdio::null()).status();
        if !version.is_ok_and(|status| status.success()) {
            return Ok(false);
        }
    }
    if install {
        eprintln!("installing {BULLMQ}");
        // The versions and sums of the lock file, which names no optional package of other platforms: `npm ci` wants them.
        let status = Command::new("npm")
            .args([
                "install",
                "--no-save",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
            ])
            .args(["--loglevel", "error"])
            .current_dir(root().join("jobs/bullmq"))
            .stdout(Stdio::null())
            .status()
            .map_err(|e| format!("cannot start npm: {e}"))?;
        if !status.success() {
            return Err(format!("npm install in jobs/bullmq: {status}"));
        }
    }
    Ok(true)
}
