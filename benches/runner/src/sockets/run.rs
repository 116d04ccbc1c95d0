//! One cell: every server once a round, in turns, and ours once more.

use std::time::Duration;

use super::cell::Cell;
use super::load::Load;
use super::options::Options;
use super::peer;
use crate::Outcome;
use crate::peer::{Peer, Variant};
use crate::server::Start;

const WARM_UP: Duration = Duration::from_millis(100);

/// A row: a server, and what each round gave.
pub(crate) struct Row {
    pub(crate) name: String,
    /// Messages per second of the server's processor time.
    pub(crate) rates: Vec<f64>,
    /// Seconds of the load's processor time per message.
    pub(crate) load: Vec<f64>,
    /// The server's.
    pub(crate) busy: Vec<f64>,
}

pub(crate) fn cell(cell: &Cell, options: &Options) -> Outcome<Vec<Row>> {
    let peers = peer::for_cell(&options.peers, cell);
    let mut turns: Vec<(String, &'static Peer)> = peers
        .iter()
        .map(|peer| (peer.name.to_owned(), *peer))
        .collect();
    if let Some((name, first)) = turns.first().cloned() {
        turns.push((format!("{name}, again"), first));
    }
    let mut rows: Vec<Row> = turns
        .iter()
        .map(|(name, _)| Row {
            name: name.clone(),
            rates: Vec::new(),
            load: Vec::new(),
            busy: Vec::new(),
        })
        .collect();
    for round in 1..=options.pairs {
        eprintln!("{}: round {round} of {}", cell.name, options.pairs);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        if round % 2 == 0 {
            order.reverse();
        }
        for index in order {
            let peer = turns[index].1;
            let length = Duration::from_secs_f64(options.seconds);
            measure(peer, cell, length, &mut rows[index])
                .map_err(|e| format!("{}, {}: {e}", peer.name, cell.name))?;
        }
    }
    Ok(rows)
}

fn measure(peer: &'static Peer, cell: &Cell, length: Duration, row: &mut Row) -> Outcome<()> {
    let variant = Variant {
        peer,
        all_stages: false,
    };
    let server = Start::plain(variant).start()?;
    let mut load = Load::connect(server.at, cell, cell.sockets())?;
    load.run(WARM_UP)?;
    let (before, mine) = (server.cpu_time()?, own_time());
    let replies = load.run(length)? as f64;
    let spent = (server.cpu_time()? - before).as_secs_f64();
    row.rates.push(replies / spent);
    row.busy.push(spent / replies);
    row.load.push((own_time() - mine).as_secs_f64() / replies);
    Ok(())
}

/// Processor time of this process.
fn own_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call fills the struct it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}
