//! User instructions per message that arrives, by callgrind: two runs that differ in the number of messages only, on one
//! socket or in a small room.

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
/// Members of the room: enough that what the publisher costs is little of what a delivery does.
const MEMBERS: usize = 50;
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
        .filter(|cell| matches!(cell.part, Part::Echo | Part::Room))
        .filter(|cell| cell.payload.len <= 1 << 10)
        .collect();
    let mut out =
        "\n#### user instructions per echo, and per delivery in a room of 50\n\n| server |"
            .to_owned();
    for cell in &cells {
        let name = cell.name.replace("1 000", "50");
        out.push_str(&format!(" {name} |"));
    }
    out.push_str(&format!("\n|---|{}\n", "---:|".repeat(cells.len())));
    for peer in peer::those(&options.peers, Part::Instructions) {
        out.push_str(&format!("| {} |", peer.name));
        for cell in &cells {
            if peer::for_cell(&[peer], cell).is_empty() {
                out.push_str("  |");
                continue;
            }
            eprintln!("instructions: {}, {}", peer.name, cell.name);
            let wrong = |e| format!("{}, {}: {e}", peer.name, cell.name);
            let few = measure(peer, cell, FEW).map_err(wrong)?;
            let many = measure(peer, cell, MANY).map_err(wrong)?;
            let messages = (MANY - FEW) * cell.depth * receivers(cell);
            let each = (many - few) / messages as f64;
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
    Load::connect(server.at, cell, receivers(cell))?.batches(batches, Duration::ZERO)?;
    collected(&server.stop())
}

/// How many sockets there are, each of which gets every message.
fn receivers(cell: &Cell) -> usize {
    if cell.is_room() { MEMBERS } else { 1 }
}

/// callgrind's total.
pub(crate) fn collected(said: &str) -> Outcome<f64> {
    said.lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, number)| number.trim().parse().ok())
        .ok_or_else(|| format!("callgrind gave no total: {said}"))
}
