//! Bodies on their way through hyper: the incoming one watched, the outgoing one with its exchange.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tideway::pipeline::{Abort, End, Exchange, Input, Step};
use tideway::{Body, BodyError};

use crate::pulse::Pulse;

/// The largest piece handed to HTTP/2 at once, so that a slow reader's progress is seen.
const PIECE: usize = 64 * 1024;

/// A request body from hyper.
pub(crate) struct Incoming {
    body: hyper::body::Incoming,
    pulse: Arc<Pulse>,
}

impl Incoming {
    /// `body` for a handler; no box if there is none.
    pub(crate) fn wrap(body: hyper::body::Incoming, pulse: &Arc<Pulse>) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        Body::incoming(Self {
            body,
            pulse: pulse.clone(),
        })
    }
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            self.pulse.body_wanted();
            return Poll::Pending;
        };
        match &frame {
            Some(Ok(frame)) => self
                .pulse
                .body_arrived(frame.data_ref().map_or(0, Bytes::len)),
            _ => self.pulse.body_over(),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::Broken(error.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.pulse.body_over();
    }
}

/// A response body, and the exchange to its end.
pub(crate) struct Outgoing {
    body: Body,
    guard: Guard,
    /// What is left of a chunk that was too large for one piece.
    rest: Bytes,
    pieces: bool,
}

impl Outgoing {
    pub(crate) fn new(body: Body, guard: Guard, pieces: bool) -> Self {
        Self {
            body,
            guard,
            rest: Bytes::new(),
            pieces,
        }
    }

    fn hand_out(&mut self, mut data: Bytes) -> Frame<Bytes> {
        if self.pieces && data.len() > PIECE {
            self.rest = data.split_off(PIECE);
        }
        self.guard.wrote(data.len());
        if self.is_end_stream() {
            self.guard.complete();
        } else if self.pieces {
            // HTTP/2 polls again once the peer's window has room; till then it is blocked.
            self.guard.step(Input::Blocked);
        }
        Frame::data(data)
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.pieces {
            this.guard.wrote(0);
        }
        if !this.rest.is_empty() {
            let rest = std::mem::take(&mut this.rest);
            return Poll::Ready(Some(Ok(this.hand_out(rest))));
        }
        if this.guard.fire_due() {
            let cut = BodyError::Producer("a deadline cut the response".into());
            return Poll::Ready(Some(Err(cut)));
        }
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        this.guard.tell_body_news();
        Poll::Ready(match ready!(frame) {
            Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                Ok(data) => this.hand_out(data),
                Err(trailers) => trailers,
            })),
            Some(Err(error)) => {
                this.guard.fail(&error);
                Some(Err(error))
            }
            None => {
                this.guard.complete();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() {
            self.body.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        // hyper drops a body that says it is at its end without another poll.
        if self.is_end_stream() {
            self.guard.complete();
        }
    }
}

/// An exchange whose end is told on every path: by its owner, or when it is dropped.
pub(crate) struct Guard {
    exchange: Option<Box<Exchange>>,
    pulse: Arc<Pulse>,
}

impl Guard {
    pub(crate) fn new(exchange: Box<Exchange>, pulse: Arc<Pulse>) -> Self {
        let guard = Self {
            exchange: Some(exchange),
            pulse,
        };
        guard.publish();
        guard
    }

    fn publish(&self) {
        let deadline = self
            .exchange
            .as_ref()
            .and_then(|exchange| exchange.poll_timeout());
        self.pulse.set_deadline(deadline.map(|(at, _)| at));
    }

    fn step(&mut self, input: Input) {
        let now = self.pulse.now();
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        if let Step::Done = exchange.step(now, input) {
            self.exchange = None;
            self.pulse.end();
        } else {
            self.publish();
        }
    }

    fn tell_body_news(&mut self) {
        while let Some(news) = self.pulse.take_body_news() {
            self.step(news);
        }
    }

    /// Fires a deadline that is due; true if that ended the exchange.
    fn fire_due(&mut self) -> bool {
        let now = self.pulse.now().mono;
        if self.pulse.deadline().is_some_and(|at| at <= now) {
            self.step(Input::Timeout);
            return self.exchange.is_none();
        }
        false
    }

    /// Bytes were handed to hyper.
    fn wrote(&mut self, bytes: usize) {
        self.pulse.wrote();
        if let Some(exchange) = &mut self.exchange {
            exchange.body_out(bytes);
        }
    }

    fn complete(&mut self) {
        if let Some(exchange) = &self.exchange {
            let bytes = exchange.bytes_out();
            self.end(&End::Complete { bytes });
        }
    }

    /// The response's head ends the exchange: what follows is no HTTP.
    pub(crate) fn upgraded(&mut self) {
        self.end(&End::Upgraded);
    }

    fn fail(&mut self, error: &BodyError) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.body_failed(exchange.end_time(self.pulse.now()), error);
            self.pulse.end();
        }
    }

    fn end(&mut self, end: &End) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.finish(exchange.end_time(self.pulse.now()), end);
            self.pulse.end();
            self.pulse.keep(exchange);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let why = match &self.exchange {
            None => return,
            Some(exchange) => match exchange.poll_timeout() {
                Some((at, name)) if at <= self.pulse.now().mono => Abort::Deadline(name),
                _ => self.pulse.why_dropped(),
            },
        };
        self.end(&End::Aborted(why));
    }
}
