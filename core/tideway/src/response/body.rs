//! Bodies as responses: text, bytes, streams, whole responses, and the choice between two.

use std::borrow::Cow;
use std::convert::Infallible;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header};

use super::IntoResponse;
use crate::{Body, Problem, Response, spare};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A 200 with this body and `Content-Type`.
pub(super) fn typed(kind: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    spare::lend(response.headers_mut());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

macro_rules! bodies {
    ($kind:ident: $($type:ty,)*) => {$(
        impl IntoResponse for $type {
            fn into_response(self) -> Response {
                typed($kind, Body::from(self))
            }
        }
    )*};
}

bodies! { TEXT: &'static str, String, }
bodies! { BYTES: Bytes, Vec<u8>, }

impl IntoResponse for Cow<'static, str> {
    fn into_response(self) -> Response {
        match self {
            Cow::Borrowed(text) => text.into_response(),
            Cow::Owned(text) => text.into_response(),
        }
    }
}

impl IntoResponse for Box<str> {
    fn into_response(self) -> Response {
        String::from(self).into_response()
    }
}

impl IntoResponse for char {
    fn into_response(self) -> Response {
        self.to_string().into_response()
    }
}

impl IntoResponse for &'static [u8] {
    fn into_response(self) -> Response {
        Bytes::from_static(self).into_response()
    }
}

impl<const N: usize> IntoResponse for &'static [u8; N] {
    fn into_response(self) -> Response {
        Bytes::from_static(self).into_response()
    }
}

impl IntoResponse for BytesMut {
    fn into_response(self) -> Response {
        self.freeze().into_response()
    }
}

/// A 200 without `Content-Type`; add one with a tuple.
impl IntoResponse for Body {
    fn into_response(self) -> Response {
        Response::new(self)
    }
}

/// An empty 200.
impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::new(Body::empty())
    }
}

impl<B: Into<Body>> IntoResponse for http::Response<B> {
    fn into_response(self) -> Response {
        self.map(Into::into)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // The method of the type itself, not this one.
        Problem::into_response(self)
    }
}

impl IntoResponse for Infallible {
    fn into_response(self) -> Response {
        match self {}
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::fixture::text;

    #[test]
    fn each_body_names_its_type() {
        let kind = |response: Response| {
            let kind = response.headers().get(header::CONTENT_TYPE);
            kind.map(|kind| kind.to_str().unwrap_or("").to_owned())
                .unwrap_or_default()
        };
        assert_eq!(kind("a".into_response()), "text/plain; charset=utf-8");
        assert_eq!(
            kind(String::from("a").into_response()),
            "text/plain; charset=utf-8"
        );
        assert_eq!(kind(vec![1_u8].into_response()), "application/octet-stream");
        assert_eq!(kind(Body::from("a").into_response()), "");
        assert_eq!(kind(().into_response()), "");
        assert_eq!(
            text(Cow::<'static, str>::Borrowed("cow").into_response()),
            "cow"
        );
        assert_eq!(text(http::Response::new("plain").into_response()), "plain");
    }

    #[test]
    fn a_result_is_the_side_it_is_on() {
        let good: Result<&str, Problem> = Ok("fine");
        assert_eq!(good.into_response().status(), StatusCode::OK);
        let bad: Result<&str, Problem> = Err(Problem::new(StatusCode::CONFLICT));
        assert_eq!(bad.into_response().status(), StatusCode::CONFLICT);
    }
}
