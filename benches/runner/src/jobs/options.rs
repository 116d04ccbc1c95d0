//! The command line of `jobs`.

use super::peer::{PEERS, Peer};
use crate::Outcome;

const USAGE: &str = "\
usage: bench-runner jobs
    --peers a,b        only these peers: ours, bare, apalis, published
    --stores a,b       only these stores: memory, sqlite-full, sqlite-normal, sqlite-off
    --rounds N         each peer once per round (default 5)
    --memory N         jobs of a run in memory (default 100000)
    --sqlite N         jobs of a run in SQLite (default 20000)
    --instructions     count instructions too (callgrind; takes minutes)
    --no-build         use the programs as they are";

/// What to do.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) peers: Vec<&'static Peer>,
    pub(crate) rounds: usize,
    pub(crate) memory: usize,
    pub(crate) sqlite: usize,
    pub(crate) instructions: bool,
    pub(crate) build: bool,
}

impl Options {
    /// How many jobs a run of `peer` has.
    pub(crate) fn jobs(&self, peer: &Peer) -> usize {
        let jobs = if peer.store == "memory" {
            self.memory
        } else {
            self.sqlite
        };
        jobs.min(peer.most)
    }
}

pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Options> {
    let mut options = Options {
        peers: PEERS.iter().collect(),
        rounds: 5,
        memory: 100_000,
        sqlite: 20_000,
        instructions: false,
        build: true,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--peers" => {
                let names = value()?;
                options.peers.retain(|peer| named(&names, peer.name));
            }
            "--stores" => {
                let names = value()?;
                options.peers.retain(|peer| named(&names, peer.store));
            }
            "--rounds" => options.rounds = number(&value()?)?,
            "--memory" => options.memory = number(&value()?)?,
            "--sqlite" => options.sqlite = number(&value()?)?,
            "--instructions" => options.instructions = true,
            "--no-build" => options.build = false,
            other => return Err(format!("unknown argument: {other}\n{USAGE}")),
        }
    }
    if options.peers.is_empty() {
        return Err(format!("no such peer\n{USAGE}"));
    }
    Ok(options)
}

fn named(names: &str, name: &str) -> bool {
    names.split(',').any(|one| one == name)
}

fn number(text: &str) -> Outcome<usize> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{text}: a number above 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Outcome<Options> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn peers_and_stores_narrow_each_other() {
        let options = words("--peers ours,bare --stores memory").unwrap();
        let left: Vec<_> = options.peers.iter().map(|p| (p.name, p.store)).collect();
        assert_eq!(left, [("ours", "memory")]);
        assert!(words("--peers nobody").is_err());
    }
}
