//! Server-sent events (HTML Living Standard §9.2): a stream of events as a response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderValue, header};
use pin_project_lite::pin_project;

use super::IntoResponse;
use super::body::typed;
use crate::{Body, BoxError, BoxFuture, Clock, Response};

mod event;

pub use event::{Event, EventError};

/// A stream of [`Event`]s, sent as they come.
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use futures_util::stream;
/// use tideway::{App, Clock, IntoResponse, get, response::{Event, Sse}};
///
/// async fn ticks(clock: Clock) -> impl IntoResponse {
///     let events = stream::iter([Ok::<_, Infallible>(Event::new().data("tick"))]);
///     Sse::new(events).keep_alive(&clock, Duration::from_secs(15))
/// }
///
/// let app = App::new().route("/ticks", get(ticks));
/// ```
///
/// An error of the stream cuts the response, and the client connects again with the id of the last
/// event it saw. The end of the stream ends the response; the client connects again then, too.
#[derive(Debug)]
#[must_use = "events are sent only when a handler returns this"]
pub struct Sse<S> {
    events: S,
    alive: Option<Alive>,
}

impl<S, E> Sse<S>
where
    S: Stream<Item = Result<Event, E>> + Send + 'static,
    E: Into<BoxError>,
{
    /// A response of these events.
    pub fn new(events: S) -> Self {
        Self {
            events,
            alive: None,
        }
    }

    /// Sends an empty comment whenever nothing was sent for `every` (at least 1 ms), so that
    /// proxies keep the connection and a client that has gone is noticed. 15 s suits most proxies.
    pub fn keep_alive(mut self, clock: &Clock, every: Duration) -> Self {
        let every = every.max(Duration::from_millis(1));
        self.alive = Some(Alive {
            sleep: clock.sleep(every),
            clock: clock.clone(),
            every,
        });
        self
    }
}

impl<S, E> IntoResponse for Sse<S>
where
    S: Stream<Item = Result<Event, E>> + Send + 'static,
    E: Into<BoxError>,
{
    fn into_response(self) -> Response {
        let body = Body::stream(Chunks {
            events: self.events,
            alive: self.alive,
        });
        let mut response = typed(HeaderValue::from_static("text/event-stream"), body);
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

struct Alive {
    clock: Clock,
    every: Duration,
    sleep: BoxFuture<'static, ()>,
}

impl std::fmt::Debug for Alive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Alive({:?})", self.every)
    }
}

pin_project! {
    /// Events as bytes, with comments in between.
    struct Chunks<S> {
        #[pin]
        events: S,
        alive: Option<Alive>,
    }
}

impl<S, E> Stream for Chunks<S>
where
    S: Stream<Item = Result<Event, E>>,
{
    type Item = Result<Bytes, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let chunk = match this.events.poll_next(cx) {
            Poll::Ready(Some(event)) => event.map(Event::finish),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {
                let Some(alive) = this.alive.as_mut() else {
                    return Poll::Pending;
                };
                ready!(alive.sleep.as_mut().poll(cx));
                Ok(Bytes::from_static(b":\n\n"))
            }
        };
        if let Some(alive) = this.alive {
            // Polled first at the next `Pending`, which registers the waker.
            alive.sleep = alive.clock.sleep(alive.every);
        }
        Poll::Ready(Some(chunk))
    }
}
