//! A room in which one receiver in a hundred reads nothing: how long a message takes to the others, and to the same
//! number of them in a room without such.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::cell::{CELLS, Cell};
use super::frame;
use super::load::Load;
use super::options::{Options, Part};
use super::peer;
use crate::Outcome;
use crate::peer::{Peer, Variant};
use crate::server::Start;
use crate::table::{number, spread};

/// Who reads, and who does not.
const READERS: usize = 990;
const STALLED: usize = 10;
/// Bytes said before anything is measured: more than the kernel keeps for whoever does not read.
const BEFORE: usize = 4 << 20;
/// One message each.
const EVERY: Duration = Duration::from_millis(25);

/// What the stalled ones missed, and how long it took to the 99th of a hundred.
struct Outcomes {
    p99: Vec<f64>,
    missed: Vec<f64>,
}

pub(crate) fn run(options: &Options) -> Outcome<String> {
    let mut out = String::new();
    for peer in peer::those(&options.peers, Part::Stalled) {
        let mut with = Outcomes::default();
        let mut without = Outcomes::default();
        let mut again = Outcomes::default();
        for round in 1..=options.pairs {
            eprintln!("stalled: {}, round {round} of {}", peer.name, options.pairs);
            for turn in 0..3 {
                let (stalled, to) = match (turn + round) % 3 {
                    0 => (STALLED, &mut with),
                    1 => (0, &mut without),
                    _ => (0, &mut again),
                };
                measure(peer, stalled, to).map_err(|e| format!("{}: {e}", peer.name))?;
            }
        }
        out.push_str(&format!(
            "\n#### {}: {READERS} readers, with and without {STALLED} who read nothing\n\n{} pairs.\n\n\
             | room | p99 in ms | ÷ without | messages the stalled ones missed |\n|---|---:|---:|---:|\n",
            peer.name, options.pairs
        ));
        for (name, row) in [
            ("without", &without),
            ("with", &with),
            ("without, again", &again),
        ] {
            let pairs = row.p99.iter().zip(&without.p99);
            let ratios: Vec<f64> = pairs.map(|(this, base)| this / base).collect();
            let (Some(p99), Some(ratio)) = (spread(&row.p99), spread(&ratios)) else {
                continue;
            };
            out.push_str(&format!(
                "| {name} | {:.2} – **{:.2}** – {:.2} | {:.2} – **{:.3}** – {:.2} | {} |\n",
                p99.min,
                p99.median,
                p99.max,
                ratio.min,
                ratio.median,
                ratio.max,
                spread(&row.missed).map_or_else(String::new, |missed| number(missed.median)),
            ));
        }
    }
    Ok(out)
}

impl Default for Outcomes {
    fn default() -> Self {
        Self {
            p99: Vec::new(),
            missed: Vec::new(),
        }
    }
}

fn measure(peer: &'static Peer, stalled: usize, to: &mut Outcomes) -> Outcome<()> {
    let variant = Variant {
        peer,
        all_stages: false,
    };
    let room = CELLS.iter().find(|cell| cell.is_room()).ok_or("no room")?;
    let mut cell = Cell { depth: 16, ..*room };
    cell.payload.len = 1 << 10;
    let server = Start::plain(variant).start()?;
    let silent = (0..stalled)
        .map(|_| deaf(server.at, &cell))
        .collect::<Outcome<Vec<_>>>()?;
    let mut load = Load::connect(server.at, &cell, READERS)?;
    let before = BEFORE / (cell.payload.len * cell.depth);
    load.batches(before, Duration::ZERO)?;
    load.set_depth(&cell, 1);
    let count = 80;
    let mut times = load.batches(count, EVERY)?;
    times.sort();
    to.p99
        .push(times[times.len() * 99 / 100].as_secs_f64() * 1e3);
    let said = 1 + before * cell.depth + count;
    for stream in silent {
        // Its head takes four bytes.
        let heard = drain(stream)? / (cell.payload.len + 4);
        to.missed.push((said - heard) as f64);
    }
    Ok(())
}

/// A member with hardly a buffer, that reads nothing.
fn deaf(at: SocketAddr, cell: &Cell) -> Outcome<TcpStream> {
    let stream = frame::connect(at, cell.path(), false)?;
    let small: i32 = 4096;
    // SAFETY: the option outlives the call and has the size given.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const small).cast(),
            size_of::<i32>() as u32,
        )
    };
    if result != 0 {
        return Err("SO_RCVBUF is not taken".to_owned());
    }
    Ok(stream)
}

/// Reads what is there after all; how many bytes.
fn drain(mut stream: TcpStream) -> Outcome<usize> {
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .map_err(|e| format!("a time-out: {e}"))?;
    let (mut all, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Err("a stalled member was closed".to_owned()),
            Ok(read) => all += read,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(all);
            }
            Err(e) => return Err(format!("a stalled member: {e}")),
        }
    }
}
