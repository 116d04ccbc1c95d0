//! The command line: which measurements, which peers, how long.

use crate::Outcome;
use crate::endpoint::Endpoint;
use crate::peer::{PEERS, Peer};

pub(crate) const USAGE: &str = "\
usage: bench-runner jobs ...
       bench-runner [check|throughput|instructions|allocs|syscalls|rss|all]...
    --peers a,b        only these peers
    --endpoints a,b    only these of plaintext, json, users, echo, pipelined
    --rounds N         rounds of the throughput run, each peer once per round (default 5)
    --seconds S        length of one throughput measurement (default 1)
    --connections N    idle connections of the memory run (default 10000)
    --no-build         use the servers as they are";

/// One kind of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Check,
    Throughput,
    Instructions,
    Allocs,
    Syscalls,
    Rss,
}

const KINDS: [(&str, Kind); 6] = [
    ("check", Kind::Check),
    ("instructions", Kind::Instructions),
    ("allocs", Kind::Allocs),
    ("syscalls", Kind::Syscalls),
    ("rss", Kind::Rss),
    ("throughput", Kind::Throughput),
];

/// What to do.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) peers: Vec<&'static Peer>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) connections: usize,
    pub(crate) build: bool,
}

pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Options> {
    let mut options = Options {
        kinds: Vec::new(),
        peers: PEERS.iter().collect(),
        endpoints: Endpoint::ALL.to_vec(),
        rounds: 5,
        seconds: 1.0,
        connections: 10_000,
        build: true,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--peers" => {
                options.peers = each(&value()?, |name| PEERS.iter().find(|p| p.name == name))?;
            }
            "--endpoints" => {
                options.endpoints = each(&value()?, |name| {
                    Endpoint::ALL.into_iter().find(|e| e.name() == name)
                })?;
            }
            "--rounds" => options.rounds = number(&word, &value()?)?,
            "--seconds" => options.seconds = number(&word, &value()?)?,
            "--connections" => options.connections = number(&word, &value()?)?,
            "--no-build" => options.build = false,
            "all" => options.kinds.extend(KINDS.map(|(_, kind)| kind)),
            name => match KINDS.iter().find(|(known, _)| *known == name) {
                Some((_, kind)) => options.kinds.push(*kind),
                None => return Err(format!("unknown argument: {name}\n{USAGE}")),
            },
        }
    }
    if options.kinds.is_empty() {
        return Err(USAGE.to_owned());
    }
    if options.rounds == 0 {
        return Err("--rounds must be at least 1".to_owned());
    }
    Ok(options)
}

fn each<T>(list: &str, find: impl Fn(&str) -> Option<T>) -> Outcome<Vec<T>> {
    list.split(',')
        .map(|name| find(name).ok_or_else(|| format!("unknown name: {name}")))
        .collect()
}

fn number<T: std::str::FromStr>(word: &str, text: &str) -> Outcome<T> {
    text.parse()
        .map_err(|_| format!("{word}: {text} is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_means_every_kind() {
        let options = parse(["all".to_owned()].into_iter()).unwrap();
        assert_eq!(options.kinds.len(), KINDS.len());
    }

    #[test]
    fn an_unknown_peer_is_refused() {
        let words = ["rss", "--peers", "nobody"].map(str::to_owned);
        assert!(parse(words.into_iter()).unwrap_err().contains("nobody"));
    }
}
