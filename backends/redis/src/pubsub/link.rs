//! The connection of a handle: what is asked of the server, what it says, and whether it still says anything. Commands
//! are sent without waiting for the replies of those before; the replies come in their order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_channel::Receiver;
use redis::{PushKind, ServerError, Value};
use tideway::pubsub::{Channel, PubSubError};
use tideway::{BoxFuture, Mono};
use tideway_driver::Net;

use super::outgoing::Publisher;
use super::{Shared, told};
use crate::connection::{Connecting, Connection};
use crate::error::{refused, unreadable};

/// A connection that says nothing for this long is asked, and given up after as much again.
const QUIET: Duration = Duration::from_secs(4);
/// Channels in one command.
const BATCH: usize = 512;
/// Bytes that wait to be written before more are made: one command may exceed it.
const AHEAD: usize = 64 << 10;
/// Commands whose replies have not come.
const OWED: usize = 4096;
/// Replies that are read before others have their turn.
const TURN: usize = 256;
/// Room that grew beyond this for a message is given back.
const KEPT: usize = 1 << 20;

/// The servers, of which any will do.
pub(super) struct Line {
    servers: Vec<Connecting>,
    next: usize,
}

impl Line {
    pub(super) const fn new(servers: Vec<Connecting>) -> Self {
        Self { servers, next: 0 }
    }

    /// A connection to the first server that answers, beginning behind the one tried last.
    pub(super) async fn connect(&mut self) -> Result<Connection, PubSubError> {
        let mut last = PubSubError::Fatal("the URL has no host".into());
        for _ in 0..self.servers.len() {
            let server = &self.servers[self.next % self.servers.len()];
            self.next = self.next.wrapping_add(1);
            match server.connect().await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = told(error),
            }
        }
        Err(last)
    }
}

/// Keeps a connection until the handle is closed.
pub(super) async fn run(
    net: Net,
    shared: Arc<Shared>,
    line: Line,
    first: Connection,
    closed: Receiver<()>,
) {
    // One connection is over before the next begins, so this is never waited for.
    let state = Arc::new(futures_util::lock::Mutex::new((line, Some(first))));
    let connection = || {
        let (net, shared, state) = (net.clone(), shared.clone(), state.clone());
        async move {
            let mut state = state.lock().await;
            let (line, first) = &mut *state;
            let connection = match first.take() {
                Some(first) => first,
                None => match line.connect().await {
                    Ok(connection) => {
                        shared.connected();
                        connection
                    }
                    Err(why) => return shared.outgoing.disconnected(&why),
                },
            };
            let why = Link::new(&net, &shared, connection).ended().await;
            shared.disconnected(&why);
        }
    };
    net.reconnect(closed.recv(), connection).await;
}

/// A reply that is to come.
enum Owed {
    Publish(Publisher),
    /// Confirmed one by one, or refused together; so many have been.
    Subscribe(Vec<Channel>, usize),
    Unsubscribe(usize),
    Ping,
}

struct Link<'a> {
    net: &'a Net,
    shared: &'a Shared,
    connection: Connection,
    /// What is to be written, and how much of it was.
    out: Vec<u8>,
    written: usize,
    owed: VecDeque<Owed>,
    /// When anything was heard last, and whether it was asked since.
    heard: Mono,
    asked: bool,
    alarm: BoxFuture<'static, ()>,
}

impl<'a> Link<'a> {
    fn new(net: &'a Net, shared: &'a Shared, connection: Connection) -> Self {
        Self {
            net,
            shared,
            connection,
            out: Vec::new(),
            written: 0,
            owed: VecDeque::new(),
            heard: net.now().mono,
            asked: false,
            alarm: net.sleep(QUIET),
        }
    }

    /// Works until the connection ends; why it did.
    async fn ended(mut self) -> PubSubError {
        let why = poll_fn(|cx| self.poll(cx)).await;
        for owed in self.owed {
            if let Owed::Publish(publisher) = owed {
                // Nobody may wait any more.
                let _ = publisher.send(Err(why.clone()));
            }
        }
        why
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<PubSubError> {
        match self.work(cx) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        }
    }

    /// Does all there is to do now.
    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), PubSubError> {
        let before = self.connection.received();
        self.hear(cx)?;
        if self.connection.received() > before {
            (self.heard, self.asked) = (self.net.now().mono, false);
        }
        self.mind(cx)?;
        loop {
            self.fill(cx);
            if self.written == self.out.len() || self.write(cx)?.is_pending() {
                return Ok(());
            }
        }
    }

    fn hear(&mut self, cx: &mut Context<'_>) -> Result<(), PubSubError> {
        for _ in 0..TURN {
            match self.connection.poll_reply(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(value)) => self.take(value)?,
                Poll::Ready(Err(error)) => return Err(broken(&error)),
            }
        }
        // There may be more, and nobody else tells.
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Makes commands of what waits to be asked and published.
    fn fill(&mut self, cx: &mut Context<'_>) {
        while self.out.len() - self.written < AHEAD && self.owed.len() < OWED {
            if let Poll::Ready(Some(orders)) = self.shared.inbox.poll_orders(cx, BATCH) {
                if !orders.unsubscribe.is_empty() {
                    put(&mut self.out, "UNSUBSCRIBE", &orders.unsubscribe, None);
                    let count = orders.unsubscribe.len();
                    self.owed.push_back(Owed::Unsubscribe(count));
                }
                if !orders.subscribe.is_empty() {
                    put(&mut self.out, "SUBSCRIBE", &orders.subscribe, None);
                    self.owed.push_back(Owed::Subscribe(orders.subscribe, 0));
                }
                continue;
            }
            let Some(message) = self.shared.outgoing.pop(cx) else {
                return;
            };
            let channel = std::slice::from_ref(&message.channel);
            put(&mut self.out, "PUBLISH", channel, Some(&message.payload));
            self.owed.push_back(Owed::Publish(message.publisher));
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, PubSubError> {
        let mut rest = &self.out[self.written..];
        let polled = self.connection.poll_write(cx, &mut rest);
        self.written = self.out.len() - rest.len();
        match polled {
            Poll::Pending => {
                if self.written > AHEAD {
                    self.out.drain(..self.written);
                    self.written = 0;
                }
                Ok(Poll::Pending)
            }
            Poll::Ready(Err(error)) => Err(broken(&error)),
            Poll::Ready(Ok(())) => {
                self.out.clear();
                self.written = 0;
                self.out.shrink_to(KEPT);
                Ok(Poll::Ready(()))
            }
        }
    }

    /// Asks a server that says nothing, and gives it up if it goes on so.
    fn mind(&mut self, cx: &mut Context<'_>) -> Result<(), PubSubError> {
        while self.alarm.as_mut().poll(cx).is_ready() {
            let quiet = self.net.now().mono.since(self.heard);
            if quiet < QUIET {
                self.alarm = self.net.sleep(QUIET - quiet);
                continue;
            }
            if self.asked {
                return Err(PubSubError::Transient(
                    format!("Redis said nothing for {quiet:?}, though it was asked").into(),
                ));
            }
            self.asked = true;
            put(&mut self.out, "PING", &[], None);
            self.owed.push_back(Owed::Ping);
            self.alarm = self.net.sleep(QUIET);
        }
        Ok(())
    }

    /// Takes what the server says.
    fn take(&mut self, value: Value) -> Result<(), PubSubError> {
        match value {
            Value::Push { kind, data } => self.pushed(&kind, data),
            Value::ServerError(error) => match self.owed.pop_front() {
                Some(Owed::Publish(publisher)) => {
                    let _ = publisher.send(Err(no(&error)));
                    Ok(())
                }
                Some(Owed::Subscribe(channels, _)) => {
                    for channel in channels {
                        self.shared.inbox.refused(&channel);
                    }
                    Ok(())
                }
                _ => Err(no(&error)),
            },
            _ => match self.owed.pop_front() {
                Some(Owed::Publish(publisher)) => {
                    let _ = publisher.send(Ok(()));
                    Ok(())
                }
                Some(Owed::Ping) => Ok(()),
                _ => Err(told(unreadable())),
            },
        }
    }

    fn pushed(&mut self, kind: &PushKind, data: Vec<Value>) -> Result<(), PubSubError> {
        let mut data = data.into_iter();
        let Some(Value::BulkString(channel)) = data.next() else {
            return Ok(());
        };
        // What is no text is nobody's channel.
        let channel = std::str::from_utf8(&channel).unwrap_or_default();
        match (kind, data.next()) {
            (PushKind::Message, Some(Value::BulkString(payload))) => {
                self.shared.inbox.message(channel, payload.into(), None);
                Ok(())
            }
            (PushKind::Subscribe, _) => {
                let Some(Owed::Subscribe(channels, done)) = self.owed.front_mut() else {
                    return Err(told(unreadable()));
                };
                *done += 1;
                if *done == channels.len() {
                    self.owed.pop_front();
                }
                self.shared.inbox.subscribed(channel);
                Ok(())
            }
            (PushKind::Unsubscribe, _) => {
                let Some(Owed::Unsubscribe(left)) = self.owed.front_mut() else {
                    return Err(told(unreadable()));
                };
                *left -= 1;
                if *left == 0 {
                    self.owed.pop_front();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Appends a command.
fn put(out: &mut Vec<u8>, name: &str, channels: &[Channel], payload: Option<&[u8]>) {
    let count = 1 + channels.len() + usize::from(payload.is_some());
    out.extend_from_slice(format!("*{count}\r\n").as_bytes());
    let texts = channels.iter().map(|channel| channel.as_bytes());
    let parts = std::iter::once(name.as_bytes()).chain(texts).chain(payload);
    for part in parts {
        out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

fn broken(error: &io::Error) -> PubSubError {
    PubSubError::Transient(format!("the connection to Redis broke: {error}").into())
}

/// The server's answer to a command it did not run.
fn no(error: &ServerError) -> PubSubError {
    if error.code() == "NOPERM" {
        let detail = error.details().unwrap_or_default();
        return PubSubError::Fatal(
            format!(
                "the user of the URL may not do this: grant it PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PING and the channels \
                 of the prefix ({detail})"
            )
            .into(),
        );
    }
    told(refused(error))
}
