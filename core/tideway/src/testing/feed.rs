//! Request bodies of a test: fed by hand, and watched for what the exchange is to be told.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::body::{Body, BodyError};
use crate::error::BoxError;

/// The client's end of a request body that arrives in pieces.
///
/// ```
/// use tideway::{App, Body, post, testing::{BodyFeed, TestApp}};
///
/// let mut app = TestApp::new(App::new().route("/", post(|text: String| async move { text })));
/// let feed = BodyFeed::new();
/// let mut flight = app.post("/").feed(&feed).start();
/// feed.push("half ");
/// assert!(flight.poll_head().is_none());
/// feed.push("whole").finish();
/// flight.finish().assert_text("half whole");
/// ```
///
/// Clones are the same feed. Pushing after the end does nothing, as after a hang-up.
#[derive(Clone, Default)]
pub struct BodyFeed(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    end: Option<Ending>,
    reader: Option<Waker>,
    taken: u64,
    abandoned: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Finished,
    BrokenOff,
}

impl BodyFeed {
    /// A body of which nothing has arrived yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These bytes arrive.
    pub fn push(&self, chunk: impl Into<Bytes>) -> &Self {
        let chunk = chunk.into();
        self.change(|state| {
            if state.end.is_none() {
                state.chunks.push_back(chunk);
            }
        });
        self
    }

    /// The body is complete.
    pub fn finish(&self) {
        self.change(|state| {
            state.end.get_or_insert(Ending::Finished);
        });
    }

    /// The client breaks off in the middle: the reader gets [`BodyError::Broken`].
    pub fn break_off(&self) {
        self.change(|state| {
            state.end.get_or_insert(Ending::BrokenOff);
        });
    }

    /// Bytes that the application has read.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.state().taken
    }

    /// Whether the application dropped the body, read to its end or not.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.state().abandoned
    }

    /// Whether nothing more can come.
    pub(super) fn is_over(&self) -> bool {
        self.state().end.is_some()
    }

    pub(super) fn body(&self) -> Body {
        Body::incoming(Fed(self.clone()))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let reader = {
            let mut state = self.state();
            change(&mut state);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for BodyFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        let waiting: usize = state.chunks.iter().map(Bytes::len).sum();
        write!(
            f,
            "BodyFeed({} bytes taken, {waiting} waiting)",
            state.taken
        )
    }
}

/// The application's end.
struct Fed(BodyFeed);

impl HttpBody for Fed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.0.state();
        if let Some(chunk) = state.chunks.pop_front() {
            state.taken += chunk.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match state.end {
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(Ending::Finished) => Poll::Ready(None),
            Some(Ending::BrokenOff) => {
                state.end = Some(Ending::Finished);
                let cause: BoxError = "the client broke off".into();
                Poll::Ready(Some(Err(BodyError::Broken(cause))))
            }
        }
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.0.state().abandoned = true;
    }
}

/// What happened to a request body since the exchange was last told.
#[derive(Debug, Default)]
pub(super) struct News(Mutex<Events>);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Events {
    /// Bytes that were read.
    pub(super) arrived: usize,
    /// The last read found nothing.
    pub(super) waits: bool,
    /// It ended, failed or was dropped.
    pub(super) over: bool,
}

impl News {
    /// The news, once.
    pub(super) fn take(&self) -> Events {
        std::mem::take(&mut *self.events())
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `body` as it comes from a network: watched, and open to limits. No body stays none.
pub(super) fn watched(body: Body, news: &Arc<News>) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::incoming(Watched {
        body,
        news: news.clone(),
    })
}

struct Watched {
    body: Body,
    news: Arc<News>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let mut events = self.news.events();
        events.waits = polled.is_pending();
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                events.arrived += frame.data_ref().map_or(0, Bytes::len);
            }
            Poll::Ready(_) => events.over = true,
            Poll::Pending => {}
        }
        drop(events);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.news.events().over = true;
    }
}
