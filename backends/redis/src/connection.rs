//! One connection to one server, and the pool of them. Never waits without a deadline; a connection that did not
//! answer in time, or that nobody waited for, is not used again.
//!
//! Commands and values are those of the crate `redis`. Its connections are not used: each of its asynchronous ones
//! brings a runtime of its own choosing.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use redis::Value;
use tideway::jobs::StoreError;
use tideway_driver::{Net, NetStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::{refused, transient, unreadable};
use crate::replies::{Coming, Input};
use crate::url::{Address, Login};

/// Makes connections to one server.
pub(crate) struct Connecting {
    pub(crate) net: Net,
    pub(crate) address: Address,
    pub(crate) login: Login,
    pub(crate) timeout: Duration,
}

/// A connection.
pub(crate) struct Connection {
    stream: NetStream,
    input: Input,
    /// Outlives a caller that stops waiting: what was taken does not come again.
    coming: Coming,
    /// Replies are on their way.
    busy: bool,
    /// Bytes that have come so far.
    received: u64,
}

impl Connecting {
    /// Connects and logs in.
    pub(crate) async fn connect(&self) -> Result<Connection, StoreError> {
        let (host, port) = &self.address;
        let made = self.net.within(self.timeout, async {
            let unreached = |error: io::Error| {
                transient(format!("no connection to Redis at {host}:{port}: {error}"))
            };
            let stream = self.net.connect(host, *port).await.map_err(unreached)?;
            let mut connection = Connection {
                stream,
                input: Input::default(),
                coming: Coming::default(),
                busy: false,
                received: 0,
            };
            let greeting = self.login.greeting();
            let packed = greeting.get_packed_pipeline();
            let sent = connection.send(&packed, greeting.len()).await;
            let replies = sent.map_err(unreached)?;
            for reply in replies {
                if let Value::ServerError(error) = reply {
                    return Err(refused(&error));
                }
            }
            Ok(connection)
        });
        made.await.unwrap_or_else(|| {
            Err(transient(format!(
                "no connection to Redis at {host}:{port} in {:?}",
                self.timeout
            )))
        })
    }

    /// Connects and subscribes to `channel`.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<Connection, StoreError> {
        let mut connection = self.connect().await?;
        let subscribe = redis::cmd("SUBSCRIBE").arg(channel).get_packed_command();
        let sent = connection.send(&subscribe, 1);
        match self.net.within(self.timeout, sent).await {
            Some(Ok(mut replies)) => match replies.pop() {
                Some(Value::ServerError(error)) => Err(refused(&error)),
                Some(_) => Ok(connection),
                None => Err(unreadable()),
            },
            Some(Err(error)) => Err(transient(format!("no subscription at Redis: {error}"))),
            None => Err(transient("Redis did not confirm a subscription in time")),
        }
    }
}

impl Connection {
    /// The replies to packed `commands`, of which there are `count`; errors of the server are values.
    pub(crate) async fn send(&mut self, commands: &[u8], count: usize) -> io::Result<Vec<Value>> {
        self.busy = true;
        self.write(commands).await?;
        let mut replies = Vec::with_capacity(count);
        while replies.len() < count {
            replies.push(self.reply().await?);
        }
        self.busy = false;
        Ok(replies)
    }

    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        poll_fn(|cx| self.poll_write(cx, &mut bytes)).await
    }

    /// Takes from the front of `bytes` what it writes; ready when all of them are with the system.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut &[u8],
    ) -> Poll<io::Result<()>> {
        while !bytes.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *bytes = &bytes[written..];
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// The next reply, or what the server pushes.
    pub(crate) async fn reply(&mut self) -> io::Result<Value> {
        poll_fn(|cx| self.poll_reply(cx)).await
    }

    /// As [`reply`](Self::reply).
    pub(crate) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Value>> {
        loop {
            if let Some(value) = self.coming.take(&mut self.input)? {
                return Poll::Ready(Ok(value));
            }
            if ready!(self.poll_more(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// How many bytes have come so far.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(self.input.room());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into))?;
        let read = into.filled().len();
        self.input.came(read);
        self.received += read as u64;
        Poll::Ready(Ok(read))
    }

    /// Whether it can be used: nothing is on its way, and the server has not closed it.
    fn is_idle(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !self.busy && self.input.is_empty() && self.poll_more(&mut cx).is_pending()
    }
}

impl Manager for Connecting {
    type Type = Connection;
    type Error = StoreError;

    async fn create(&self) -> Result<Connection, StoreError> {
        self.connect().await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<StoreError> {
        if connection.is_idle() {
            Ok(())
        } else {
            Err(RecycleError::message("it is closed or not in step"))
        }
    }
}

/// Sends packed `commands` on a connection of `pool` and waits for all replies.
pub(crate) async fn exchange(
    pool: &Pool<Connecting>,
    commands: &[u8],
    count: usize,
) -> Result<Vec<Value>, StoreError> {
    let Connecting {
        net,
        timeout,
        address: (host, port),
        ..
    } = pool.manager();
    let mut connection = match net.within(*timeout, pool.get()).await {
        Some(Ok(connection)) => connection,
        Some(Err(PoolError::Backend(error))) => return Err(error),
        Some(Err(error)) => return Err(transient(format!("no connection to Redis: {error}"))),
        None => {
            return Err(transient(format!(
                "all {} connections to Redis at {host}:{port} were busy for {timeout:?}: give `Options::connections` more",
                pool.status().max_size
            )));
        }
    };
    let sent = net.within(*timeout, connection.send(commands, count)).await;
    let demoted =
        |value: &Value| matches!(value, Value::ServerError(error) if error.code() == "READONLY");
    match sent {
        Some(Ok(values)) => {
            if values.iter().any(demoted) {
                // The name in the URL may lead to another server since.
                drop(Object::take(connection));
            }
            Ok(values)
        }
        Some(Err(error)) => {
            drop(Object::take(connection));
            Err(StoreError::Ambiguous(
                format!("the connection to Redis at {host}:{port} broke: {error}").into(),
            ))
        }
        None => {
            drop(Object::take(connection));
            Err(StoreError::Ambiguous(
                format!("Redis at {host}:{port} did not answer in {timeout:?}").into(),
            ))
        }
    }
}
