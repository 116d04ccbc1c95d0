//! Statuses as responses: a bare one, and the ones with a meaning of their own.

use http::{HeaderValue, StatusCode, header};

use super::{IntoResponse, Redirect};
use crate::{Body, Response};

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self;
        response
    }
}

/// 204: done, and nothing to say.
///
/// ```
/// use tideway::{App, delete, response::NoContent};
/// let app = App::new().route("/notes/{id}", delete(|| NoContent));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// 202: taken, not yet done (RFC 9110 §15.3.3); the body says where to look.
///
/// ```
/// use tideway::{App, post, response::Accepted};
/// let app = App::new().route("/reports", post(|| Accepted("see /reports/7")));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Accepted<R>(pub R);

impl<R: IntoResponse> IntoResponse for Accepted<R> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, self.0).into_response()
    }
}

/// 201: made, with its `Location` (RFC 9110 §15.3.2).
///
/// ```
/// use tideway::{App, post, response::{Created, Json}};
/// let app = App::new().route("/notes", post(|| Created::at("/notes/7", Json([7]))));
/// ```
///
/// A location with a control character is answered with 500.
#[derive(Clone, Debug)]
pub struct Created<R> {
    location: String,
    body: R,
}

impl<R> Created<R> {
    /// What was made is at `location`; `body` describes it.
    pub fn at(location: impl Into<String>, body: R) -> Self {
        Self {
            location: location.into(),
            body,
        }
    }
}

impl<R: IntoResponse> IntoResponse for Created<R> {
    fn into_response(self) -> Response {
        match Redirect::location(&self.location) {
            Ok(location) => {
                let header: [(_, HeaderValue); 1] = [(header::LOCATION, location)];
                (StatusCode::CREATED, header, self.body).into_response()
            }
            Err(error) => error.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_answers_202_and_created_201_with_its_place() {
        assert_eq!(Accepted("x").into_response().status(), StatusCode::ACCEPTED);
        assert_eq!(NoContent.into_response().status(), StatusCode::NO_CONTENT);
        let response = Created::at("/a/7", "x").into_response();
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()[header::LOCATION], "/a/7");
        let response = Created::at("/a\r\nx: y", "x").into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
