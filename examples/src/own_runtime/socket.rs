//! Sockets that wait for the runtime's epoll. TCP and Unix differ in nothing here but the name of the peer.
//!
//! Readiness is told once per change ("edge"), so it is remembered until the socket says that it
//! has nothing left.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, SocketFlags, sockopt};
use tideway::Peer;
use tideway_driver::rt::{Read, ReadBufCursor, Write};
use tideway_driver::{Bound, Listener};

use super::{Own, locked};

/// What epoll has told about a socket, per direction.
#[derive(Default)]
pub(super) struct Readiness {
    read: Mutex<Side>,
    write: Mutex<Side>,
}

#[derive(Default)]
struct Side {
    ready: bool,
    /// The peer has ended it: no further event will come, and every try gives an answer.
    ended: bool,
    waiting: Option<Waker>,
}

impl Readiness {
    pub(super) fn happened(&self, flags: EventFlags) {
        let broken = EventFlags::HUP | EventFlags::ERR;
        let tell = |side: &Mutex<Side>, on: EventFlags, end: EventFlags| {
            if flags.intersects(on | end) {
                let mut side = locked(side);
                side.ready = true;
                side.ended |= flags.intersects(end);
                let waker = side.waiting.take();
                drop(side);
                waker.into_iter().for_each(Waker::wake);
            }
        };
        tell(&self.read, EventFlags::IN, EventFlags::RDHUP | broken);
        tell(&self.write, EventFlags::OUT, broken);
    }
}

/// Tries `call` while the side is ready. `call` says what came, and whether there may be more.
fn attempt<T>(
    side: &Mutex<Side>,
    cx: &Context<'_>,
    mut call: impl FnMut() -> Result<(T, bool), Errno>,
) -> Poll<io::Result<T>> {
    loop {
        {
            let mut side = locked(side);
            if !side.ready {
                side.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        // Events are taken between polls, on this same thread: none is lost in here.
        let more = match call() {
            Ok((value, more)) => {
                let mut side = locked(side);
                side.ready = more || side.ended;
                return Poll::Ready(Ok(value));
            }
            Err(Errno::AGAIN) => false,
            Err(Errno::INTR) => true,
            Err(error) => return Poll::Ready(Err(error.into())),
        };
        locked(side).ready = more;
    }
}

/// A connection.
pub struct Socket {
    rt: Own,
    id: u64,
    ready: Arc<Readiness>,
    fd: OwnedFd,
}

impl Socket {
    /// `fd` must not block.
    pub(super) fn new(rt: &Own, fd: OwnedFd) -> io::Result<Self> {
        // Fails on a Unix socket, which has no Nagle to turn off.
        let _ = sockopt::set_tcp_nodelay(&fd, true);
        let (id, ready) = rt.watch(fd.as_fd())?;
        let rt = rt.clone();
        Ok(Self { rt, id, ready, fd })
    }
}

impl Drop for Socket {
    /// Closing the descriptor takes it out of epoll.
    fn drop(&mut self) {
        self.rt.forget(self.id);
    }
}

impl Read for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; 16 * 1024];
        let offered = buf.remaining().min(bytes.len());
        let read = attempt(&self.ready.read, cx, || {
            let (read, _) = rustix::net::recv(&self.fd, &mut bytes[..offered], RecvFlags::empty())?;
            // A short read has emptied the socket: asking again would cost a call to hear so.
            Ok((read, read == offered || read == 0))
        });
        read.map_ok(|read| buf.put_slice(&bytes[..read]))
    }
}

impl Write for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&self.fd, Shutdown::Write).map_err(io::Error::from))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        attempt(&self.ready.write, cx, || {
            rustix::io::writev(&self.fd, bufs).map(|written| (written, true))
        })
    }
}

/// A bound socket.
pub struct Listening {
    inner: Socket,
    local: Peer,
}

impl Listening {
    pub(super) fn new(rt: &Own, on: Bound) -> io::Result<Self> {
        let (fd, local) = match on {
            Bound::Tcp(socket) => {
                let local = Peer::Tcp(socket.local_addr()?);
                (socket.into(), local)
            }
            Bound::Unix(socket) => (socket.into(), Peer::Unix),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let inner = Socket::new(rt, fd)?;
        Ok(Self { inner, local })
    }
}

impl Listener for Listening {
    type Stream = Socket;

    async fn accept(&mut self) -> io::Result<(Socket, Peer)> {
        let Socket { rt, ready, fd, .. } = &self.inner;
        let (fd, from) = std::future::poll_fn(|cx| {
            attempt(&ready.read, cx, || {
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                rustix::net::acceptfrom_with(fd, flags).map(|accepted| (accepted, true))
            })
        })
        .await?;
        let from = from.and_then(|from| SocketAddr::try_from(from).ok());
        Ok((Socket::new(rt, fd)?, from.map_or(Peer::Unix, Peer::Tcp)))
    }

    fn local(&self) -> io::Result<Peer> {
        Ok(self.local)
    }
}
