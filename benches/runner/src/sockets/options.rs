//! The command line of `ws`.

use super::cell::{CELLS, Cell};
use super::peer::PEERS;
use crate::Outcome;
use crate::peer::Peer;

const USAGE: &str = "\
usage: bench-runner ws [--parts echo,deflate,room,idle,stalled,instructions,engine] [--cells '1 KiB × 1,1 KiB × 16'] [--peers a,b]
    --pairs N          rounds, in each of which every server runs once and ours twice (default 15)
    --seconds S        length of one measurement (default 0.4)
    --connections N    idle connections (default 10000)
    --no-build         use the servers as they are";

/// What kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Echo,
    Deflate,
    Room,
    Idle,
    Stalled,
    Instructions,
    Engine,
}

const PARTS: [(&str, Part); 7] = [
    ("echo", Part::Echo),
    ("deflate", Part::Deflate),
    ("room", Part::Room),
    ("idle", Part::Idle),
    ("stalled", Part::Stalled),
    ("instructions", Part::Instructions),
    ("engine", Part::Engine),
];

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) parts: Vec<Part>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) peers: Vec<&'static Peer>,
    pub(crate) pairs: usize,
    pub(crate) seconds: f64,
    pub(crate) connections: usize,
    pub(crate) build: bool,
}

pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Options> {
    let mut options = Options {
        parts: PARTS.map(|(_, part)| part).to_vec(),
        cells: Vec::new(),
        peers: PEERS.iter().map(|peer| &peer.server).collect(),
        pairs: 15,
        seconds: 0.4,
        connections: 10_000,
        build: true,
    };
    let mut named = None;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--parts" => {
                let known = |name: &str| PARTS.iter().find(|(part, _)| *part == name);
                options.parts = each(&value()?, |name| known(name).map(|(_, part)| *part))?;
            }
            "--cells" => {
                let known = |name: &str| CELLS.iter().find(|cell| cell.name == name);
                named = Some(each(&value()?, |name| known(name).copied())?);
            }
            "--peers" => {
                let known = |name: &str| PEERS.iter().find(|peer| peer.server.name == name);
                options.peers = each(&value()?, |name| known(name).map(|peer| &peer.server))?;
            }
            "--pairs" => options.pairs = number(&word, &value()?)?,
            "--seconds" => options.seconds = number(&word, &value()?)?,
            "--connections" => options.connections = number(&word, &value()?)?,
            "--no-build" => options.build = false,
            _ => return Err(format!("unknown argument: {word}\n{USAGE}")),
        }
    }
    let of_parts = CELLS
        .iter()
        .filter(|cell| options.parts.contains(&cell.part));
    options.cells = match named {
        Some(cells) => {
            options.parts = Vec::new();
            cells
        }
        None => of_parts.copied().collect(),
    };
    Ok(options)
}

fn each<T>(list: &str, find: impl Fn(&str) -> Option<T>) -> Outcome<Vec<T>> {
    list.split(',')
        .map(|name| find(name.trim()).ok_or_else(|| format!("unknown name: {name}")))
        .collect()
}

fn number<T: std::str::FromStr>(word: &str, text: &str) -> Outcome<T> {
    text.parse()
        .map_err(|_| format!("{word}: {text} is not a number"))
}
