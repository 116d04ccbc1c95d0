//! Reading a whole body into one buffer, never past a cap.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::Body as HttpBody;

use super::{Body, BodyError, Kind};

/// The future of [`Body::collect_up_to`].
///
/// One chunk is handed through as it is; several are copied once into a buffer that grows with
/// what arrived, never with what was announced.
#[derive(Debug)]
pub struct Collect {
    body: Body,
    cap: u64,
    first: Option<Bytes>,
    rest: BytesMut,
}

impl Collect {
    pub(super) fn new(body: Body, cap: u64) -> Self {
        Self {
            body,
            cap,
            first: None,
            rest: BytesMut::new(),
        }
    }
}

impl Future for Collect {
    type Output = Result<Bytes, BodyError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Kind::Full(bytes) = &mut this.body.0 {
            if bytes.len() as u64 > this.cap {
                return Poll::Ready(Err(BodyError::TooLarge { limit: this.cap }));
            }
            return Poll::Ready(Ok(std::mem::take(bytes)));
        }
        loop {
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) else {
                let first = this.first.take().unwrap_or_default();
                return Poll::Ready(Ok(if this.rest.is_empty() {
                    first
                } else {
                    std::mem::take(&mut this.rest).freeze()
                }));
            };
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            let have = this.first.as_ref().map_or(this.rest.len(), Bytes::len) as u64;
            if have + data.len() as u64 > this.cap {
                return Poll::Ready(Err(BodyError::TooLarge { limit: this.cap }));
            }
            match this.first.take() {
                None if this.rest.is_empty() => this.first = Some(data),
                None => this.rest.extend_from_slice(&data),
                Some(first) => {
                    this.rest.reserve(first.len() + data.len());
                    this.rest.extend_from_slice(&first);
                    this.rest.extend_from_slice(&data);
                }
            }
        }
    }
}
