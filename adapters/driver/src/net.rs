//! The network as a backend sees it: streams, timers and tasks of whatever [`Runtime`] the application chose.
//! So a backend names no runtime, works on one that a user wrote, and in the simulator.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::{Either, select};
use hyper::rt::{Read, Write};
use tideway::{BoxFuture, Now, Seed};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Runtime;

/// Between two connections to the same server: the first wait and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A connection that lasted so long was none that a server takes and drops.
const LASTED: Duration = Duration::from_secs(10);

/// A [`Runtime`] without its type, for clients of databases and other servers. Cheap to clone.
///
/// ```
/// # async fn example<R: tideway_driver::Runtime>(runtime: R) -> std::io::Result<()> {
/// use tideway_driver::Net;
///
/// let net = Net::of(runtime);
/// let stream = net.connect("127.0.0.1", 6379).await?; // tokio's `AsyncRead` and `AsyncWrite`, on any runtime
/// # drop(stream); Ok(()) }
/// ```
#[derive(Clone)]
pub struct Net(Arc<dyn Erased>);

impl Net {
    /// The network of `runtime`.
    #[must_use]
    pub fn of<R: Runtime>(runtime: R) -> Self {
        Self(Arc::new(runtime))
    }

    /// Connects to a TCP server; `host` is a name or an address.
    ///
    /// # Errors
    ///
    /// What the runtime says: no such host, connection refused, no descriptor left. It has no deadline of its
    /// own: race it with [`sleep`](Net::sleep).
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<NetStream> {
        self.0.connect(host, port).await
    }

    /// Runs `task` to its end in the background.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(Box::pin(task));
    }

    /// Completes after `time`.
    #[must_use]
    pub fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(time)
    }

    /// `task`; `None` if it takes longer than `time`.
    pub async fn within<T>(&self, time: Duration, task: impl Future<Output = T>) -> Option<T> {
        match select(pin!(task), self.sleep(time)).await {
            Either::Left((out, _)) => Some(out),
            Either::Right(_) => None,
        }
    }

    /// Runs `connection`, which is one from its opening to its end, again whenever it has ended, until `over` is
    /// done. It waits in between: 50 ms, twice as long each time up to a second, and 50 ms again after one that
    /// lasted 10 s. So a server that takes connections and drops them is not overrun.
    pub async fn reconnect<C: Future<Output = ()>>(
        &self,
        over: impl Future,
        connection: impl FnMut() -> C,
    ) {
        select(pin!(over), pin!(self.again_and_again(connection))).await;
    }

    async fn again_and_again<C: Future<Output = ()>>(&self, mut connection: impl FnMut() -> C) {
        let mut wait = WAITS.0;
        loop {
            let begun = self.now().mono;
            connection().await;
            if self.now().mono.since(begun) >= LASTED {
                wait = WAITS.0;
            }
            self.sleep(wait).await;
            wait = (wait * 2).min(WAITS.1);
        }
    }

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        self.0.now()
    }

    /// 32 bytes of entropy.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.0.seed()
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Net")
    }
}

trait Erased: Send + Sync {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<NetStream>>;
    fn spawn(&self, task: BoxFuture<'static, ()>);
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
    fn now(&self) -> Now;
    fn seed(&self) -> Seed;
}

impl<R: Runtime> Erased for R {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<NetStream>> {
        Box::pin(async move { Ok(NetStream::new(Runtime::connect(self, host, port).await?)) })
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        Runtime::spawn(self, task);
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.sleep_until(Runtime::now(self).mono.plus(time)))
    }

    fn now(&self) -> Now {
        Runtime::now(self)
    }

    fn seed(&self) -> Seed {
        Runtime::seed(self)
    }
}

/// A connected byte stream by tokio's traits, which clients of databases ask for. The traits alone: no
/// tokio runtime is behind it.
pub struct NetStream(Box<dyn Stream>);

trait Stream: Read + Write + Send + Unpin {}

impl<S: Read + Write + Send + Unpin> Stream for S {}

impl NetStream {
    fn new(stream: impl Read + Write + Send + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl fmt::Debug for NetStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetStream")
    }
}

impl AsyncRead for NetStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: the bytes are only handed on to hyper's `ReadBuf`, which never de-initialises any.
        let free: &mut [MaybeUninit<u8>] = unsafe { into.unfilled_mut() };
        let mut buffer = hyper::rt::ReadBuf::uninit(free);
        ready!(Pin::new(&mut self.0).poll_read(cx, buffer.unfilled()))?;
        let read = buffer.filled().len();
        // SAFETY: `filled` is initialised by the contract of hyper's `ReadBuf`, and starts where `free` does.
        unsafe { into.assume_init(read) };
        into.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for NetStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces)
    }
}
