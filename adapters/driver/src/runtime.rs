//! What a runtime must offer. Write this trait for yours, run the adapter suite, done.

use std::future::Future;
use std::io;
use std::pin::Pin;

use hyper::rt::{Read, Write};
use tideway::{Mono, Now, Peer, Seed};

/// An async runtime, as little of it as serving needs.
///
/// Cheap to clone. Signals are not here: they belong to an adapter's `run`.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A connected byte stream by the traits of [`rt`](crate::rt); `is_write_vectored` only if the inner type really has it.
    type Stream: Read + Write + Send + Unpin + 'static;
    /// A bound socket.
    type Listener: Listener<Stream = Self::Stream>;
    /// A timer.
    type Sleep: Sleep;

    /// Both clocks.
    fn now(&self) -> Now;
    /// 32 bytes of entropy, other ones at each call: a server, a worker and a store ask when they start.
    fn seed(&self) -> Seed;
    /// Completes at `at`, or at once if that has passed.
    fn sleep_until(&self, at: Mono) -> Self::Sleep;
    /// Runs `task` to its end in the background, whatever becomes of the caller.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
    /// Runs `work` where blocking disturbs nobody.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send;
    /// Adopts an already bound std socket, which does not block: the driver has seen to it, and who
    /// else calls this does with [`Bound::nonblocking`].
    fn listen(&self, on: Bound) -> io::Result<Self::Listener>;
    /// Connects to a TCP server; `host` is a name or an address.
    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A bound socket that yields connections.
pub trait Listener: Send + 'static {
    /// What it yields.
    type Stream: Read + Write + Send + Unpin + 'static;

    /// The next connection. Cancel-safe. A TLS handshake does not belong here: it would hold up
    /// every other connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
    /// The address it listens on.
    fn local(&self) -> io::Result<Peer>;
}

/// A timer that can be moved.
pub trait Sleep: Future<Output = ()> + Send + Sync + 'static {
    /// Moves the deadline; also after it has fired.
    fn reset(self: Pin<&mut Self>, at: Mono);
}

/// A socket bound with std: by the adapter, by systemd, by a test.
#[derive(Debug)]
#[non_exhaustive]
pub enum Bound {
    /// A TCP listener.
    Tcp(std::net::TcpListener),
    /// A Unix listener; its socket file is the caller's to remove.
    Unix(std::os::unix::net::UnixListener),
}

impl Bound {
    /// The same socket, made non-blocking: std binds sockets that block, an inherited one may, and
    /// accepting from one would hold up a whole thread.
    pub fn nonblocking(self) -> io::Result<Self> {
        match &self {
            Bound::Tcp(socket) => socket.set_nonblocking(true)?,
            Bound::Unix(socket) => socket.set_nonblocking(true)?,
        }
        Ok(self)
    }
}
