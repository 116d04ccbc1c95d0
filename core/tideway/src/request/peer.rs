//! Who is at the other end of a connection.

use std::net::{IpAddr, SocketAddr};

/// The other end of a connection, as the listener saw it (no header is trusted here).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// A TCP client.
    Tcp(SocketAddr),
    /// A client of a Unix socket; such clients have no address of their own.
    Unix,
    /// Something else: a test, a pipe.
    Other,
}

impl Peer {
    /// The address, for TCP.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Peer::Tcp(addr) => Some(addr.ip()),
            Peer::Unix | Peer::Other => None,
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Peer::Tcp(addr) => addr.fmt(f),
            Peer::Unix => f.write_str("unix"),
            Peer::Other => f.write_str("other"),
        }
    }
}
