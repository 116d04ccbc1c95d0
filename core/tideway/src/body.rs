//! Bodies of requests and responses: an enum, so that the common ones need no box.
//!
//! A [`Body`] is an [`http_body::Body`] of [`Bytes`]. It never reads a socket: the driver hands an
//! incoming one in, and takes an outgoing one frame by frame.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::error::{BoxError, caught};
use crate::ws::Upgrade;

mod collect;
mod filter;

pub use collect::Collect;
pub use filter::{Filter, Reject};

/// What can go wrong while a body moves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// More bytes than the route allows; answered with 413.
    #[error(
        "the body is larger than the limit of {limit} bytes; send less or raise the route's body limit"
    )]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The peer broke off, or sent something that is no body.
    #[error("the body ended early or could not be read: {0}")]
    Broken(#[source] BoxError),
    /// The handler's own stream failed or panicked.
    #[error("the body's producer failed: {0}")]
    Producer(#[source] BoxError),
}

/// A boxed body of any kind, as the driver and streaming handlers provide it.
pub type BoxBody = Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError> + Send>>;

/// The body of a request or a response.
///
/// ```
/// use tideway::Body;
/// assert_eq!(Body::from("hello").exact_len(), Some(5));
/// assert_eq!(Body::empty().exact_len(), Some(0));
/// ```
#[derive(Default)]
pub struct Body(pub(crate) Kind);

#[derive(Default)]
pub(crate) enum Kind {
    #[default]
    Empty,
    /// All bytes at hand; taken by the first poll.
    Full(Bytes),
    /// No bytes, but the length they would have: the answer to HEAD, and 304.
    Length(u64),
    /// A producer in this process: a stream, SSE, a filter over another body.
    Stream(BoxBody),
    /// No bytes of HTTP: with the status 101 the stream becomes a socket.
    Upgrade(Upgrade),
    /// From the network, with the bytes that may still come before the limit is passed.
    Incoming {
        body: BoxBody,
        left: u64,
        limit: u64,
    },
}

impl Body {
    /// No bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// All bytes at once; an empty one is [`Body::empty`].
    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self(Kind::Full(bytes))
        }
    }

    /// Chunks as they come. An error or a panic of the stream aborts the response visibly: the
    /// peer never takes a cut body for a whole one.
    pub fn stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self(Kind::Stream(Box::pin(filter::Produced::new(stream))))
    }

    /// Any other [`http_body::Body`], boxed once.
    pub fn boxed<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error = BodyError> + Send + 'static,
    {
        Self(Kind::Stream(Box::pin(body)))
    }

    /// A body that arrives from a peer. For drivers and tests.
    pub fn incoming<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error = BodyError> + Send + 'static,
    {
        Self(Kind::Incoming {
            body: Box::pin(body),
            left: u64::MAX,
            limit: u64::MAX,
        })
    }

    /// None, for a stream becomes a socket behind this response.
    pub(crate) fn upgrade(upgrade: Upgrade) -> Self {
        Self(Kind::Upgrade(upgrade))
    }

    /// What becomes of the stream behind this response, if its status is 101. For drivers.
    pub fn take_upgrade(&mut self) -> Option<Upgrade> {
        match std::mem::take(&mut self.0) {
            Kind::Upgrade(upgrade) => Some(upgrade),
            kind => {
                self.0 = kind;
                None
            }
        }
    }

    pub(crate) fn is_upgrade(&self) -> bool {
        matches!(self.0, Kind::Upgrade(_))
    }

    /// Whether there is no body at all: nothing will come, nothing was announced.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.0, Kind::Empty)
    }

    /// The body, passed through `filter`.
    #[must_use]
    pub fn filtered(self, filter: Box<dyn Filter>) -> Self {
        if self.is_upgrade() {
            return self;
        }
        if let Kind::Incoming { .. } = self.0 {
            // What a peer sent stays what a peer sent: a later limit counts what the filter made of it.
            return Self::incoming(filter::Filtered::new(self, filter));
        }
        Self(Kind::Stream(Box::pin(filter::Filtered::new(self, filter))))
    }

    /// At most `limit` bytes may be read from an incoming body; one more is
    /// [`BodyError::TooLarge`]. A body made here is left alone.
    pub fn set_limit(&mut self, max: u64) {
        if let Kind::Incoming { left, limit, .. } = &mut self.0 {
            (*left, *limit) = (max, max);
        }
    }

    /// The length in bytes, when it is known before the body is read.
    #[must_use]
    pub fn exact_len(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// Reads everything into one buffer; at most `cap` bytes, else [`BodyError::TooLarge`].
    pub fn collect_up_to(self, cap: u64) -> Collect {
        Collect::new(self, cap)
    }

    /// The body as a stream of its data chunks; trailers are dropped.
    pub fn into_data_stream(self) -> DataStream {
        DataStream(self)
    }

    /// A body with this one's length and none of its bytes (RFC 9110 §9.3.2).
    pub(crate) fn into_length_only(self) -> Self {
        match self.exact_len() {
            Some(0) | None => Self(Kind::Empty),
            Some(len) => Self(Kind::Length(len)),
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let kind = &mut self.get_mut().0;
        match kind {
            Kind::Empty | Kind::Length(_) | Kind::Upgrade(_) => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *kind = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream(body) => match caught(|| body.as_mut().poll_frame(cx)) {
                Ok(frame) => frame,
                Err(panic) => {
                    *kind = Kind::Empty;
                    Poll::Ready(Some(Err(BodyError::Producer(panic.into()))))
                }
            },
            Kind::Incoming { body, left, limit } => {
                let frame = ready!(body.as_mut().poll_frame(cx));
                if let Some(Ok(frame)) = &frame
                    && let Some(data) = frame.data_ref()
                {
                    match left.checked_sub(data.len() as u64) {
                        Some(rest) => *left = rest,
                        None => {
                            let limit = *limit;
                            *kind = Kind::Empty;
                            return Poll::Ready(Some(Err(BodyError::TooLarge { limit })));
                        }
                    }
                }
                Poll::Ready(frame)
            }
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty | Kind::Length(_) | Kind::Upgrade(_) => true,
            Kind::Full(_) => false,
            Kind::Stream(body) | Kind::Incoming { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty | Kind::Upgrade(_) => SizeHint::with_exact(0),
            Kind::Length(len) => SizeHint::with_exact(*len),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(body) | Kind::Incoming { body, .. } => body.size_hint(),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &self.0 {
            Kind::Empty => "empty",
            Kind::Full(_) => "full",
            Kind::Length(_) => "length only",
            Kind::Stream(_) => "stream",
            Kind::Incoming { .. } => "incoming",
            Kind::Upgrade(_) => "upgrade",
        };
        write!(f, "Body({kind}, {:?} bytes)", self.exact_len())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::full(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::full(text)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::full(bytes)
    }
}

/// The data chunks of a body; see [`Body::into_data_stream`].
#[derive(Debug)]
pub struct DataStream(Body);

impl Stream for DataStream {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}
