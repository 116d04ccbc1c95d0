//! Connected byte streams. Reads go straight into hyper's spare memory, which is never zeroed
//! first, and writes are vectored down to the socket.
//!
//! After a read that did not fill the memory offered, the socket is empty: asking it again costs a
//! system call to hear so. The next read therefore waits for the reactor first, which watches by
//! level and so misses nothing that arrived in between.

use std::io::{self, IoSlice, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_io::Async;
use hyper::rt::{Read, ReadBufCursor, Write};
use socket2::SockRef;

/// A TCP or Unix connection on async-io. TCP is sent without delay (no Nagle).
#[derive(Debug)]
pub struct AsyncStream {
    socket: Socket,
    /// The socket was empty when last seen: wait for the reactor before reading.
    empty: bool,
}

#[derive(Debug)]
enum Socket {
    Tcp(Async<TcpStream>),
    Unix(Async<UnixStream>),
}

impl From<Async<TcpStream>> for AsyncStream {
    fn from(stream: Async<TcpStream>) -> Self {
        // Fails only on a connection that is gone already; reading will say so.
        let _ = stream.get_ref().set_nodelay(true);
        Self {
            socket: Socket::Tcp(stream),
            empty: false,
        }
    }
}

impl From<Async<UnixStream>> for AsyncStream {
    fn from(stream: Async<UnixStream>) -> Self {
        Self {
            socket: Socket::Unix(stream),
            empty: false,
        }
    }
}

/// Runs `$call` with whichever socket it is.
macro_rules! either {
    ($self:ident, $socket:ident => $call:expr) => {
        match &$self.socket {
            Socket::Tcp($socket) => $call,
            Socket::Unix($socket) => $call,
        }
    };
}

impl Read for AsyncStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.empty {
                ready!(either!(self, socket => socket.poll_readable(cx)))?;
                self.empty = false;
            }
            // SAFETY: `recv` only ever initialises bytes, it never uninitialises one.
            let spare = unsafe { buf.as_mut() };
            let offered = spare.len();
            match either!(self, socket => SockRef::from(socket).recv(spare)) {
                Ok(read) => {
                    // Nothing read is the end of the stream: no more readiness would come.
                    self.empty = 0 < read && read < offered;
                    // SAFETY: the system has written `read` bytes to the front of `spare`.
                    unsafe { buf.advance(read) };
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.empty = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncStream {
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        send: impl Fn(&Socket) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match send(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                sent => return Poll::Ready(sent),
            }
            ready!(either!(self, socket => socket.poll_writable(cx)))?;
        }
    }
}

impl Write for AsyncStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |socket| match socket {
            Socket::Tcp(tcp) => tcp.get_ref().write(buf),
            Socket::Unix(unix) => unix.get_ref().write(buf),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(either!(self, socket => socket.get_ref().shutdown(Shutdown::Write)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |socket| match socket {
            Socket::Tcp(tcp) => tcp.get_ref().write_vectored(bufs),
            Socket::Unix(unix) => unix.get_ref().write_vectored(bufs),
        })
    }
}
