//! A socket from its upgrade to its end: protocol, handler and what passes between them, driven by bytes and time. It
//! reads no stream and no clock; a driver does, and a test.

use std::future::Future;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tideway_engine::hub::{Close, Frame as _, Outgoing, Rate};
use tideway_engine::ws::{CloseCode, Codecs, Config, Conn, Deflate, End, Role};
use tideway_engine::{Mono, Seed};

use super::closed::OnClose;
use super::hub::round;
use super::meeting::Meeting;
use super::{Cause, Closed, Message, Socket};
use crate::error::caught;
use crate::tasks::BoxFuture;

/// How long a handler may go on once its socket is over, before it is dropped.
const LINGER: Duration = Duration::from_secs(10);

/// How long our Close waits at most for answers to what came before the peer's, if whoever reads is not polled here: a
/// handler is, and answers first.
const ANSWERING: Duration = Duration::from_millis(100);

const PANICKED: Close = Close {
    code: 1011,
    reason: "internal error",
};

/// An upgrade that was answered with 101 and has no stream yet. For drivers, which take it from the response's
/// [`Body`](crate::Body::take_upgrade).
pub struct Upgrade(Box<Waiting>);

struct Waiting {
    meeting: Arc<Meeting>,
    role: Role,
    config: Arc<Config>,
    deflate: Option<Deflate>,
    rate: Option<Rate>,
    // Dropped before `on_close`, which is told when the handler is gone.
    handler: Option<BoxFuture<'static, ()>>,
    on_close: OnClose,
}

impl Upgrade {
    pub(super) fn new<F, Fut>(
        config: Arc<Config>,
        deflate: Option<Deflate>,
        protocol: Option<Box<str>>,
        rate: Option<Rate>,
        on_close: OnClose,
        handler: F,
    ) -> Self
    where
        F: FnOnce(Socket) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let meeting = Arc::new(Meeting::new(&config, protocol, Role::Server));
        let socket = Socket::new(&meeting);
        Self(Box::new(Waiting {
            meeting,
            role: Role::Server,
            config,
            deflate,
            rate,
            // Called when it is first polled, where a panic is caught.
            handler: Some(Box::pin(async move { handler(socket).await })),
            on_close,
        }))
    }

    /// Of a client, whose socket is in other hands.
    pub(super) fn client(
        meeting: Arc<Meeting>,
        config: Arc<Config>,
        deflate: Option<Deflate>,
    ) -> Self {
        Self(Box::new(Waiting {
            meeting,
            role: Role::Client,
            config,
            deflate,
            rate: None,
            handler: None,
            on_close: OnClose::default(),
        }))
    }

    /// The socket, once there is a stream; `read` are bytes of it that were read already.
    #[must_use]
    pub fn start(self, now: Mono, seed: &Seed, read: Vec<u8>) -> Session {
        let Waiting {
            meeting,
            role,
            config,
            deflate,
            rate,
            handler,
            on_close,
        } = *self.0;
        Session {
            deflates: deflate.is_some(),
            conn: Conn::new(role, config, deflate, seed, now),
            handler,
            rest: read,
            rate: rate.map(|rate| {
                Box::new(Limited {
                    rate,
                    until: None,
                    paid: false,
                })
            }),
            meeting,
            cause: None,
            given: 0,
            awaited: false,
            handler_until: None,
            closed: None,
            room: true,
            news: true,
            task: None,
            attended: false,
            reader: None,
            gone: false,
            answers_until: None,
            over: false,
            stopping: false,
            on_close,
        }
    }
}

impl std::fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upgrade(..)")
    }
}

/// A socket.
///
/// - questions: [`wants_bytes`](Self::wants_bytes), [`is_over`](Self::is_over), [`has_sent_all`](Self::has_sent_all),
///   [`has_output`](Self::has_output), [`has_news`](Self::has_news)
/// - inputs, which never fail: [`wake`](Self::wake), [`handle_rx`](Self::handle_rx), [`handle_tx`](Self::handle_tx),
///   [`handle_lost`](Self::handle_lost), [`handle_timeout`](Self::handle_timeout), [`stop`](Self::stop)
/// - outputs: [`poll`](Self::poll), [`poll_transmit`](Self::poll_transmit), [`poll_timeout`](Self::poll_timeout)
///
/// At each wake-up of its task: `wake`, then in turn read while it wants bytes, `poll`, and write what `poll_transmit`
/// lends, until nothing moves and it has no news. Dropped before it is over, it drops its handler and says why.
pub struct Session {
    conn: Conn,
    /// Whether it may compress.
    deflates: bool,
    // Dropped before `on_close`.
    handler: Option<BoxFuture<'static, ()>>,
    meeting: Arc<Meeting>,
    /// Bytes that were read, and are not looked at before the inbox has room.
    rest: Vec<u8>,
    rate: Option<Box<Limited>>,
    /// What began the end, if we did.
    cause: Option<Cause>,
    /// Bytes of frames the outbox gave out that are not written.
    given: usize,
    /// Something waits for them to be written.
    awaited: bool,
    handler_until: Option<Mono>,
    closed: Option<Closed>,
    /// Whether the inbox has room.
    room: bool,
    /// Whether the handler is to be polled.
    news: bool,
    /// Who is woken when there is something to be sent.
    task: Option<Waker>,
    /// The meeting knows that we shall look, and need not be woken.
    attended: bool,
    /// Whoever waited for the messages that came since.
    reader: Option<Waker>,
    /// The outbox knows that nothing can be sent.
    gone: bool,
    /// Our Close waits for answers until then.
    answers_until: Option<Mono>,
    /// The stream is done with, and whoever waits for that knows.
    over: bool,
    stopping: bool,
    on_close: OnClose,
}

/// A limit to how fast messages may come.
struct Limited {
    rate: Rate,
    /// Nothing is read before then.
    until: Option<Mono>,
    /// The next message has its token.
    paid: bool,
}

impl Limited {
    /// Whether the rate allows another message.
    fn may_speak(&mut self, now: Mono) -> bool {
        if !self.paid && self.until.is_none() {
            match self.rate.take(now, 1) {
                Ok(()) => self.paid = true,
                Err(then) => self.until = Some(then),
            }
        }
        self.paid
    }
}

impl Session {
    /// Whether bytes can be handled.
    #[must_use]
    pub fn wants_bytes(&self) -> bool {
        !self.conn.is_done() && (self.listens() || self.closed.is_some())
    }

    /// Whether the stream is done with: close it. The handler may go on for a while.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.conn.is_done()
    }

    /// Whether no byte will follow: shut the stream for writing, and read on.
    #[must_use]
    pub fn has_sent_all(&self) -> bool {
        self.conn.has_sent_all()
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) lends anything.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.answers_until.is_none() && self.conn.queued() > 0
    }

    /// Whether something came for the handler since it was polled.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.news
    }

    /// The task was woken, perhaps for the handler.
    pub fn wake(&mut self) {
        self.news = true;
    }

    /// Bytes came. They are unmasked where they lie; what there is no room for is kept.
    pub fn handle_rx(&mut self, now: Mono, bytes: &mut [u8], codecs: &mut Codecs) {
        let taken = self.feed(now, bytes, codecs);
        if taken < bytes.len() {
            self.rest.extend_from_slice(&bytes[taken..]);
        }
    }

    /// `bytes` of what [`poll_transmit`](Self::poll_transmit) lent were written.
    pub fn handle_tx(&mut self, now: Mono, bytes: usize, codecs: &mut Codecs) {
        self.conn.handle_tx(now, bytes);
        if self.given > 0 && self.conn.queued() == 0 {
            if self.awaited {
                self.take_sent(now, codecs);
            } else {
                self.meeting.handle_written(std::mem::take(&mut self.given));
            }
        }
        self.settle(now);
    }

    /// The stream ended, or failed.
    pub fn handle_lost(&mut self, now: Mono, failed: bool) {
        if self.closed.is_none() {
            // What was not looked at will not be answered either.
            self.rest = Vec::new();
        }
        self.conn.handle_eof(now);
        if failed && !self.conn.is_done() {
            // Nothing of it will arrive.
            self.conn.handle_tx(now, self.conn.queued());
        }
        self.settle(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.handler_until.is_some_and(|at| at <= now) {
            tracing::warn!(target: "tideway::ws", "a handler did not end with its socket and was dropped");
            self.drop_handler();
            self.handler_until = None;
            self.news = true;
        }
        if let Some(limited) = &mut self.rate
            && limited.until.is_some_and(|at| at <= now)
        {
            limited.until = None;
            // What is kept is looked at in `poll`.
            self.news = true;
        }
        if self.answers_until.is_some_and(|at| at <= now) {
            self.answers_until = None;
        }
        if !self.conn.is_done() {
            self.conn.handle_timeout(now);
        }
        self.settle(now);
        self.pace(now);
    }

    /// The server stops: Close 1001 behind what is queued. Once is enough.
    pub fn stop(&mut self) {
        if !std::mem::replace(&mut self.stopping, true) {
            let wakes = self.meeting.lock().finish(Close::AWAY, Cause::Stop);
            wakes.wake();
            self.news = true;
        }
    }

    /// Gives up at once: for a stop whose time is over. Drop it then.
    pub fn cut(&mut self) {
        self.cause = Some(Cause::Stop);
    }

    /// Polls the handler if there is news for it, and takes what it sent. Ready once all is over, and told.
    pub fn poll(&mut self, now: Mono, cx: &mut Context<'_>, codecs: &mut Codecs) -> Poll<()> {
        self.feed_rest(now, codecs);
        self.wake_reader(cx);
        while std::mem::take(&mut self.news) {
            self.attend(cx.waker());
            self.poll_handler(cx);
            self.take_sent(now, codecs);
            self.settle(now);
            self.feed_rest(now, codecs);
            self.wake_reader(cx);
        }
        self.pace(now);
        if self.conn.is_done() {
            if self.handler.is_none() {
                self.tell();
                return Poll::Ready(());
            }
            self.handler_until.get_or_insert_with(|| now.plus(LINGER));
        }
        Poll::Pending
    }

    /// Lends what is to be written, in order; how many pieces.
    pub fn poll_transmit<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        if self.answers_until.is_some() {
            return 0;
        }
        self.conn.poll_transmit(slices)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest, and for what.
    #[inline]
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
        if self.handler_until.is_none() && self.rate.is_none() && self.answers_until.is_none() {
            return self.conn.poll_timeout();
        }
        self.first_timeout()
    }

    fn first_timeout(&self) -> Option<(Mono, &'static str)> {
        let handler = self.handler_until.map(|at| (at, "handler"));
        let rate = self.rate.as_ref().and_then(|limited| limited.until);
        let conn = self.conn.poll_timeout();
        let answers = self.answers_until.map(|at| (at, "answers"));
        let all = [conn, handler, rate.map(|at| (at, "rate")), answers];
        all.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Whether another message may come from the connection.
    fn listens(&self) -> bool {
        let waits = self
            .rate
            .as_ref()
            .is_some_and(|limited| limited.until.is_some());
        self.room && !waits && self.rest.is_empty()
    }

    /// Hands bytes to the connection until the inbox is full; how many it took.
    fn feed(&mut self, now: Mono, bytes: &mut [u8], codecs: &mut Codecs) -> usize {
        let whole = bytes.len();
        let mut input = bytes;
        // Held from the first message of a read to its last, unless these take their time to inflate.
        let mut held = None;
        while self.closed.is_some()
            || self.room && self.rate.as_mut().is_none_or(|rate| rate.may_speak(now))
        {
            let Some(event) = self.conn.handle_rx(now, &mut input, codecs) else {
                break;
            };
            if let Some(limited) = &mut self.rate {
                limited.paid = false;
            }
            if let Some(message) = Message::received(event) {
                let state = held.get_or_insert_with(|| self.meeting.lock());
                if let Some(reader) = state.put(message) {
                    self.reader = Some(reader);
                }
                self.room = state.has_room();
                if self.deflates {
                    held = None;
                }
                (self.attended, self.news) = (true, true);
            }
        }
        drop(held);
        let taken = whole - input.len();
        self.settle(now);
        taken
    }

    #[inline]
    fn feed_rest(&mut self, now: Mono, codecs: &mut Codecs) {
        if !self.rest.is_empty() {
            self.feed_kept(now, codecs);
        }
    }

    fn feed_kept(&mut self, now: Mono, codecs: &mut Codecs) {
        let mut rest = std::mem::take(&mut self.rest);
        let taken = self.feed(now, &mut rest, codecs);
        if taken < rest.len() {
            rest.drain(..taken);
            self.rest = rest;
        }
    }

    /// Tells the connection whether we read.
    fn pace(&mut self, now: Mono) {
        if self.listens() || self.closed.is_some() {
            self.conn.resume(now);
        } else {
            self.conn.pause(now);
        }
    }

    fn wake_reader(&mut self, cx: &Context<'_>) {
        if let Some(reader) = self.reader.take()
            && !reader.will_wake(cx.waker())
        {
            // Not polled here, or not without its own waker.
            reader.wake();
        }
    }

    fn poll_handler(&mut self, cx: &mut Context<'_>) {
        let Some(handler) = &mut self.handler else {
            return;
        };
        let polled = round::during(&self.meeting, || caught(|| handler.as_mut().poll(cx)));
        let (close, cause) = match polled {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(())) => (Close::DONE, Cause::Handler),
            Err(panic) => {
                tracing::error!(target: "tideway::ws", "the handler of a socket {panic}");
                (PANICKED, Cause::Panic)
            }
        };
        self.drop_handler();
        let wakes = self.meeting.lock().finish(close, cause);
        wakes.wake();
    }

    fn drop_handler(&mut self) {
        let handler = self.handler.take();
        if let Err(panic) = caught(|| drop(handler)) {
            tracing::error!(target: "tideway::ws", "the handler of a socket {panic}");
        }
    }

    /// The handler may queue frames without waking the task that polls it, which takes them afterwards.
    fn attend(&mut self, waker: &Waker) {
        let known = self.task.as_ref().is_some_and(|task| task.will_wake(waker));
        if !self.attended || !known {
            self.meeting.lock().attend(waker);
            self.attended = true;
        }
        if !known {
            self.task = Some(waker.clone());
        }
    }

    /// Takes from the outbox what fits into its window.
    fn take_sent(&mut self, now: Mono, codecs: &mut Codecs) {
        let (mut refused, mut closes) = (false, false);
        let mut state = self.meeting.lock();
        if self.given > 0 && self.conn.queued() == 0 {
            state.outbox.handle_written(std::mem::take(&mut self.given));
        }
        while let Some(next) = state.outbox.poll() {
            match next {
                Outgoing::Frame(frame) => {
                    self.given += frame.allocated();
                    let sent = if self.deflates {
                        // Nobody waits for the lock while it is compressed.
                        drop(state);
                        let sent = self.conn.send_parcel(frame, codecs);
                        state = self.meeting.lock();
                        sent
                    } else {
                        self.conn.send_parcel(frame, codecs)
                    };
                    if sent.is_err() {
                        refused = true;
                        break;
                    }
                }
                Outgoing::Close(close) => {
                    if self.conn.is_open() {
                        self.cause = self.cause.or(state.cause);
                    }
                    let code = CloseCode::new(close.code).unwrap_or(CloseCode::ERROR);
                    // Refused only if it is closing already.
                    let _ = self.conn.close(now, code, close.reason);
                    closes = true;
                }
            }
        }
        state.leave();
        self.attended = false;
        self.awaited = state.waits_for_writing();
        if state.has_seen() {
            self.answers_until = None;
        }
        let wakes = state.told();
        self.room = state.has_room();
        drop(state);
        self.news |= wakes.others.is_some();
        wakes.wake();
        if closes {
            // However long the peer takes to answer, nothing of its rooms reaches it.
            self.meeting.leave_rooms();
        }
        if refused {
            self.give_up_sending();
        }
    }

    /// Looks at what became of the connection.
    #[inline]
    fn settle(&mut self, now: Mono) {
        // Whatever ends it leaves that phase.
        if !self.conn.is_open() {
            self.settle_end(now);
        }
    }

    fn settle_end(&mut self, now: Mono) {
        if let Some(end) = self.conn.poll_event() {
            let ours = matches!(end, End::Peer(_) | End::Violation(_));
            let closed = Closed::new(end, self.cause);
            let mut state = self.meeting.lock();
            if ours && self.handler.is_none() && state.may_answer() {
                self.answers_until = Some(now.plus(ANSWERING));
            }
            let reader = state.end(closed.clone());
            drop(state);
            self.closed = Some(closed);
            self.meeting.leave_rooms();
            self.reader = reader.or(self.reader.take());
            self.news = true;
        }
        if self.conn.is_mute() {
            self.give_up_sending();
        }
        if self.conn.is_done() && !std::mem::replace(&mut self.over, true) {
            self.answers_until = None;
            let reader = self.meeting.lock().over();
            self.reader = reader.or(self.reader.take());
            self.news = true;
        }
    }

    fn give_up_sending(&mut self) {
        if !std::mem::replace(&mut self.gone, true) {
            let wakes = self.meeting.lock().gone();
            self.given = 0;
            self.news = true;
            wakes.wake();
            self.meeting.leave_rooms();
        }
    }

    fn tell(&mut self) {
        self.on_close.tell(self.ending());
    }

    fn ending(&self) -> Closed {
        let cut = || Closed::abrupt(self.cause.unwrap_or(Cause::Cut));
        self.closed.clone().unwrap_or_else(cut)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.drop_handler();
        let mut state = self.meeting.lock();
        let reader = state.end(self.ending());
        let reader = state.over().or(reader);
        let wakes = state.gone();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        wakes.wake();
        self.meeting.leave_rooms();
        self.tell();
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("conn", &self.conn)
            .field("handler", &self.handler.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
