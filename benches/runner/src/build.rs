//! Builds the servers, one `cargo build -p` each: built together, their features would unify and
//! a peer might get slower or faster by another peer's choice.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::peer::Peer;

/// How a server is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// As it would be deployed.
    Plain,
    /// With the counting allocator and the side port.
    Counted,
}

impl Flavour {
    fn directory(self) -> &'static str {
        match self {
            Flavour::Plain => "plain",
            Flavour::Counted => "counted",
        }
    }
}

/// Those of `peers` whose packages the workspace has, with a word about the others.
pub(crate) fn present(peers: &[&'static Peer]) -> Outcome<Vec<&'static Peer>> {
    let known = cargo(&["metadata", "--no-deps", "--format-version", "1"])?;
    let (here, missing): (Vec<&'static Peer>, Vec<&'static Peer>) = peers
        .iter()
        .partition(|peer| known.contains(&format!("\"name\":\"{}\"", peer.package)));
    for peer in missing {
        eprintln!(
            "skipping {}: the workspace has no package {}",
            peer.name, peer.package
        );
    }
    Ok(here)
}

/// Builds `peer` and keeps the program apart, so that the next flavour does not overwrite it.
pub(crate) fn build(peer: &Peer, flavour: Flavour) -> Outcome<()> {
    eprintln!("building {} ({})", peer.package, flavour.directory());
    let mut arguments = vec!["build", "--release", "--quiet", "-p", peer.package];
    if flavour == Flavour::Counted {
        arguments.extend(["--features", "count"]);
    }
    cargo(&arguments)?;
    let to = program(peer, flavour);
    let from = root().join("target/release").join(peer.package);
    std::fs::create_dir_all(to.parent().expect("programs have a directory"))
        .and_then(|()| std::fs::copy(&from, &to))
        .map_err(|e| format!("copying {}: {e}", peer.package))?;
    Ok(())
}

/// Where [`build`] put the program.
pub(crate) fn program(peer: &Peer, flavour: Flavour) -> PathBuf {
    root()
        .join("target/servers")
        .join(flavour.directory())
        .join(peer.package)
}

/// The benchmark workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

pub(crate) fn cargo(arguments: &[&str]) -> Outcome<String> {
    let out = Command::new("cargo")
        .args(arguments)
        .current_dir(root())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot start cargo: {e}"))?;
    if !out.status.success() {
        return Err(format!("`cargo {}` failed", arguments.join(" ")));
    }
    String::from_utf8(out.stdout).map_err(|e| format!("cargo's output: {e}"))
}
