//! The servers with sockets, and what each can.

use super::cell::Cell;
use super::options::Part;
use crate::peer::{Peer, peer};

/// A server and the parts it takes part in.
pub(crate) struct Sockets {
    pub(crate) server: Peer,
    parts: &'static [Part],
}

const ECHO: &[Part] = &[Part::Echo, Part::Idle, Part::Instructions];
const ROOM: &[Part] = &[Part::Echo, Part::Room, Part::Idle, Part::Instructions];
const ALL: &[Part] = &[
    Part::Echo,
    Part::Room,
    Part::Idle,
    Part::Instructions,
    Part::Stalled,
];

const fn server(name: &'static str, package: &'static str, parts: &'static [Part]) -> Sockets {
    Sockets {
        server: Peer {
            batteries: false,
            ..peer(name, package)
        },
        parts,
    }
}

/// The same server with compression switched on.
const fn deflating(name: &'static str, announces: &'static str, package: &'static str) -> Sockets {
    Sockets {
        server: Peer {
            batteries: false,
            announces,
            arguments: &["--deflate", "on"],
            ..peer(name, package)
        },
        parts: &[Part::Deflate],
    }
}

/// Whom the others are compared with.
pub(crate) const OURS: &str = "ours-tokio";

/// All of them, in the order of the tables.
pub(crate) static PEERS: [Sockets; 13] = [
    server(OURS, "peer-ours-tokio", ALL),
    server("ours-async-std", "peer-ours-async-std", ROOM),
    server("ours-smol", "peer-ours-smol", ROOM),
    server("bare", "socket-bare", ROOM),
    server("fastwebsockets", "socket-fastwebsockets", ECHO),
    server("tungstenite", "socket-tungstenite", ECHO),
    server("axum", "peer-axum", ROOM),
    server("actix", "peer-actix", ECHO),
    server("soketto", "socket-soketto", ECHO),
    server("published", "peer-published", ECHO),
    deflating("ours-tokio, deflate", "ours-tokio", "peer-ours-tokio"),
    deflating("ours-smol, deflate", "ours-smol", "peer-ours-smol"),
    deflating("soketto, deflate", "soketto", "socket-soketto"),
];

/// Those of `peers` that take part in `part`; the first is ours.
pub(crate) fn those(peers: &[&'static Peer], part: Part) -> Vec<&'static Peer> {
    let can = |peer: &&Peer| {
        PEERS
            .iter()
            .any(|known| known.server.name == peer.name && known.parts.contains(&part))
    };
    peers.iter().copied().filter(can).collect()
}

/// Those of `peers` that can do what `cell` asks for.
pub(crate) fn for_cell(peers: &[&'static Peer], cell: &Cell) -> Vec<&'static Peer> {
    those(peers, cell.part)
}
