//! The body as it is: `Request`, `Body`, `Bytes`, `String`. Reading is limited by the body-limit
//! stage, never here.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::FromRequest;
use super::media::Media;
use crate::response::IntoResponse;
use crate::{Body, BodyError, Context, Problem, Request, Response};

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit } => Problem::new(StatusCode::PAYLOAD_TOO_LARGE).detail(
                format!("the body may have at most {limit} bytes here; send less"),
            ),
            BodyError::Broken(source) => Problem::new(StatusCode::BAD_REQUEST)
                .detail("the body ended early or could not be read; send it again")
                .source(source),
            BodyError::Producer(source) => {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR).source(source)
            }
        }
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// All bytes of `body`.
pub(super) async fn read(body: Body) -> Result<Bytes, BodyError> {
    body.collect_up_to(u64::MAX).await
}

/// Whether there is no body at all.
pub(super) fn empty(request: &Request) -> bool {
    request.body.exact_len() == Some(0)
}

impl FromRequest for Request {
    const IMMEDIATE: bool = true;
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &Context) -> Result<Self, Infallible> {
        Ok(request)
    }
}

impl FromRequest for Body {
    const IMMEDIATE: bool = true;
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &Context) -> Result<Self, Infallible> {
        Ok(request.body)
    }
}

/// Fails with 413 over the limit, 400 if the client broke off.
impl FromRequest for Bytes {
    type Rejection = BodyError;

    async fn from_request(request: Request, _: &Context) -> Result<Self, BodyError> {
        read(request.body).await
    }

    fn absent(request: &Request, _: &Context) -> bool {
        empty(request)
    }
}

/// Why a body is no `String`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextRejection {
    /// The `charset` parameter names another encoding; 415.
    #[error("the body is in {0:?}; send UTF-8")]
    Charset(Box<str>),
    /// Not UTF-8; 400.
    #[error("the body is not UTF-8: byte {0} is wrong")]
    Utf8(usize),
    /// The body could not be read; 413 or 400.
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl From<TextRejection> for Problem {
    fn from(rejection: TextRejection) -> Self {
        let status = match rejection {
            TextRejection::Charset(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            TextRejection::Utf8(_) => StatusCode::BAD_REQUEST,
            TextRejection::Body(error) => return error.into(),
        };
        Problem::new(status).detail(rejection.to_string())
    }
}

impl IntoResponse for TextRejection {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

fn charset(headers: &HeaderMap) -> Result<(), TextRejection> {
    match Media::of(headers).and_then(|media| media.foreign_charset()) {
        Some(charset) => Err(TextRejection::Charset(crate::routing::cut(charset).into())),
        None => Ok(()),
    }
}

/// Fails with 415 for a charset other than UTF-8, 400 for bytes that are not UTF-8, 413 over the
/// limit.
impl FromRequest for String {
    type Rejection = TextRejection;

    async fn from_request(request: Request, _: &Context) -> Result<Self, TextRejection> {
        charset(&request.parts.headers)?;
        let bytes = read(request.body).await?;
        match String::from_utf8(bytes.into()) {
            Ok(text) => Ok(text),
            Err(error) => Err(TextRejection::Utf8(error.utf8_error().valid_up_to())),
        }
    }

    fn absent(request: &Request, _: &Context) -> bool {
        empty(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{block_on, request};

    fn text(kind: Option<&'static str>, body: &'static [u8]) -> Result<String, StatusCode> {
        let mut request = request("POST", "/");
        request.body = Body::full(body);
        if let Some(kind) = kind {
            let kind = http::HeaderValue::from_static(kind);
            request
                .parts
                .headers
                .insert(http::header::CONTENT_TYPE, kind);
        }
        block_on(String::from_request(request, &Context::default()))
            .map_err(|rejection| rejection.into_response().status())
    }

    #[test]
    fn text_is_utf8() {
        assert_eq!(text(None, b"hi").as_deref(), Ok("hi"));
        assert_eq!(text(None, b"\xff"), Err(StatusCode::BAD_REQUEST));
        let latin = text(Some("text/plain; charset=latin1"), b"hi");
        assert_eq!(latin, Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }

    #[test]
    fn a_body_over_the_limit_is_413() {
        let mut request = request("POST", "/");
        request.body = Body::incoming(Body::full("four"));
        request.body.set_limit(3);
        let error = block_on(Bytes::from_request(request, &Context::default()));
        let status = error.map_err(|e| e.into_response().status());
        assert_eq!(status, Err(StatusCode::PAYLOAD_TOO_LARGE));
    }

    #[test]
    fn an_optional_body_is_none_when_empty() {
        let got = block_on(Option::<Bytes>::from_request(
            request("POST", "/"),
            &Context::default(),
        ));
        assert!(matches!(got, Ok(None)));
    }
}
