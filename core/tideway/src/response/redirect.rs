//! Redirects.

use std::borrow::Cow;

use http::{HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::IntoResponse;
use crate::{Problem, Response};

/// Sends the client elsewhere.
///
/// ```
/// use tideway::{App, get, post, response::Redirect};
/// let app = App::new()
///     .route("/old", get(|| Redirect::permanent("/new")))
///     .route("/notes", post(|| Redirect::to("/notes/7")));
/// ```
///
/// A place with a control character (a line break would start a header) is answered with 500.
/// Spaces and non-ASCII characters are percent-encoded. Where it leads is not checked: never
/// redirect to a place that a client named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    status: StatusCode,
    place: Cow<'static, str>,
}

/// What may not stand in a URI as it is; `%` stays, so that what is encoded is not encoded twice.
const OUTSIDE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');

impl Redirect {
    /// 303: the answer is there, fetch it with GET. After a POST.
    pub fn to(place: impl Into<Cow<'static, str>>) -> Self {
        Self::with(StatusCode::SEE_OTHER, place)
    }

    /// 307: try the same method there, this time.
    pub fn temporary(place: impl Into<Cow<'static, str>>) -> Self {
        Self::with(StatusCode::TEMPORARY_REDIRECT, place)
    }

    /// 308: use the same method there, from now on. Clients remember it.
    pub fn permanent(place: impl Into<Cow<'static, str>>) -> Self {
        Self::with(StatusCode::PERMANENT_REDIRECT, place)
    }

    fn with(status: StatusCode, place: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            place: place.into(),
        }
    }

    /// `place` as the value of `Location`.
    pub(super) fn location(place: &str) -> Result<HeaderValue, Problem> {
        let refuse = || {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
                .source(format!("a `Location` has a control character: {place:?}"))
        };
        if place.chars().any(char::is_control) {
            return Err(refuse());
        }
        let text: Cow<'_, str> = utf8_percent_encode(place, OUTSIDE).into();
        HeaderValue::from_str(&text).map_err(|_| refuse())
    }
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Response {
        match Self::location(&self.place) {
            Ok(location) => (self.status, [(header::LOCATION, location)]).into_response(),
            Err(problem) => problem.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(redirect: Redirect) -> (u16, String) {
        let response = redirect.into_response();
        let place = response.headers().get(header::LOCATION);
        let place = place
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
            .to_owned();
        (response.status().as_u16(), place)
    }

    #[test]
    fn each_kind_has_its_status() {
        assert_eq!(
            location(Redirect::to("/a?b=c%20d")),
            (303, "/a?b=c%20d".to_owned())
        );
        assert_eq!(
            location(Redirect::temporary("/a b")),
            (307, "/a%20b".to_owned())
        );
        assert_eq!(
            location(Redirect::permanent("/\u{e9}")),
            (308, "/%C3%A9".to_owned())
        );
    }

    #[test]
    fn a_line_break_starts_no_header() {
        for place in ["/a\r\nset-cookie: x=y", "/a\n", "/\u{0}"] {
            assert_eq!(location(Redirect::to(place)), (500, String::new()));
        }
    }
}
