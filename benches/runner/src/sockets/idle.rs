//! Resident bytes per idle socket: ten thousand, one message each, then silence.

use super::cell::CELLS;
use super::frame;
use super::options::{Options, Part};
use super::peer;
use crate::peer::{Peer, Variant};
use crate::server::Start;
use crate::table::number;
use crate::{Outcome, machine};

pub(crate) fn run(options: &Options) -> Outcome<String> {
    let wanted = options.connections;
    if machine::descriptor_limit() < wanted + 100 {
        return Err(format!(
            "{wanted} connections need more than {} descriptors: raise `ulimit -n` or give --connections",
            machine::descriptor_limit()
        ));
    }
    let mut out = format!(
        "\n#### bytes per idle socket, of {wanted}\n\n| server | after one message | in a room |\n|---|---:|---:|\n"
    );
    let rooms = peer::those(&options.peers, Part::Room);
    for peer in peer::those(&options.peers, Part::Idle) {
        eprintln!("idle: {}", peer.name);
        let wrong = |e| format!("{}: {e}", peer.name);
        let echo = measure(peer, wanted, false).map_err(wrong)?;
        let room = if rooms.contains(&peer) {
            number(measure(peer, wanted, true).map_err(wrong)?)
        } else {
            String::new()
        };
        out.push_str(&format!("| {} | {} | {room} |\n", peer.name, number(echo)));
    }
    Ok(out)
}

fn measure(peer: &'static Peer, wanted: usize, room: bool) -> Outcome<f64> {
    let variant = Variant {
        peer,
        all_stages: false,
    };
    let server = Start::plain(variant).start()?;
    let cell = &CELLS[2];
    let connect = || {
        if room {
            // A message would go to all.
            return frame::connect(server.at, "/ws/room", false);
        }
        let stream = frame::connect(server.at, cell.path(), false)?;
        frame::exchange(&stream, cell)?;
        Ok::<_, String>(stream)
    };
    let _first = connect()?;
    let before = server.resident()?;
    let idle = (0..wanted)
        .map(|_| connect())
        .collect::<Outcome<Vec<_>>>()?;
    let after = server.resident()?;
    if !room {
        for stream in [&idle[0], &idle[wanted - 1]] {
            frame::exchange(stream, cell).map_err(|e| format!("one that was idle: {e}"))?;
        }
    }
    Ok(after.saturating_sub(before) as f64 / wanted as f64)
}
