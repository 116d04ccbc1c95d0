//! Responses: what a handler may return, and the types that build it.
//!
//! A tuple builds a response from parts: an optional status first, then headers and other
//! [`IntoResponseParts`], last the body.
//!
//! ```
//! use tideway::{IntoResponse, http::{StatusCode, header}};
//! let made = (StatusCode::CREATED, [(header::LOCATION, "/notes/7")], "made").into_response();
//! assert_eq!(made.status(), StatusCode::CREATED);
//! assert_eq!(made.headers()["location"], "/notes/7");
//! ```

use crate::Response;

mod body;
mod html;
mod parts;
mod redirect;
mod sse;
mod status;
mod tuple;

pub use crate::extract::{Extension, Json};
pub use html::Html;
pub use parts::{BadHeader, IntoResponseParts, ResponseParts};
pub use redirect::Redirect;
pub use sse::{Event, EventError, Sse};
pub use status::{Accepted, Created, NoContent};

/// A value that is a response.
///
/// Implemented for text and bytes, [`StatusCode`](http::StatusCode) (an empty body), headers,
/// [`Json`], [`Html`], [`Redirect`], [`Sse`], [`Problem`](crate::Problem), `Result` of two such
/// values, and tuples (see the [module](self)).
///
/// ```
/// use tideway::{IntoResponse, Response, http::StatusCode};
///
/// enum Shop { Open, Closed }
///
/// impl IntoResponse for Shop {
///     fn into_response(self) -> Response {
///         match self {
///             Shop::Open => "come in".into_response(),
///             Shop::Closed => StatusCode::SERVICE_UNAVAILABLE.into_response(),
///         }
///     }
/// }
/// ```
///
/// It cannot fail: an implementation that can (a serialiser) answers with a 500
/// [`Problem`](crate::Problem), whose status no tuple around it changes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no response",
    label = "not `IntoResponse`",
    note = "return text, bytes, a status, `Json`, `Html`, a tuple of status, headers and body, or a `Result` of two of them; or implement `IntoResponse` for `{Self}`"
)]
pub trait IntoResponse {
    /// The response.
    fn into_response(self) -> Response;
}
