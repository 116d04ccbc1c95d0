//! What stands around every handler: a stage, and what it can see and say.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tideway_engine::{Mono, Now, Rng, Wall};

use super::core::Core;
use crate::body::Filter;
use crate::request::{Peer, RequestId};
use crate::tasks::BoxFuture;
use crate::{Context, Request, Response};

/// One concern around every handler, as pure functions over an exchange.
///
/// Methods run in this order: `request` outside-in, the handler, `response` inside-out (only for
/// stages whose `request` ran, the one that answered included), `done` exactly once at the end.
pub trait Stage: Send + Sync + 'static {
    /// A short name for lists and logs.
    fn name(&self) -> &'static str;

    /// The methods below that do anything, asked once when the app is built. The pipeline does not
    /// call the others, so a stage that says so costs nothing in the phases it has no part in.
    ///
    /// Leave it alone unless that matters: the default is all of them.
    fn phases(&self) -> Phases {
        Phases::ALL
    }

    /// The head is in, no body byte has been read.
    fn request(&self, cx: &mut Cx<'_>) -> Flow {
        let _ = cx;
        Flow::Next
    }

    /// The answer to this stage's [`Flow::Ask`]; resumes the phase that asked.
    fn answer(&self, cx: &mut Cx<'_>, answer: Answer) -> Flow {
        let _ = (cx, answer);
        Flow::Next
    }

    /// The response head is known, nothing has been sent.
    fn response(&self, cx: &mut Cx<'_>) -> Flow {
        let _ = cx;
        Flow::Next
    }

    /// A deadline passed before the head was sent: the answer, if this stage has one.
    fn timeout(&self, cx: &mut Cx<'_>, deadline: &'static str) -> Option<Response> {
        let _ = (cx, deadline);
        None
    }

    /// The exchange is over: last byte handed over, error or abort. Runs exactly once for every
    /// stage whose `request` ran.
    fn done(&self, cx: &mut Cx<'_>, end: &End) {
        let _ = (cx, end);
    }
}

/// Which of a stage's methods do something; [`Stage::answer`] and [`Stage::timeout`] are always
/// called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phases(u8);

impl Phases {
    /// [`Stage::request`].
    pub const REQUEST: Self = Self(1);
    /// [`Stage::response`].
    pub const RESPONSE: Self = Self(2);
    /// [`Stage::done`].
    pub const DONE: Self = Self(4);
    /// Every one.
    pub const ALL: Self = Self(7);

    /// These and `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are among them.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a stage wants next.
#[derive(Debug)]
pub enum Flow {
    /// Go on.
    Next,
    /// This is the answer. In `request`: no further stage, no handler. In `response`: in place of
    /// the response so far.
    Respond(Response),
    /// Wait for something outside, then call [`Stage::answer`].
    Ask(Ask),
}

/// What a stage can wait for.
#[non_exhaustive]
pub enum Ask {
    /// A future of the stage's own making: a look-up in a store, a rate limiter.
    Future(BoxFuture<'static, Answer>),
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ask::Future")
    }
}

/// The value an [`Ask`] came to.
pub type Answer = Box<dyn Any + Send>;

/// A stage's own memory for one exchange; no heap for most.
#[derive(Default)]
pub enum Slot {
    /// Nothing was stored.
    #[default]
    Empty,
    /// A number: a start time, a key's hash, a flag.
    Word(u64),
    /// Anything else.
    Boxed(Answer),
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The last byte was accepted for writing (which does not say that the peer read it).
    Complete {
        /// Bytes of the response body.
        bytes: u64,
    },
    /// The head was accepted for writing, and the stream is no HTTP any more (101).
    Upgraded,
    /// It was cut.
    Aborted(Abort),
}

/// Why an exchange was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Abort {
    /// The client went away.
    Client,
    /// The named deadline passed when nothing could be answered any more.
    Deadline(&'static str),
    /// The response body's producer failed or panicked.
    Body,
    /// The server stopped, and its drain deadline passed.
    Stop,
}

impl Abort {
    /// The reason as one or two words.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Abort::Client => "client gone",
            Abort::Deadline(name) => name,
            Abort::Body => "body failed",
            Abort::Stop => "server stop",
        }
    }
}

/// The deadlines of an exchange; each has a name and a limit, per route or for the whole app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// From the request head to the handler's response head, the time apart in which the handler
    /// waits for the request body and [`Deadline::BodyIn`] runs.
    Handler,
    /// From the request head to the last byte of the response.
    Total,
    /// Between two chunks of the request body.
    BodyIn,
    /// While the peer takes no byte of the response body.
    BodyOut,
}

impl Deadline {
    pub(crate) const NAMES: [&'static str; 4] = ["handler", "total", "body in", "body out"];

    /// The name in logs and problem documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// What a stage sees of an exchange.
pub struct Cx<'a> {
    pub(super) origin: &'a Arc<super::Origin>,
    pub(super) core: &'a mut Core,
    pub(super) stage: usize,
    pub(super) now: Now,
}

impl<'a> Cx<'a> {
    /// Time as the driver read it for this step.
    #[must_use]
    pub fn now(&self) -> Now {
        self.now
    }

    /// The wall clock as the driver read it for this step.
    #[must_use]
    pub fn wall(&self) -> Wall {
        self.now.wall
    }

    /// When the request head was read.
    #[must_use]
    pub fn received(&self) -> Now {
        self.core.line.received
    }

    /// Time since the request head was read.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now.mono.since(self.core.line.received.mono)
    }

    /// The request's first line and what stays known of it to the end.
    #[must_use]
    pub fn line(&self) -> &super::RequestLine {
        &self.core.line
    }

    /// Who asked.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.origin.peer()
    }

    /// Who asked, as text; formatted once per connection.
    #[must_use]
    pub fn peer_text(&self) -> &'a str {
        self.origin.peer_text()
    }

    /// The request; only until the handler has it.
    #[must_use]
    pub fn request(&mut self) -> Option<&mut Request> {
        self.core.request.as_mut()
    }

    /// The response; only in `response`.
    #[must_use]
    pub fn response(&mut self) -> Option<&mut Response> {
        self.core.response.as_mut()
    }

    /// The response's status, once it is known.
    #[must_use]
    pub fn status(&self) -> Option<http::StatusCode> {
        self.core.status
    }

    /// Bytes of response body handed over so far.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.core.bytes_out
    }

    /// This stage's memory for this exchange.
    pub fn slot(&mut self) -> &mut Slot {
        self.core.slot(self.stage)
    }

    /// The pattern of the matched route; `None` for a 404.
    #[must_use]
    pub fn route(&self) -> Option<&'a str> {
        self.origin.pipeline().pattern(self.core.line.route?)
    }

    /// A per-route setting of type `T`, else the app's own, else `None`.
    #[must_use]
    pub fn setting<T: Send + Sync + 'static>(&self) -> Option<&'a T> {
        self.origin.pipeline().setting(self.core.line.route)
    }

    /// The app's services.
    #[must_use]
    pub fn context(&self) -> &'a Context {
        self.origin.pipeline().context()
    }

    /// The pipeline this exchange runs in.
    #[must_use]
    pub fn pipeline(&self) -> &'a Arc<super::Pipeline> {
        self.origin.pipeline()
    }

    /// The request id, if a stage made one.
    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.core.line.id
    }

    /// Sets the request id; the handler and every later log line see it.
    pub fn set_id(&mut self, id: RequestId) {
        if let Some(request) = &mut self.core.request {
            request.parts.id = id.clone();
        }
        self.core.line.id = id;
    }

    /// 128 bits of the connection's entropy, for an id; every call draws new ones.
    #[must_use]
    pub fn entropy(&self) -> u128 {
        self.origin.entropy()
    }

    /// The exchange's own generator, forked from the connection's; made at the first call.
    pub fn rng(&mut self) -> &mut Rng {
        let origin = self.origin;
        self.core
            .rng
            .get_or_insert_with(|| Box::new(Rng::new(&origin.fork())))
    }

    /// Arms a deadline; `None` disarms it.
    pub fn set_deadline(&mut self, which: Deadline, at: Option<Mono>) {
        match at {
            Some(at) => self.core.timers.set(which as usize, at),
            None => self.core.timers.clear(which as usize),
        }
    }

    /// Sets the idle limits that body progress renews; `None` for no limit.
    pub fn set_idle_limits(&mut self, body_in: Option<Duration>, body_out: Option<Duration>) {
        self.core.body_in_limit = body_in;
        // Said aloud, so that "none" also lifts the limit that a connection has by itself.
        self.core.body_out_limit = Some(body_out.unwrap_or(Duration::MAX));
    }

    /// At most `bytes` may be read from the request body.
    pub fn limit_body(&mut self, bytes: u64) {
        if let Some(request) = &mut self.core.request {
            request.body.set_limit(bytes);
        }
    }

    /// Whether the handler, a stage or a body panicked in this exchange.
    #[must_use]
    pub fn panicked(&self) -> bool {
        self.core.panicked
    }

    /// The cause behind an error answer, for the log; never sent.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.core.cause.as_deref()
    }

    /// Passes the request body through `filter`: filters run outside-in.
    pub fn filter_request(&mut self, filter: Box<dyn Filter>) {
        if let Some(request) = &mut self.core.request {
            let body = std::mem::take(&mut request.body);
            request.body = body.filtered(filter);
        }
    }

    /// Passes the response body through `filter`: filters run inside-out.
    pub fn filter_response(&mut self, filter: Box<dyn Filter>) {
        if let Some(response) = &mut self.core.response {
            let body = std::mem::take(response.body_mut());
            *response.body_mut() = body.filtered(filter);
        }
    }

    /// The connection is to be closed after this response (HTTP/1 only).
    pub fn close_after(&mut self) {
        self.core.close = true;
    }
}
