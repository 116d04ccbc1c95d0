//! One request on its way, driven by hand.
//!
//! It does what a driver does around an exchange: it tells of request bytes, hands out response
//! frames, fires deadlines, and ends the exchange on every path, its own drop included.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::response::Parts;
use http_body::Body as HttpBody;
use tideway_engine::{Mono, Now};

use super::feed::{News, watched};
use super::tasks::{Flag, SPIN};
use super::{BodyFeed, TestResponse, VirtualTasks};
use crate::pipeline::{Abort, End, Exchange, Input, Origin, Running, Step};
use crate::tasks::Tasks;
use crate::{Body, Request};

/// Virtual time after which a request counts as endless.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of response body after which it counts as endless.
const MOST: usize = 256 * 1024 * 1024;

/// A request that was started and not waited for.
///
/// The `poll_` methods look at it at the present moment. [`head`](Self::head),
/// [`next_chunk`](Self::next_chunk) and [`finish`](Self::finish) move time as far as they must, and
/// [`advance`](Self::advance) by just so much. Dropping it is the client's hang-up.
///
/// ```
/// use std::time::Duration;
/// use tideway::{App, Clock, get, testing::TestApp};
///
/// let hour = |clock: Clock| async move { clock.sleep(Duration::from_secs(3600)).await };
/// let mut app = TestApp::new(App::new().route("/", get(hour)));
/// let mut flight = app.get("/").start();
/// flight.advance(Duration::from_secs(29));
/// assert!(flight.poll_head().is_none());
/// flight.advance(Duration::from_secs(1));
/// assert_eq!(flight.poll_head().map(|head| head.status.as_u16()), Some(503));
/// ```
#[must_use = "dropping a request in flight hangs up"]
pub struct InFlight {
    tasks: VirtualTasks,
    phase: Phase,
    line: String,
    began: Now,
    news: Arc<News>,
    woken: Arc<Flag>,
    feed: Option<BodyFeed>,
    head: Option<Parts>,
    trailers: Option<HeaderMap>,
    ended: Option<(End, Now)>,
}

enum Phase {
    Head(Running),
    Body(Box<Exchange>, Body),
    Over,
}

impl InFlight {
    pub(super) fn start(origin: Arc<Origin>, tasks: VirtualTasks, mut request: Request) -> Self {
        let began = tasks.now();
        let news = Arc::new(News::default());
        let parts = &request.parts;
        let line = format!("{} {} {:?}", parts.method, parts.uri, parts.version);
        request.body = watched(std::mem::take(&mut request.body), &news);
        let exchange = Exchange::new(origin, request, began);
        let mut flight = Self {
            phase: Phase::Head(Running::start(exchange, began)),
            tasks,
            line,
            began,
            news,
            woken: Arc::new(Flag::raised()),
            feed: None,
            head: None,
            trailers: None,
            ended: None,
        };
        flight.tell_news();
        flight
    }

    pub(super) fn fed_by(mut self, feed: Option<BodyFeed>) -> Self {
        self.feed = feed;
        self
    }

    /// The response head, if it is out or comes out without waiting.
    pub fn poll_head(&mut self) -> Option<&Parts> {
        self.settle();
        self.head.as_ref()
    }

    /// The response head, moving time until it is out.
    ///
    /// # Panics
    ///
    /// If it stalls, or takes more than a day of virtual time.
    #[track_caller]
    pub fn head(&mut self) -> &Parts {
        let give_up = self.give_up();
        while self.poll_head().is_none() {
            self.step_time(give_up);
        }
        let Some(head) = &self.head else {
            panic!(
                "{}: ended with {:?} before a head was out",
                self.line, self.ended
            );
        };
        head
    }

    /// The next chunk of the response body, if it comes without waiting; `None` at the end, good or
    /// bad: see [`InFlight::end`].
    pub fn poll_chunk(&mut self) -> Poll<Option<Bytes>> {
        self.settle();
        self.tasks.run_ready();
        if let Phase::Head(_) = self.phase {
            return Poll::Pending;
        }
        self.poll_body()
    }

    /// The next chunk of the response body, moving time until it comes.
    ///
    /// # Panics
    ///
    /// If it stalls, or takes more than a day of virtual time.
    #[track_caller]
    pub fn next_chunk(&mut self) -> Option<Bytes> {
        let give_up = self.give_up();
        for _ in 0..SPIN {
            if let Poll::Ready(chunk) = self.poll_chunk() {
                return chunk;
            }
            if !self.tasks.run_ready() && !self.woken.take() {
                self.step_time(give_up);
            }
        }
        self.spins()
    }

    /// Moves time by `duration`. Deadlines and sleeps on the way take effect in their order; the
    /// handler and spawned tasks run as they are woken. A response body is not read meanwhile, as if
    /// the client took nothing.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.tasks.now().mono.plus(duration);
        self.settle();
        while let Some(at) = self.next_event()
            && at <= end
        {
            self.tasks.jump_to(at);
            self.settle();
        }
        self.tasks.jump_to(end);
    }

    /// The client takes no more bytes for now: the body-out deadline runs.
    pub fn block(&mut self) {
        self.settle();
        self.input(Input::Blocked);
    }

    /// The client takes bytes again.
    pub fn unblock(&mut self) {
        self.input(Input::BodyOut(0));
    }

    /// The client hangs up.
    pub fn disconnect(&mut self) {
        self.abort(Abort::Client);
    }

    /// The exchange is cut, for example by [`Abort::Stop`].
    pub fn abort(&mut self, why: Abort) {
        if let Phase::Body(_, body) = &self.phase
            && body.is_end_stream()
        {
            self.complete();
        }
        self.finish_with(End::Aborted(why));
    }

    /// The rest of it, moving time as far as that takes.
    ///
    /// # Panics
    ///
    /// If it stalls, still runs after a day of virtual time, ended without a response, or has a body
    /// over 256 MiB.
    #[must_use]
    #[track_caller]
    pub fn finish(mut self) -> TestResponse {
        self.head();
        let (mut body, mut chunks) = (BytesMut::new(), 0);
        let give_up = self.give_up();
        while let Some(chunk) = self.next_chunk() {
            body.extend_from_slice(&chunk);
            chunks += 1;
            let elapsed_out = self.tasks.now().mono > give_up;
            assert!(
                body.len() <= MOST && !elapsed_out,
                "{}: the response is endless; `start()` it and take chunks",
                self.line
            );
        }
        match (self.head.take(), self.ended.take()) {
            (Some(head), Some((end, at))) => TestResponse {
                line: std::mem::take(&mut self.line),
                head,
                body: body.freeze(),
                chunks,
                trailers: self.trailers.take(),
                end,
                elapsed: at.mono.since(self.began.mono),
            },
            (_, end) => panic!("{}: ended without a response: {end:?}", self.line),
        }
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.ended.as_ref().map(|(end, _)| end)
    }

    /// The exchange's next deadline and its name.
    #[must_use]
    pub fn deadline(&mut self) -> Option<(Mono, &'static str)> {
        self.exchange()?.poll_timeout()
    }

    /// The exchange itself, until it has ended.
    #[must_use]
    pub fn exchange(&mut self) -> Option<&mut Exchange> {
        match &mut self.phase {
            Phase::Head(running) => Some(running.exchange()),
            Phase::Body(exchange, _) => Some(exchange),
            Phase::Over => None,
        }
    }

    /// Time since it was started, up to its end.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let now = self
            .ended
            .as_ref()
            .map_or_else(|| self.tasks.now(), |(_, at)| *at);
        now.mono.since(self.began.mono)
    }

    /// Runs everything that can run now, short of reading the response body.
    fn settle(&mut self) {
        for _ in 0..SPIN {
            self.fire_due();
            let ran = self.tasks.run_ready();
            let woken = self.woken.take();
            match &self.phase {
                Phase::Head(_) if woken => self.poll_running(),
                // The wake-up is for whoever reads the body.
                Phase::Body(..) if woken => return self.woken.raise(),
                _ if ran => {}
                _ => return,
            }
        }
        self.spins()
    }

    fn poll_running(&mut self) {
        let Phase::Head(running) = &mut self.phase else {
            return;
        };
        let waker = Waker::from(self.woken.clone());
        let polled = running.poll(self.tasks.now(), &mut Context::from_waker(&waker));
        self.tell_news();
        let Poll::Ready(response) = polled else {
            return;
        };
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Head(running) => {
                let (head, body) = response.into_parts();
                self.head = Some(head);
                let ended = body.is_end_stream();
                self.phase = Phase::Body(running.into_exchange(), body);
                // The reader has not polled it yet.
                self.woken.raise();
                self.tell_news();
                if ended {
                    self.complete();
                }
            }
            other => self.phase = other,
        }
    }

    fn poll_body(&mut self) -> Poll<Option<Bytes>> {
        self.woken.take();
        let waker = Waker::from(self.woken.clone());
        let mut cx = Context::from_waker(&waker);
        loop {
            let Phase::Body(exchange, body) = &mut self.phase else {
                return Poll::Ready(None);
            };
            let polled = Pin::new(&mut *body).poll_frame(&mut cx);
            match polled {
                Poll::Pending => {
                    self.tell_news();
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(chunk) => {
                        let ended = body.is_end_stream();
                        self.tell_news();
                        self.input(Input::BodyOut(chunk.len()));
                        if ended {
                            self.complete();
                        }
                        return Poll::Ready(Some(chunk));
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Poll::Ready(Some(Err(error))) => {
                    let now = self.tasks.now();
                    exchange.body_failed(now, &error);
                    self.over(End::Aborted(Abort::Body));
                }
                Poll::Ready(None) => self.complete(),
            }
        }
    }

    /// Tells the exchange what became of the request body since it was last told.
    fn tell_news(&mut self) {
        let news = self.news.take();
        if news.arrived > 0 {
            self.input(Input::BodyIn(news.arrived));
        }
        if news.over {
            self.input(Input::BodyEnd);
        } else if news.waits {
            self.input(Input::BodyIn(0));
        }
    }

    fn input(&mut self, input: Input) {
        let now = self.tasks.now();
        match &mut self.phase {
            Phase::Head(running) => {
                if let Input::BodyIn(_) | Input::BodyEnd = input {
                    running.body_news(now, input);
                }
            }
            Phase::Body(exchange, _) => {
                exchange.step(now, input);
            }
            Phase::Over => {}
        }
    }

    /// Fires the deadlines of a response under way. (Those before it are `Running`'s.)
    fn fire_due(&mut self) {
        let now = self.tasks.now();
        match &mut self.phase {
            Phase::Body(exchange, _) => {
                if let Some((at, name)) = exchange.poll_timeout()
                    && at <= now.mono
                    && let Step::Done = exchange.step(now, Input::Timeout)
                {
                    self.over(End::Aborted(Abort::Deadline(name)));
                }
            }
            Phase::Head(running) => {
                if running
                    .exchange()
                    .poll_timeout()
                    .is_some_and(|(at, _)| at <= now.mono)
                {
                    self.woken.raise();
                }
            }
            Phase::Over => {}
        }
    }

    fn complete(&mut self) {
        if let Phase::Body(exchange, body) = &self.phase {
            let bytes = exchange.bytes_out();
            self.finish_with(if body.is_upgrade() {
                End::Upgraded
            } else {
                End::Complete { bytes }
            });
        }
    }

    fn finish_with(&mut self, end: End) {
        let now = self.tasks.now();
        match std::mem::replace(&mut self.phase, Phase::Over) {
            // The handler goes first, then the exchange is told.
            Phase::Head(running) => {
                running.into_exchange().step(now, Input::End(end.clone()));
            }
            Phase::Body(mut exchange, body) => {
                exchange.step(now, Input::End(end.clone()));
                drop(body);
            }
            Phase::Over => return,
        }
        self.ended = Some((end, now));
    }

    /// The exchange has ended by itself.
    fn over(&mut self, end: End) {
        self.phase = Phase::Over;
        self.ended = Some((end, self.tasks.now()));
    }

    /// The next moment at which something happens by itself.
    fn next_event(&mut self) -> Option<Mono> {
        let deadline = self.deadline().map(|(at, _)| at);
        match (deadline, self.tasks.next_sleep()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn give_up(&self) -> Mono {
        self.tasks.now().mono.plus(DAY)
    }

    /// Moves time to the next event.
    #[track_caller]
    fn step_time(&mut self, give_up: Mono) {
        if let Phase::Over = self.phase {
            return;
        }
        match self.next_event() {
            Some(at) if at <= give_up => {
                self.tasks.jump_to(at);
                self.settle();
            }
            Some(_) => panic!("{}: still running after a day of virtual time", self.line),
            None => self.stalls(),
        }
    }

    #[track_caller]
    fn stalls(&mut self) -> ! {
        let who = match &mut self.phase {
            Phase::Head(running) => format!("no answer yet: {:?}", running.exchange()),
            Phase::Body(_, body) => format!("the response body {body:?} gives no next chunk"),
            Phase::Over => String::new(),
        };
        let feed = match &self.feed {
            Some(feed) if !feed.is_over() && !feed.is_abandoned() => {
                format!("; its request body is still open ({feed:?}): push, finish or break it off")
            }
            _ => String::new(),
        };
        let spawned = match self.tasks.spawned() {
            0 => String::new(),
            n => format!("; {n} spawned tasks wait as well"),
        };
        panic!(
            "{} stalls: {who}, and no sleep or deadline lies ahead{feed}{spawned}",
            self.line
        );
    }

    #[track_caller]
    fn spins(&self) -> ! {
        panic!(
            "{} spins: polled {SPIN} times without a pause in virtual time",
            self.line
        );
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.disconnect();
    }
}

impl std::fmt::Debug for InFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let phase = match &self.phase {
            Phase::Head(_) => "waiting for the head",
            Phase::Body(..) => "sending the body",
            Phase::Over => "over",
        };
        write!(f, "InFlight({}, {phase}, {:?})", self.line, self.ended)
    }
}
