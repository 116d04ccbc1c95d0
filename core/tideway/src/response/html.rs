//! `Html<T>`: a page.

use http::HeaderValue;

use super::IntoResponse;
use super::body::typed;
use crate::{Body, Response};

/// A body of `text/html; charset=utf-8`. Nothing is escaped: that is the template's work.
///
/// ```
/// use tideway::{App, get, response::Html};
/// let app = App::new().route("/", get(|| Html("<h1>Hello</h1>")));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Html<T>(pub T);

impl<T: Into<Body>> IntoResponse for Html<T> {
    fn into_response(self) -> Response {
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        typed(kind, self.0.into())
    }
}
