//! Connected byte streams. Reads go straight into hyper's spare memory, which is never zeroed
//! first, and writes are vectored down to the socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A TCP or Unix connection on tokio. TCP is sent without delay (no Nagle).
#[derive(Debug)]
pub struct TokioStream(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpStream> for TokioStream {
    fn from(stream: TcpStream) -> Self {
        // Fails only on a connection that is gone already; reading will say so.
        let _ = stream.set_nodelay(true);
        Self(Inner::Tcp(stream))
    }
}

impl From<UnixStream> for TokioStream {
    fn from(stream: UnixStream) -> Self {
        Self(Inner::Unix(stream))
    }
}

/// Runs `$call` on whichever stream it is.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().0 {
            Inner::Tcp($stream) => $call,
            Inner::Unix($stream) => $call,
        }
    };
}

impl Read for TokioStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: tokio's `ReadBuf` only ever initialises bytes, it never uninitialises one.
        let mut spare = ReadBuf::uninit(unsafe { buf.as_mut() });
        ready!(either!(self, stream => Pin::new(stream).poll_read(cx, &mut spare)))?;
        let read = spare.filled().len();
        // SAFETY: `filled` bytes have been initialised by the read above, in this very memory.
        unsafe { buf.advance(read) };
        Poll::Ready(Ok(()))
    }
}

impl Write for TokioStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }
}
