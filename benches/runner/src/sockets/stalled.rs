//! A room in which one receiver in a hundred reads nothing: how long a message takes to the others, and to the same
//! number of them in a room without such.

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

/// What did not reach the stalled ones, and how long it took to the 99th of a hundred.
#[derive(Default)]
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
             | room | p99 in ms | ÷ without | messages that did not reach the stalled ones |\n|---|---:|---:|---:|\n",
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
        let heard = reached(&stream)? / (cell.payload.len + 4);
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

/// How many bytes reached it. Nothing is taken: that would let the server send more, at the pace of its smallest window.
fn reached(stream: &TcpStream) -> Outcome<usize> {
    stream
        .set_nonblocking(true)
        .map_err(|e| format!("a stalled member: {e}"))?;
    match stream.peek(&mut vec![0; 1 << 20]) {
        Ok(0) => Err("a stalled member was closed".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(e) => Err(format!("a stalled member: {e}")),
    }
}
