//! What can be added to a response: headers, extensions, and your own.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Display;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::IntoResponse;
use crate::{Body, Problem, Response};

/// A value that adds something to a response; any member of a tuple between status and body.
///
/// ```
/// use std::convert::Infallible;
/// use tideway::http::{HeaderValue, header};
/// use tideway::response::{IntoResponseParts, ResponseParts};
///
/// struct Private;
///
/// impl IntoResponseParts for Private {
///     type Error = Infallible;
///
///     fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
///         let value = HeaderValue::from_static("private, no-store");
///         parts.headers_mut().insert(header::CACHE_CONTROL, value);
///         Ok(parts)
///     }
/// }
/// ```
///
/// An error is answered in place of the whole response.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a part of a response",
    label = "not `IntoResponseParts`",
    note = "a tuple is an optional `StatusCode`, then headers and other `IntoResponseParts`, last the body"
)]
pub trait IntoResponseParts {
    /// Answered instead when the part cannot be added.
    type Error: IntoResponse;

    /// Adds it.
    fn into_response_parts(self, parts: ResponseParts) -> Result<ResponseParts, Self::Error>;
}

/// A response to which parts are being added.
#[derive(Debug)]
pub struct ResponseParts {
    pub(super) response: Response,
}

impl ResponseParts {
    /// The status so far.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers so far.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The headers, to add to.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.response.headers_mut()
    }

    /// The extensions so far.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        self.response.extensions()
    }

    /// The extensions, to add to.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        self.response.extensions_mut()
    }
}

/// Every name in the map replaces what was there under it.
impl IntoResponseParts for HeaderMap {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.headers_mut().extend(self);
        Ok(parts)
    }
}

/// The first of a name replaces what was there, further ones of it are added: two `Set-Cookie`
/// stay two. A name or value that is no header (a line break in it) is a [`BadHeader`]: 500.
impl<K, V, const N: usize> IntoResponseParts for [(K, V); N]
where
    K: TryInto<HeaderName, Error: Display>,
    V: TryInto<HeaderValue, Error: Display>,
{
    type Error = BadHeader;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, BadHeader> {
        let mut own = BTreeSet::new();
        for (name, value) in self {
            let name = name.try_into().map_err(|error| BadHeader::of(&error))?;
            let value = value.try_into().map_err(|error| BadHeader::of(&error))?;
            if N > 1 && !own.insert(name.as_str().to_owned()) {
                parts.headers_mut().append(name, value);
            } else {
                parts.headers_mut().insert(name, value);
            }
        }
        Ok(parts)
    }
}

impl<T: IntoResponseParts> IntoResponseParts for Option<T> {
    type Error = T::Error;

    fn into_response_parts(self, parts: ResponseParts) -> Result<ResponseParts, T::Error> {
        match self {
            Some(part) => part.into_response_parts(parts),
            None => Ok(parts),
        }
    }
}

impl IntoResponseParts for () {
    type Error = Infallible;

    fn into_response_parts(self, parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        Ok(parts)
    }
}

/// A header that a handler tried to set and that is none; answered with 500.
#[derive(Debug, thiserror::Error)]
#[error("a response header is malformed: {0}; names are tokens, values have no line breaks")]
pub struct BadHeader(Box<str>);

impl BadHeader {
    fn of(error: &dyn Display) -> Self {
        Self(error.to_string().into())
    }
}

impl IntoResponse for BadHeader {
    fn into_response(self) -> Response {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
            .source(self)
            .into_response()
    }
}

impl IntoResponse for HeaderMap {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

impl<K, V, const N: usize> IntoResponse for [(K, V); N]
where
    K: TryInto<HeaderName, Error: Display>,
    V: TryInto<HeaderValue, Error: Display>,
{
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

impl IntoResponse for http::response::Parts {
    fn into_response(self) -> Response {
        Response::from_parts(self, Body::empty())
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_TYPE, SET_COOKIE};

    use super::*;

    #[test]
    fn a_header_replaces_and_repeated_ones_are_all_sent() {
        let response = ([(CONTENT_TYPE, "text/css")], "a{}").into_response();
        assert_eq!(response.headers().get_all(CONTENT_TYPE).iter().count(), 1);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/css");
        let response = [(SET_COOKIE, "a=1"), (SET_COOKIE, "b=2")].into_response();
        assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 2);
    }

    #[test]
    fn a_line_break_never_reaches_a_header() {
        let text = String::from("x\r\nset-cookie: a=b");
        let response = ([("x-name", text)], "body").into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().get("x-name").is_none());
    }
}
