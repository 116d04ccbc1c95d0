//! User instructions per message, by callgrind: two runs on one socket that differ in the number of messages only.

use std::time::Duration;

use super::cell::{CELLS, Cell};
use super::load::Load;
use super::options::{Options, Part};
use super::peer;
use crate::Outcome;
use crate::peer::{Peer, Variant};
use crate::server::Start;
use crate::table::number;

/// Batches of each run.
const FEW: usize = 200;
const MANY: usize = 1_000;
/// The tunable makes glibc copy by instructions that are counted, not by one that is counted once.
pub(crate) const CALLGRIND: [&str; 5] = [
    "env",
    "GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000000",
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
];

pub(crate) fn run(options: &Options) -> Outcome<String> {
    let cells: Vec<&Cell> = CELLS
        .iter()
        .filter(|cell| cell.part == Part::Echo && cell.payload.len <= 1 << 10)
        .collect();
    let mut out = "\n#### user instructions per echo\n\n| server |".to_owned();
    cells
        .iter()
        .for_each(|cell| out.push_str(&format!(" {} |", cell.name)));
    out.push_str(&format!("\n|---|{}\n", "---:|".repeat(cells.len())));
    for peer in peer::those(&options.peers, Part::Instructions) {
        out.push_str(&format!("| {} |", peer.name));
        for cell in &cells {
            eprintln!("instructions: {}, {}", peer.name, cell.name);
            let wrong = |e| format!("{}, {}: {e}", peer.name, cell.name);
            let few = measure(peer, cell, FEW).map_err(wrong)?;
            let many = measure(peer, cell, MANY).map_err(wrong)?;
            let each = (many - few) / ((MANY - FEW) * cell.depth) as f64;
            out.push_str(&format!(" {} |", number(each)));
        }
        out.push('\n');
    }
    Ok(out)
}

fn measure(peer: &'static Peer, cell: &Cell, batches: usize) -> Outcome<f64> {
    let variant = Variant {
        peer,
        all_stages: false,
    };
    let start = Start {
        under: &CALLGRIND,
        ..Start::plain(variant)
    };
    let mut server = start.start()?;
    Load::connect(server.at, cell, 1)?.batches(batches, Duration::ZERO)?;
    collected(&server.stop())
}

/// callgrind's total.
pub(crate) fn collected(said: &str) -> Outcome<f64> {
    said.lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, number)| number.trim().parse().ok())
        .ok_or_else(|| format!("callgrind gave no total: {said}"))
}
