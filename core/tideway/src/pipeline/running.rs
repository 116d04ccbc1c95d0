//! An exchange up to its response head: the machine together with whatever it waits for.
//!
//! Drivers and tests poll this; it holds no timer. Whoever polls it wakes it no later than
//! [`Exchange::poll_timeout`] says, and hands the time in.

use std::task::{Context, Poll};

use tideway_engine::Now;

use super::{Answer, Ask, Exchange, Input, Step};
use crate::Response;
use crate::error::{Problem, caught};
use crate::tasks::BoxFuture;

/// A started exchange whose response head is not out yet.
pub struct Running {
    exchange: Box<Exchange>,
    work: Work,
}

enum Work {
    /// Answered; the exchange holds the response until it is taken.
    Answered,
    Handler(BoxFuture<'static, Response>),
    Ask(BoxFuture<'static, Answer>),
}

impl Running {
    /// Starts `exchange`: runs its stages and, if that is a plain `fn`, its handler.
    #[must_use]
    pub fn start(mut exchange: Box<Exchange>, now: Now) -> Self {
        let step = exchange.start(now);
        let mut running = Self {
            exchange,
            work: Work::Answered,
        };
        running.follow(step);
        running
    }

    /// The exchange.
    #[must_use]
    pub fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// News of the request body: [`Input::BodyIn`] or [`Input::BodyEnd`].
    pub fn body_news(&mut self, now: Now, news: Input) {
        if self.exchange.is_sending() && matches!(news, Input::BodyIn(0)) {
            // The handler waited for more, then answered without it. A response that needs it will
            // ask for itself.
            return;
        }
        let step = self.exchange.step(now, news);
        self.follow(step);
    }

    /// The exchange, to accompany the response body. Drops a handler that still runs.
    #[must_use]
    pub fn into_exchange(self) -> Box<Exchange> {
        self.exchange
    }

    /// The response head and body, once. Deadlines due at `now` fire first.
    pub fn poll(&mut self, now: Now, cx: &mut Context<'_>) -> Poll<Response> {
        self.poll_answered(now, cx).map(|()| self.take_response())
    }

    /// The response, once [`Running::poll_answered`] is ready.
    #[inline]
    pub fn take_response(&mut self) -> Response {
        // Asked again after the end: answered as broken rather than by a panic.
        self.exchange.take_response().unwrap_or_else(broken)
    }

    /// [`Running::poll`] in two steps: ready when there is something to take.
    pub fn poll_answered(&mut self, now: Now, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let step = match &mut self.work {
                Work::Answered => return Poll::Ready(()),
                _ if due(&self.exchange, now) => self.exchange.step(now, Input::Timeout),
                Work::Handler(future) => match self.exchange.poll_handler(now, future, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(step) => step,
                },
                Work::Ask(future) => match caught(|| future.as_mut().poll(cx)) {
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(answer)) => self.exchange.step(now, Input::Answer(answer)),
                    Err(panic) => self.exchange.step(now, Input::Handled(Err(panic))),
                },
            };
            self.follow(step);
        }
    }

    fn follow(&mut self, step: Step) {
        match step {
            Step::Handle(future) => self.work = Work::Handler(future),
            Step::Ask(Ask::Future(future)) => self.work = Work::Ask(future),
            Step::Respond | Step::Done => self.work = Work::Answered,
            Step::Wait => {}
        }
    }
}

#[cold]
fn broken() -> Response {
    Problem::new(http::StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

fn due(exchange: &Exchange, now: Now) -> bool {
    let deadline = exchange.poll_timeout();
    deadline.is_some_and(|(at, _)| at <= now.mono)
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.exchange.fmt(f)
    }
}
