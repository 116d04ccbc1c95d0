//! The command line of `jobs-redis` and `jobs-postgres`.

use super::peer::{PEERS, Peer, Store};
use super::server::Keeping;
use crate::Outcome;

const USAGE: &str = "\
usage: bench-runner jobs-redis|jobs-postgres
    --only a,b         only these queues: ours, bare, apalis, ... (the first column of the report)
    --parts a,b        only these parts: batch, single, pickup, claim
    --keeping NAME     only this setting of the server: aof or memory (Redis)
    --rounds N         each program once per round and part (default 5)
    --jobs N           jobs of a run in batches (default 100000 on Redis, 50000 on PostgreSQL; slow queues have fewer)
    --backlog N        the larger backlog of `claim` (default 1000000)
    --no-build         use the programs as they are";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Batches in, then a worker.
    Batch,
    /// One job a call.
    Single,
    /// How soon a waiting worker starts a job.
    Pickup,
    /// How long a claim takes before a backlog. Only ours.
    Claim,
}

impl Part {
    pub(crate) const ALL: [Part; 4] = [Part::Batch, Part::Single, Part::Pickup, Part::Claim];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Batch => "batch",
            Part::Single => "single",
            Part::Pickup => "pickup",
            Part::Claim => "claim",
        }
    }
}

/// What to do.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) store: Store,
    pub(crate) peers: Vec<&'static Peer>,
    pub(crate) parts: Vec<Part>,
    pub(crate) keeping: Option<Keeping>,
    pub(crate) rounds: usize,
    pub(crate) jobs: usize,
    pub(crate) backlog: usize,
    pub(crate) build: bool,
}

pub(crate) fn parse(store: Store, mut words: impl Iterator<Item = String>) -> Outcome<Options> {
    let mut options = Options {
        store,
        peers: PEERS.iter().filter(|peer| peer.store == store).collect(),
        parts: Part::ALL.to_vec(),
        keeping: None,
        rounds: 5,
        jobs: match store {
            Store::Redis => 100_000,
            Store::Postgres => 50_000,
        },
        backlog: 1_000_000,
        build: true,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--only" => {
                let names = value()?;
                options.peers.retain(|peer| named(&names, peer.name));
            }
            "--parts" => {
                let names = value()?;
                options.parts.retain(|part| named(&names, part.name()));
            }
            "--keeping" => {
                let name = value()?;
                let mut all = Keeping::of(store).iter();
                let found = all.find(|keeping| keeping.name() == name);
                options.keeping = Some(*found.ok_or_else(|| format!("no setting {name}"))?);
            }
            "--rounds" => options.rounds = number(&value()?)?,
            "--jobs" => options.jobs = number(&value()?)?,
            "--backlog" => options.backlog = number(&value()?)?,
            "--no-build" => options.build = false,
            other => return Err(format!("unknown argument: {other}\n{USAGE}")),
        }
    }
    if options.peers.is_empty() || options.parts.is_empty() {
        return Err(format!("nothing to run\n{USAGE}"));
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

    fn words(store: Store, line: &str) -> Outcome<Options> {
        parse(store, line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_line_narrows_queues_and_parts() {
        let options = words(Store::Redis, "--only bullmq --parts pickup,single").unwrap();
        assert!(options.peers.iter().all(|peer| peer.name == "bullmq"));
        assert_eq!(options.parts, [Part::Single, Part::Pickup]);
    }

    #[test]
    fn a_queue_is_where_it_belongs() {
        assert!(words(Store::Postgres, "--only bullmq").is_err());
        assert!(words(Store::Postgres, "--keeping aof").is_err());
        assert!(words(Store::Redis, "--parts none").is_err());
    }
}
