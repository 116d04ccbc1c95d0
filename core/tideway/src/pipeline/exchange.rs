//! One request and its response, as a machine.
//!
//! ```text
//!            Start                 Handle                Handled / plain fn
//!   New ───────────▶ request ────────────▶ Handling ───────────────▶ response ──▶ Sending ──▶ Ended
//!                     │  ▲                    │                       ▲  │  ▲        BodyOut    End
//!                     ▼  │ Answer             │ Timeout, panic        │  ▼  │ Answer
//!                    Asking                   └───────────────────────┘ Asking
//! ```
//!
//! Questions: [`Exchange::is_done`], [`Exchange::line`]. Inputs: [`Exchange::step`] and
//! [`Exchange::body_failed`], which never fail.
//! Outputs: the returned [`Step`] and [`Exchange::poll_timeout`], to be read again after every step.
//! Dropping an exchange that has not ended is the input `End(Aborted(Client))`.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, StatusCode};
use tideway_engine::{Mono, Now, Timers};

use super::core::{Core, Dated};
use super::head;
use super::line::{KeptPath, RequestLine};
use super::{Abort, Cx, Deadline, End, Flow, Input, Origin, Phases, Slot, Stage, Step};
use crate::body::{Body, BodyError};
use crate::error::{Panicked, Problem, Unstamped, caught};
use crate::routing::{Endpoint, Params, Reply};
use crate::tasks::BoxFuture;
use crate::ws::ExtendedConnect;
use crate::{Request, Response};

/// How long the `response` phase of a timed-out exchange may still ask outside.
const GRACE: Duration = Duration::from_secs(5);

/// The fifth timer, not a stage's to set.
const GRACE_TIMER: usize = 4;
const TIMER_NAMES: [&str; 5] = {
    let [handler, total, body_in, body_out] = Deadline::NAMES;
    [handler, total, body_in, body_out, "grace"]
};

/// One request, one machine; about a kilobyte, so box it once and move the box.
pub struct Exchange {
    origin: Arc<Origin>,
    /// What answers; found before the first stage, called after the last.
    endpoint: Option<Arc<dyn Endpoint>>,
    core: Core,
    state: State,
    /// Stages whose `request` ran.
    entered: usize,
    /// The next stage of the running phase: counts up in `request`, down in `response`.
    cursor: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Request,
    Handling,
    Response,
    Sending,
    Ended,
}

impl Exchange {
    /// An exchange for `request`, whose head was read at `now`.
    #[must_use]
    pub fn new(origin: Arc<Origin>, request: Request, now: Now) -> Box<Self> {
        let line = RequestLine {
            method: Method::GET,
            path: KeptPath::default(),
            version: http::Version::HTTP_11,
            route: None,
            id: crate::RequestId::NONE,
            received: now,
        };
        let blank = Box::new(Self {
            origin,
            endpoint: None,
            core: Core {
                line,
                request: None,
                response: None,
                status: None,
                bytes_out: 0,
                timers: Timers::new(&TIMER_NAMES),
                body_in_limit: None,
                body_out_limit: None,
                upload: Default::default(),
                panicked: false,
                close: false,
                date: Dated::Here,
                cause: None,
                rng: None,
                slots: Default::default(),
                more: Vec::new(),
                last: now,
            },
            state: State::New,
            entered: 0,
            cursor: 0,
        });
        blank.renew(request, now)
    }

    /// This exchange's memory for the next `request` of the same origin: most of a kilobyte less to
    /// allocate, fill and free. Ends the exchange if it has not ended.
    #[must_use]
    pub fn renew(mut self: Box<Self>, mut request: Request, now: Now) -> Box<Self> {
        self.abandon();
        // All fields by name: one that is added must be thought of here, or in `end`.
        let Self {
            origin,
            endpoint: _,
            core,
            state,
            entered,
            cursor,
        } = &mut *self;
        let Core {
            line,
            request: asked,
            response: _,
            status,
            bytes_out,
            timers: _,
            body_in_limit,
            body_out_limit,
            upload,
            panicked,
            close,
            date,
            cause: _,
            rng: _,
            slots: _,
            more: _,
            last,
        } = core;
        let parts = &mut request.parts;
        parts.received = now;
        parts.origin = Some(origin.clone());
        line.method = parts.method.clone();
        line.path.set(parts.uri.path());
        line.version = parts.version;
        line.route = None;
        line.id = crate::RequestId::NONE;
        line.received = now;
        *asked = Some(request);
        *status = None;
        *bytes_out = 0;
        *body_in_limit = None;
        *body_out_limit = None;
        *upload = Default::default();
        *panicked = false;
        *close = false;
        *date = Dated::Here;
        *last = now;
        *state = State::New;
        *entered = 0;
        *cursor = 0;
        self
    }

    /// Whether the exchange has ended; every further input is a no-op.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Ended
    }

    /// Whether the response head has been handed out.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.state == State::Sending
    }

    /// The request's first line.
    #[must_use]
    pub fn line(&self) -> &RequestLine {
        &self.core.line
    }

    /// Whether the response asks for the connection to be closed because of the request.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.core.close
    }

    /// The driver offers to write `Date` itself, without the cost of a header map, into a head that
    /// begins with `HTTP/1.1 200 OK`. To be said before [`Input::Start`].
    pub fn offer_date(&mut self) {
        self.core.date = Dated::Offered;
    }

    /// Whether the offer was taken: the response's head lacks `Date`.
    #[must_use]
    pub fn lacks_date(&self) -> bool {
        self.core.date == Dated::ByDriver
    }

    /// Bytes of response body handed over so far.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.core.bytes_out
    }

    /// How long a peer may take no byte of the response body.
    #[must_use]
    pub fn body_out_limit(&self) -> Option<Duration> {
        self.core.body_out_limit
    }

    /// The time to end with. Deadlines go by the time of the driver's wake-up; what a stage measures
    /// to the end counts what was computed since, so the clock is read anew if any stage looks.
    #[must_use]
    pub fn end_time(&self, woken: Now) -> Now {
        if self.entered == 0 {
            woken
        } else {
            self.origin.pipeline().tasks.now()
        }
    }

    /// The next deadline and its name; changes only in [`Exchange::step`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
        self.core.timers.next_named()
    }

    /// [`Input::Start`], without the detour over an [`Input`]: it comes once per request.
    pub fn start(&mut self, now: Now) -> Step {
        if self.state != State::New {
            return if self.is_done() {
                Step::Done
            } else {
                Step::Wait
            };
        }
        self.core.last = now;
        self.state = State::Request;
        self.guarded(now, |exchange| {
            exchange.find_route();
            exchange.run_request(now)
        })
    }

    /// Feeds one input.
    pub fn step(&mut self, now: Now, input: Input) -> Step {
        if self.state == State::Ended {
            return Step::Done;
        }
        self.core.last = now;
        match input {
            Input::BodyOut(bytes) => {
                self.body_out(bytes);
                Step::Wait
            }
            Input::End(end) => {
                self.finish(now, &end);
                Step::Done
            }
            Input::BodyIn(0) => {
                let handling = self.state == State::Handling;
                self.core.await_body(now.mono, handling);
                Step::Wait
            }
            Input::BodyIn(bytes) => {
                self.core.body_came(now.mono, bytes);
                Step::Wait
            }
            Input::BodyEnd => {
                self.core.body_came(now.mono, 0);
                Step::Wait
            }
            Input::Blocked => {
                let timers = &mut self.core.timers;
                if let Some(limit) = self.core.body_out_limit
                    && self.state == State::Sending
                    && timers.get(Deadline::BodyOut as usize).is_none()
                {
                    timers.set(Deadline::BodyOut as usize, now.mono.plus(limit));
                }
                Step::Wait
            }
            Input::Handled(Ok(response)) => {
                self.guarded(now, |exchange| exchange.handled(now, response))
            }
            Input::Start => self.start(now),
            Input::Answer(_) | Input::Handled(Err(_)) | Input::Timeout => {
                self.guarded(now, |exchange| exchange.advance(now, input))
            }
        }
    }

    /// Polls the handler; its response is the input [`Input::Handled`], without the moves from hand
    /// to hand, and so is its panic.
    pub fn poll_handler(
        &mut self,
        now: Now,
        handler: &mut BoxFuture<'static, Response>,
        cx: &mut Context<'_>,
    ) -> Poll<Step> {
        let polled = caught(|| match handler.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(response) => Poll::Ready(self.handled(now, response)),
        });
        match polled {
            Ok(polled) => polled,
            Err(panic) => {
                Poll::Ready(self.guarded(now, |exchange| exchange.after_panic(now, &panic)))
            }
        }
    }

    #[inline]
    fn handled(&mut self, now: Now, response: Response) -> Step {
        if self.state != State::Handling {
            // An answer that nobody waits for any more.
            return if self.is_done() {
                Step::Done
            } else {
                Step::Wait
            };
        }
        self.core.last = now;
        self.respond(now, response)
    }

    /// The response to [`Step::Respond`], once.
    #[inline]
    pub fn take_response(&mut self) -> Option<Response> {
        match self.state {
            State::Sending => self.core.response.take(),
            _ => None,
        }
    }

    /// Runs `step`; a panic in it becomes a 500, which passes the stages that are left.
    fn guarded(&mut self, now: Now, step: impl FnOnce(&mut Self) -> Step) -> Step {
        let mut result = caught(|| step(self));
        loop {
            match result {
                Ok(step) => return step,
                // The cursor moved before the stage was called, so each turn leaves one stage fewer
                // to panic.
                Err(panic) => result = caught(|| self.after_panic(now, &panic)),
            }
        }
    }

    /// [`Input::BodyOut`], without the detour over an [`Input`]: it comes once per chunk.
    #[inline]
    pub fn body_out(&mut self, bytes: usize) {
        self.core.bytes_out += bytes as u64;
        self.core.timers.clear(Deadline::BodyOut as usize);
    }

    /// [`Input::End`], without the detour over an [`Input`]: it comes once per request.
    #[inline]
    pub fn finish(&mut self, now: Now, end: &End) {
        if self.state != State::Ended {
            self.core.last = now;
            self.end(end);
        }
    }

    /// The response body failed with `error`: keeps the cause for the log, then it is the input
    /// `End(Aborted(Body))`.
    pub fn body_failed(&mut self, now: Now, error: &BodyError) {
        if self.state == State::Ended {
            return;
        }
        self.core.cause = Some(error.to_string());
        if let BodyError::Producer(source) = error {
            self.core.panicked |= source.is::<Panicked>();
        }
        self.step(now, Input::End(End::Aborted(Abort::Body)));
    }

    fn advance(&mut self, now: Now, input: Input) -> Step {
        match (self.state, input) {
            (State::Request | State::Response, Input::Answer(answer)) => {
                let flow = self.call(now, |stage, cx| stage.answer(cx, answer));
                match (self.state, flow) {
                    (State::Request, Flow::Next) => {
                        self.cursor += 1;
                        self.run_request(now)
                    }
                    (_, flow) => self.after_response_stage(now, flow),
                }
            }
            (State::Request | State::Handling | State::Response, Input::Handled(Err(panic))) => {
                self.after_panic(now, &panic)
            }
            (_, Input::Timeout) => self.on_timeout(now),
            // An answer that nobody waits for any more.
            _ => Step::Wait,
        }
    }

    fn find_route(&mut self) {
        let Some(request) = &mut self.core.request else {
            return;
        };
        let parts = &mut request.parts;
        let router = &self.origin.pipeline().router;
        let found = router.find(ExtendedConnect::method(parts), parts.uri.path());
        parts.params = found.params;
        self.core.line.route = parts.params.route();
        self.endpoint = Some(found.endpoint.clone());
    }

    fn run_request(&mut self, now: Now) -> Step {
        let Self {
            origin,
            core,
            cursor,
            entered,
            ..
        } = self;
        while let Some((stage, phases)) = origin.pipeline().stages.get(*cursor) {
            *entered = *cursor + 1;
            if phases.has(Phases::REQUEST) {
                let mut cx = Cx {
                    origin,
                    core,
                    stage: *cursor,
                    now,
                };
                match stage.request(&mut cx) {
                    Flow::Next => {}
                    Flow::Respond(response) => return self.respond(now, response),
                    Flow::Ask(ask) => return Step::Ask(ask),
                }
            }
            *cursor += 1;
        }
        self.state = State::Handling;
        let (Some(request), Some(endpoint)) = (self.core.request.take(), self.endpoint.take())
        else {
            return Step::Wait;
        };
        match endpoint.call(request) {
            Reply::Now(response) => self.respond(now, response),
            Reply::Later(future) => Step::Handle(future),
        }
    }

    /// A response enters the `response` phase.
    #[inline(always)]
    fn respond(&mut self, now: Now, response: Response) -> Step {
        self.accept(response);
        self.run_response(now)
    }

    #[inline(always)]
    fn accept(&mut self, response: Response) {
        self.state = State::Response;
        // The handler's deadline stays until the head is out, so that no stage asks for ever.
        self.core.body_came(self.core.last.mono, 0);
        self.core.request = None;
        self.cursor = self.entered;
        self.replace(response);
    }

    fn run_response(&mut self, now: Now) -> Step {
        while self.cursor > 0 {
            self.cursor -= 1;
            let Self {
                origin,
                core,
                cursor,
                ..
            } = self;
            let (stage, phases) = &origin.pipeline().stages[*cursor];
            if phases.has(Phases::RESPONSE) {
                let mut cx = Cx {
                    origin,
                    core,
                    stage: *cursor,
                    now,
                };
                match stage.response(&mut cx) {
                    Flow::Next => {}
                    Flow::Ask(ask) => return Step::Ask(ask),
                    Flow::Respond(response) => self.replace(response),
                }
            }
        }
        self.send(now)
    }

    fn after_response_stage(&mut self, now: Now, flow: Flow) -> Step {
        match flow {
            Flow::Next => self.run_response(now),
            Flow::Ask(ask) => Step::Ask(ask),
            Flow::Respond(response) if self.state == State::Request => self.respond(now, response),
            Flow::Respond(response) => {
                self.replace(response);
                self.run_response(now)
            }
        }
    }

    #[inline(always)]
    fn replace(&mut self, mut response: Response) {
        if head::claims_a_tunnel(&self.core.line.method, &response) {
            response = head::no_tunnel();
        }
        if !response.extensions().is_empty() {
            self.stamp(&mut response);
        }
        self.core.status = Some(response.status());
        self.core.response = Some(response);
    }

    /// Puts the request id into a problem document and its cause where the log finds it.
    #[cold]
    fn stamp(&mut self, response: &mut Response) {
        if let Some(Unstamped(problem)) = response.extensions_mut().remove::<Unstamped>() {
            if !self.core.line.id.is_none() {
                *response.body_mut() =
                    Body::full(problem.to_json(Some(self.core.line.id.as_str())));
            }
            if let Some(source) = std::error::Error::source(&*problem) {
                self.core.cause = Some(source.to_string());
            }
        }
    }

    /// The head is final: what HTTP itself demands, then out.
    fn send(&mut self, now: Now) -> Step {
        let Some(response) = &self.core.response else {
            return Step::Wait;
        };
        self.state = State::Sending;
        self.core.status = Some(response.status());
        self.core.timers.clear(GRACE_TIMER);
        self.core.timers.clear(Deadline::Handler as usize);
        head::finish(&mut self.core, now.wall);
        Step::Respond
    }

    fn on_timeout(&mut self, now: Now) -> Step {
        let Some(mut timer) = self.core.timers.expired(now.mono) else {
            return Step::Wait;
        };
        let mut grace_is_over = timer == GRACE_TIMER;
        // The earliest gives the reason, unless the handler waits for the client. Others due with it
        // must not cut the answer to it.
        while let Some(other) = self.core.timers.expired(now.mono) {
            grace_is_over |= other == GRACE_TIMER;
            if other == Deadline::BodyIn as usize && self.state == State::Handling {
                timer = other;
            }
        }
        let name = TIMER_NAMES[timer];
        if self.state == State::Sending {
            self.end(&End::Aborted(Abort::Deadline(name)));
            return Step::Done;
        }
        if grace_is_over {
            // The stages that still ask have had their time; what they were to change stays as it is.
            return self.send(now);
        }
        if self.state == State::Response {
            // The answer is being finished; only the grace deadline cuts that.
            if self.core.timers.get(GRACE_TIMER).is_none() {
                self.core.timers.set(GRACE_TIMER, now.mono.plus(GRACE));
            }
            return Step::Wait;
        }
        self.core.timers.set(GRACE_TIMER, now.mono.plus(GRACE));
        self.core.cause = Some(format!("deadline \"{name}\" passed"));
        let mut answer = None;
        self.cursor = self.entered;
        while self.cursor > 0 && answer.is_none() {
            self.cursor -= 1;
            answer = self.call(now, |stage, cx| stage.timeout(cx, name));
        }
        let answer = answer.unwrap_or_else(|| self.timed_out(timer));
        self.respond(now, answer)
    }

    fn timed_out(&mut self, timer: usize) -> Response {
        if timer == Deadline::BodyIn as usize {
            // RFC 9110 §15.5.9: the rest of the body may still come, so the connection is no good.
            self.core.close = true;
            return Problem::new(StatusCode::REQUEST_TIMEOUT)
                .detail("the request body stopped arriving; send it again without a pause")
                .into_response();
        }
        Problem::new(StatusCode::SERVICE_UNAVAILABLE)
            .detail("the request took longer than this service allows; try again later")
            .into_response()
    }

    /// A stage or the handler panicked: a 500 that still passes the stages that have not run.
    fn after_panic(&mut self, now: Now, panic: &Panicked) -> Step {
        tracing::error!(
            target: "tideway",
            method = %self.core.line.method,
            path = self.core.line.path(),
            request_id = self.core.line.id.as_str(),
            "{panic}"
        );
        self.core.panicked = true;
        self.core.cause = Some(panic.to_string());
        let response = Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
            .detail("the server failed at this request; the request id finds the reason in its log")
            .into_response();
        if self.state == State::Response {
            self.replace(response);
            self.run_response(now)
        } else {
            self.respond(now, response)
        }
    }

    fn abandon(&mut self) {
        if self.state != State::Ended && self.state != State::New {
            self.end(&End::Aborted(Abort::Client));
        }
    }

    fn end(&mut self, end: &End) {
        self.state = State::Ended;
        let now = self.core.last;
        for index in (0..self.entered).rev() {
            if !self.origin.pipeline().stages[index].1.has(Phases::DONE) {
                continue;
            }
            self.cursor = index;
            let done = caught(|| self.call(now, |stage, cx| stage.done(cx, end)));
            if let Err(panic) = done {
                tracing::error!(target: "tideway", "a stage's `done` {panic}");
            }
        }
        // Whatever somebody else may count on being dropped goes now; the memory may be kept.
        let core = &mut self.core;
        core.timers = Timers::new(&TIMER_NAMES);
        core.request = None;
        core.response = None;
        core.cause = None;
        core.rng = None;
        // Only a stage that was entered has stored something.
        core.slots
            .iter_mut()
            .take(self.entered)
            .for_each(|slot| *slot = Slot::Empty);
        core.more.clear();
        self.endpoint = None;
    }

    fn call<T>(&mut self, now: Now, call: impl FnOnce(&dyn Stage, &mut Cx<'_>) -> T) -> T {
        let mut cx = Cx {
            origin: &self.origin,
            core: &mut self.core,
            stage: self.cursor,
            now,
        };
        call(&*self.origin.pipeline().stages[self.cursor].0, &mut cx)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("line", &self.core.line)
            .field("state", &self.state)
            .field("status", &self.core.status)
            .finish_non_exhaustive()
    }
}

// Kept honest: `Params` and the exchange are moved often.
const _: () = assert!(size_of::<Params>() <= 96);

#[cfg(test)]
mod tests;
