//! A bound port of a simulated host.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tideway::Peer;
use tideway_driver::Listener;

use crate::net::SERVER;
use crate::stream::SimStream;
use crate::world::{World, host_ip};

/// A bound port. Dropping it unbinds the port and resets the connections nobody accepted.
pub struct SimListener {
    world: Arc<World>,
    /// Host, port, and which binding of that port.
    port: (usize, u16, u64),
}

impl SimListener {
    pub(crate) fn new(world: Arc<World>, port: (usize, u16, u64)) -> Self {
        Self { world, port }
    }

    fn addr(&self) -> SocketAddr {
        SocketAddr::from((host_ip(self.port.0), self.port.1))
    }
}

impl Listener for SimListener {
    type Stream = SimStream;

    async fn accept(&mut self) -> io::Result<(SimStream, Peer)> {
        let accept = poll_fn(|cx| self.world.with(|state| state.poll_accept(self.port, cx)));
        let (conn, from) = accept.await?;
        let stream = SimStream::new(self.world.clone(), (conn, SERVER), self.addr(), from);
        Ok((stream, Peer::Tcp(from)))
    }

    fn local(&self) -> io::Result<Peer> {
        Ok(Peer::Tcp(self.addr()))
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let (host, port, id) = self.port;
        self.world.with(|state| state.unbind(host, port, id));
    }
}

impl std::fmt::Debug for SimListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimListener({})", self.addr())
    }
}
