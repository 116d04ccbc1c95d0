//! Streaming transforms of bodies, and the guard around a handler's own stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body as HttpBody, Frame};
use tideway_engine::Chunks;

use super::{Body, BodyError};
use crate::error::BoxError;

/// A pure transform of a body's bytes: compression, hashing, counting.
///
/// Per chunk `push`, at a pause of the producer `flush` (so that SSE and long polls are not held
/// back), at the end `finish`.
pub trait Filter: Send {
    /// Takes a chunk and appends what it becomes.
    fn push(&mut self, chunk: Bytes, out: &mut Chunks) -> Result<(), Reject>;
    /// Appends whatever is held back; called when the producer has no more for now.
    fn flush(&mut self, out: &mut Chunks) {
        let _ = out;
    }
    /// Appends the last bytes.
    fn finish(&mut self, out: &mut Chunks) -> Result<(), Reject> {
        let _ = out;
        Ok(())
    }
}

/// Why a filter refuses to go on; the body ends with an error and the exchange is aborted.
#[derive(Debug, thiserror::Error)]
#[error("a body filter refused: {reason}")]
pub struct Reject {
    /// What was wrong, for the log.
    pub reason: BoxError,
}

pin_project_lite::pin_project! {
    /// A handler's stream as a body, fused: errors are wrapped.
    pub(super) struct Produced<S> {
        #[pin]
        stream: S,
        ended: bool,
    }
}

impl<S> Produced<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            ended: false,
        }
    }
}

impl<S, E> HttpBody for Produced<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        let item = ready!(this.stream.poll_next(cx));
        *this.ended = !matches!(item, Some(Ok(_)));
        Poll::Ready(item.map(|chunk| {
            chunk
                .map(Frame::data)
                .map_err(|error| BodyError::Producer(error.into()))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// A body behind a filter. Trailers pass by, after the filter's last bytes.
pub(super) struct Filtered {
    body: Body,
    filter: Box<dyn Filter>,
    out: Chunks,
    trailers: Option<Frame<Bytes>>,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Open,
    Finished,
    Failed,
}

impl Filtered {
    pub(super) fn new(body: Body, filter: Box<dyn Filter>) -> Self {
        Self {
            body,
            filter,
            out: Chunks::default(),
            trailers: None,
            state: State::Open,
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.state = State::Failed;
        Poll::Ready(Some(Err(error)))
    }
}

impl HttpBody for Filtered {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            if this.state == State::Failed {
                return Poll::Ready(None);
            }
            if let Some(chunk) = this.out.pop() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            if this.state == State::Finished {
                return Poll::Ready(this.trailers.take().map(Ok));
            }
            let (body, filter, out) = (&mut this.body, &mut this.filter, &mut this.out);
            let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
                filter.flush(out);
                match this.out.pop() {
                    Some(chunk) => return Poll::Ready(Some(Ok(Frame::data(chunk)))),
                    None => return Poll::Pending,
                }
            };
            let moved = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => filter.push(data, out),
                    Err(trailers) => {
                        this.trailers = Some(trailers);
                        Ok(())
                    }
                },
                Some(Err(error)) => return this.fail(error),
                None => {
                    this.state = State::Finished;
                    filter.finish(out)
                }
            };
            if let Err(reject) = moved {
                return this.fail(BodyError::Producer(Box::new(reject)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Finished && self.out.is_empty() && self.trailers.is_none()
    }
}
