//! One end of a simulated connection.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::world::World;

/// One end of a connection. Dropping it closes: in order if all that arrived was read, by a reset
/// if not.
pub struct SimStream {
    world: Arc<World>,
    /// The connection, and which end of it.
    end: (u64, usize),
    near: SocketAddr,
    far: SocketAddr,
}

impl SimStream {
    pub(crate) fn new(
        world: Arc<World>,
        end: (u64, usize),
        near: SocketAddr,
        far: SocketAddr,
    ) -> Self {
        Self {
            world,
            end,
            near,
            far,
        }
    }

    /// The address of this end.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.near
    }

    /// The address of the other end.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.far
    }

    /// Reads once, at most `most` bytes; nothing at the end.
    ///
    /// # Errors
    ///
    /// `ConnectionReset`.
    pub async fn read(&mut self, most: usize) -> io::Result<Vec<u8>> {
        poll_fn(|cx| {
            let mut read = Vec::new();
            let polled = self.world.with(|state| {
                state.poll_read(self.end, cx, most, |bytes| read.extend_from_slice(bytes))
            });
            polled.map_ok(|()| read)
        })
        .await
    }

    /// Reads exactly `bytes` bytes.
    ///
    /// # Errors
    ///
    /// `ConnectionReset`; `UnexpectedEof` if the end comes first.
    pub async fn read_exact(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while all.len() < bytes {
            let more = self.read(bytes - all.len()).await?;
            if more.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            all.extend(more);
        }
        Ok(all)
    }

    /// Reads to the end.
    ///
    /// # Errors
    ///
    /// `ConnectionReset`.
    pub async fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let more = self.read(64 * 1024).await?;
            if more.is_empty() {
                return Ok(all);
            }
            all.extend(more);
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    ///
    /// `ConnectionReset`; `BrokenPipe` after [`SimStream::shutdown`].
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let slices = [IoSlice::new(bytes)];
            let end = self.end;
            let write = poll_fn(|cx| self.world.with(|state| state.poll_write(end, cx, &slices)));
            bytes = &bytes[write.await?..];
        }
        Ok(())
    }

    /// Ends what this end sends; the other reads the end. Reading goes on.
    ///
    /// # Errors
    ///
    /// `NotConnected` after a reset.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.world.with(|state| state.shut(self.end.0, self.end.1))
    }

    /// Closes by a reset: the other end loses what it has not read.
    pub fn reset(self) {
        self.world.with(|state| state.abort(self.end.0, self.end.1));
    }
}

impl Read for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let most = buf.remaining();
        self.world
            .with(|state| state.poll_read(self.end, cx, most, |bytes| buf.put_slice(bytes)))
    }
}

impl Write for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (conn, at) = self.end;
        Poll::Ready(self.world.with(|state| state.shut(conn, at)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.world
            .with(|state| state.poll_write(self.end, cx, bufs))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let (conn, at) = self.end;
        self.world.with(|state| state.close(conn, at));
    }
}

impl std::fmt::Debug for SimStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimStream({} → {})", self.near, self.far)
    }
}
