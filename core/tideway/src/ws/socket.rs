//! A socket as its handler sees it. It names no runtime and reads no stream: messages come and go through the place
//! where the handler meets its connection.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tideway_engine::hub::{self, Close, Frame, Ticket};
use tideway_engine::ws::{CloseCode, CloseError, Encoded, MAX_REASON, Parcel};

use super::hub::round;
use super::meeting::{Meeting, Share, State};
use super::{Cause, Closed, Message};

/// An open WebSocket. Both halves in one; [`split`](Self::split) it to send from other tasks.
///
/// A server's closes when the handler returns: 1000, or 1011 if it panicked. A client's closes when all of it is dropped:
/// 1000.
#[derive(Debug)]
pub struct Socket {
    sender: Sender,
    receiver: Receiver,
}

/// The sending half. Clones send on the same socket.
#[derive(Clone)]
pub struct Sender(Share);

/// The receiving half. Dropped, it lets messages come and go unseen, so that the socket still sees its peer close.
pub struct Receiver(Share);

/// Why a message was not queued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Nothing can be sent any more; the message is lost.
    #[error("the socket is closed: stop sending")]
    Closed,
    /// There is no room now ([`Sender::try_send`] only).
    #[error(
        "the peer reads too slowly and the queue is full: wait with `send`, or drop the message"
    )]
    Full,
    /// It would not fit into an empty queue.
    #[error(
        "a message of {bytes} bytes can never be queued, {limit} can: raise `max_queue` or send less"
    )]
    TooLarge {
        /// Of the frame.
        bytes: usize,
        /// Of the queue.
        limit: usize,
    },
    /// Too many sends wait already.
    #[error("1024 sends wait for this socket already: let some of them finish first")]
    Crowded,
    /// The value is not JSON.
    #[error("the value cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<hub::SendError> for SendError {
    fn from(error: hub::SendError) -> Self {
        match error {
            hub::SendError::Full | hub::SendError::NotYet => Self::Full,
            hub::SendError::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            hub::SendError::Crowded => Self::Crowded,
            _ => Self::Closed,
        }
    }
}

impl Socket {
    pub(super) fn new(meeting: &Arc<Meeting>) -> Self {
        Self {
            sender: Sender(Share::new(meeting)),
            receiver: Receiver(Share::new(meeting)),
        }
    }

    /// The next message; `None` once none will come. Cancel-safe: what was not returned is returned next time.
    pub async fn recv(&mut self) -> Option<Message> {
        self.receiver.recv().await
    }

    /// The next message, read as JSON.
    ///
    /// # Errors
    ///
    /// The message is not JSON, or not of this shape. The socket stays open.
    pub async fn recv_json<T: DeserializeOwned>(&mut self) -> Option<Result<T, serde_json::Error>> {
        self.receiver.recv_json().await
    }

    /// [`Sender::send`].
    pub fn send(&self, message: impl Into<Encoded>) -> Sending<'_> {
        self.sender.send(message)
    }

    /// [`Sender::send_json`].
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub async fn send_json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), SendError> {
        json(value)?.sent_by(&self.sender).await
    }

    /// [`Sender::close`].
    ///
    /// # Errors
    ///
    /// [`CloseError`].
    pub fn close(&self, code: CloseCode, reason: &'static str) -> Result<(), CloseError> {
        self.sender.close(code, reason)
    }

    /// [`Receiver::over`].
    pub async fn over(&mut self) -> Closed {
        self.receiver.over().await
    }

    /// [`Receiver::closed`].
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.receiver.closed()
    }

    /// The subprotocol agreed to.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.sender.protocol()
    }

    /// Both halves.
    #[must_use]
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }
}

impl AsRef<Sender> for Socket {
    fn as_ref(&self) -> &Sender {
        &self.sender
    }
}

impl AsRef<Sender> for Sender {
    fn as_ref(&self) -> &Sender {
        self
    }
}

impl Receiver {
    /// The next message; `None` once none will come. Cancel-safe: what was not returned is returned next time.
    pub async fn recv(&mut self) -> Option<Message> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next message, read as JSON.
    ///
    /// # Errors
    ///
    /// The message is not JSON, or not of this shape. The socket stays open.
    pub async fn recv_json<T: DeserializeOwned>(&mut self) -> Option<Result<T, serde_json::Error>> {
        self.recv().await.map(|message| message.json())
    }

    /// How the socket ended: there once [`recv`](Self::recv) gave `None`, and never before messages can no longer come.
    ///
    /// ```
    /// # use tideway::ws::Socket;
    /// # async fn example(mut socket: Socket) {
    /// while let Some(message) = socket.recv().await {
    ///     println!("{} bytes", message.as_bytes().len());
    /// }
    /// if let Some(closed) = socket.closed() {
    ///     println!("{}: {} {}", closed.cause, closed.code, closed.reason);
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.0.lock().closed().cloned()
    }

    /// Waits until all is over: Close sent and answered, or given up on, and the stream closed. Messages that still come
    /// are dropped. A program that opened the socket and ends then has told its peer everything.
    pub async fn over(&mut self) -> Closed {
        while self.recv().await.is_some() {}
        let poll = |cx: &mut Context<'_>| match self.0.lock().ended(cx.waker()) {
            Ok(closed) => Poll::Ready(closed),
            Err(_) => Poll::Pending,
        };
        poll_fn(poll).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let mut state = self.0.lock();
        let taken = state.take(cx.waker());
        let behind = state.has_message();
        drop(state);
        round::read(&self.0, behind);
        let Ok((message, task)) = taken else {
            return Poll::Pending;
        };
        if let Some(task) = task {
            task.wake();
        }
        Poll::Ready(message)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let wakes = self.0.lock().deafen();
        wakes.wake();
    }
}

impl Sender {
    /// Queues a message, once there is room for it under the queue's cap
    /// ([`Config::max_queue`](super::Config::max_queue)). Ready says that it is queued, not that the peer has it.
    /// Dropped before that, nothing is queued.
    ///
    /// # Errors
    ///
    /// [`SendError`], when awaited.
    pub fn send(&self, message: impl Into<Encoded>) -> Sending<'_> {
        Sending {
            meeting: &self.0,
            frame: Some(Parcel::One(message.into())),
            ticket: None,
        }
    }

    /// Queues a message if there is room for it now, and nobody waits.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the message is lost then.
    pub fn try_send(&self, message: impl Into<Encoded>) -> Result<(), SendError> {
        round::settle();
        let mut frame = Some(Parcel::One(message.into()));
        let mut state = self.0.lock();
        let wake = state.outbox.send_from(&mut frame)?;
        let wakes = state.after(wake);
        drop(state);
        wakes.wake();
        Ok(())
    }

    /// [`send`](Self::send)s a value as JSON text.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub async fn send_json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), SendError> {
        json(value)?.sent_by(self).await
    }

    /// Closes behind what is queued. Messages still come until the peer answers.
    ///
    /// # Errors
    ///
    /// [`CloseError`]; nothing happened then.
    pub fn close(&self, code: CloseCode, reason: &'static str) -> Result<(), CloseError> {
        if reason.len() > MAX_REASON {
            return Err(CloseError::ReasonTooLong);
        }
        round::settle();
        let mut state = self.0.lock();
        if !state.outbox.is_open() {
            return Err(CloseError::Closed);
        }
        let code = code.as_u16();
        let wakes = state.finish(Close { code, reason }, Cause::Handler);
        drop(state);
        wakes.wake();
        Ok(())
    }

    pub(super) fn meeting(&self) -> &Arc<Meeting> {
        self.0.meeting()
    }

    /// Whether nothing can be sent any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.0.lock().outbox.is_open()
    }

    /// [`Receiver::closed`].
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.0.lock().closed().cloned()
    }

    /// The subprotocol agreed to.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.0.protocol.as_deref()
    }
}

/// A value as text, ready to be sent.
struct Json(Encoded);

fn json<T: Serialize + ?Sized>(value: &T) -> Result<Json, SendError> {
    Ok(Json(serde_json::to_string(value)?.into()))
}

impl Json {
    async fn sent_by(self, sender: &Sender) -> Result<(), SendError> {
        sender.send(self.0).await
    }
}

/// A message that waits for room; see [`Sender::send`].
#[must_use = "nothing is sent until this is awaited"]
pub struct Sending<'a> {
    meeting: &'a Meeting,
    /// `None` once it is queued.
    frame: Option<Parcel>,
    /// Its place in the line.
    ticket: Option<Ticket>,
}

impl Future for Sending<'_> {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        round::settle();
        let this = &mut *self;
        let meeting = this.meeting;
        let mut state = meeting.lock();
        let mut sent = match this.ticket {
            None => state.outbox.send_from(&mut this.frame),
            Some(_) => Err(hub::SendError::Full),
        };
        if sent == Err(hub::SendError::Full) {
            sent = match this.wait(&mut state, cx) {
                Ok(sent) => sent,
                Err(task) => {
                    drop(state);
                    task.into_iter().for_each(Waker::wake);
                    return Poll::Pending;
                }
            };
        }
        let wakes = state.after(sent == Ok(true));
        drop(state);
        wakes.wake();
        Poll::Ready(sent.map(drop).map_err(SendError::from))
    }
}

impl Sending<'_> {
    /// Joins the line, unless it stands there. `Err`: its turn has not come; and the connection's task, if it is to be
    /// woken.
    #[inline(never)]
    fn wait(
        &mut self,
        state: &mut State,
        cx: &Context<'_>,
    ) -> Result<Result<bool, hub::SendError>, Option<Waker>> {
        let Some(frame) = &self.frame else {
            return Ok(Ok(false));
        };
        let ticket = match self.ticket {
            Some(ticket) => ticket,
            None => match state.outbox.wait(frame.allocated()) {
                Ok(ticket) => *self.ticket.insert(ticket),
                Err(error) => return Ok(Err(error)),
            },
        };
        // Its turn may be at once.
        let sent = state.outbox.redeem(ticket, frame);
        if sent == Err(hub::SendError::NotYet) {
            return Err(state.waits(ticket, cx.waker()));
        }
        self.ticket = None;
        state.forget(ticket);
        Ok(sent)
    }

    #[inline(never)]
    fn withdraw(&mut self, ticket: Ticket) {
        let mut state = self.meeting.lock();
        state.outbox.withdraw(ticket);
        state.forget(ticket);
        let wakes = state.told();
        drop(state);
        wakes.wake();
    }
}

impl Drop for Sending<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.withdraw(ticket);
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender(..)")
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver(..)")
    }
}

impl fmt::Debug for Sending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending(..)")
    }
}
