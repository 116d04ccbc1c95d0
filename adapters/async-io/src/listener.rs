//! Bound sockets that yield connections.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use async_io::Async;
use tideway::Peer;
use tideway_driver::{Bound, Listener};

use crate::stream::AsyncStream;

/// A TCP or Unix listener on async-io.
#[derive(Debug)]
pub struct AsyncListener(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(Async<TcpListener>),
    Unix(Async<UnixListener>),
}

impl AsyncListener {
    pub(crate) fn new(on: Bound) -> io::Result<Self> {
        Ok(Self(match on {
            Bound::Tcp(socket) => Inner::Tcp(Async::new_nonblocking(socket)?),
            Bound::Unix(socket) => Inner::Unix(Async::new_nonblocking(socket)?),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        }))
    }
}

impl Listener for AsyncListener {
    type Stream = AsyncStream;

    async fn accept(&mut self) -> io::Result<(AsyncStream, Peer)> {
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
            Inner::Tcp(socket) => socket.get_ref().local_addr().map(Peer::Tcp),
            Inner::Unix(_) => Ok(Peer::Unix),
        }
    }
}
