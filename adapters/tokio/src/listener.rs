//! Bound sockets that yield connections.

use std::io;

use tideway::Peer;
use tideway_driver::{Bound, Listener};
use tokio::net::{TcpListener, UnixListener};

use crate::stream::TokioStream;

/// A TCP or Unix listener on tokio.
#[derive(Debug)]
pub struct TokioListener(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl TokioListener {
    pub(crate) fn new(on: Bound) -> io::Result<Self> {
        Ok(Self(match on {
            Bound::Tcp(socket) => Inner::Tcp(TcpListener::from_std(socket)?),
            Bound::Unix(socket) => Inner::Unix(UnixListener::from_std(socket)?),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        }))
    }
}

impl Listener for TokioListener {
    type Stream = TokioStream;

    async fn accept(&mut self) -> io::Result<(TokioStream, Peer)> {
        match &self.0 {
            Inner::Tcp(socket) => {
                let (stream, from) = socket.accept().await?;
                Ok((stream.into(), Peer::Tcp(from)))
            }
            Inner::Unix(socket) => {
                let (stream, _unnamed) = socket.accept().await?;
                Ok((stream.into(), Peer::Unix))
            }
        }
    }

    fn local(&self) -> io::Result<Peer> {
        match &self.0 {
            Inner::Tcp(socket) => socket.local_addr().map(Peer::Tcp),
            Inner::Unix(_) => Ok(Peer::Unix),
        }
    }
}
