//! Extractors: what a handler's arguments can be.
//!
//! | Extractor | Takes | Fails with |
//! |---|---|---|
//! | [`Path<T>`] | the path parameters, decoded | 400 |
//! | [`Query<T>`] | the query string | 400 |
//! | [`Form<T>`] | a form from the body, or from the query of a GET | 413, 415, 422 |
//! | [`Json<T>`] | a JSON body | 400, 413, 415, 422 |
//! | [`State<T>`] | a service of the app | at start: a missing one is a build error |
//! | [`Extension<T>`] | a value that a stage or wrapper left | 500 |
//! | [`Bytes`](bytes::Bytes), `String` | the whole body | 400, 413, 415 |
//! | [`Body`](crate::Body), [`Request`] | the body unread, or everything | never |
//! | `Method`, `Uri`, `Version`, `HeaderMap` | that part of the head | never |
//! | [`MatchedPath`] | the route's pattern | 500 outside a route |
//! | [`Readiness`] | whether new work is welcome | never in an app |
//! | [`Peer`](crate::Peer), [`RequestId`](crate::RequestId), [`Clock`](crate::Clock) | what the framework knows | never |
//!
//! `Result<T, T::Rejection>` hands the rejection to the handler. `Option<T>` is `None` only when
//! the request says nothing about `T` ([`FromRequestParts::absent`]); what is there and wrong is
//! still rejected.
//!
//! Every rejection is answered as a [`Problem`](crate::Problem) document. Every argument but the
//! last must be [`FromRequestParts`]; the last one may take the body.

use std::future::Future;

use crate::context::Needs;
use crate::response::IntoResponse;
use crate::{Context, Parts, Request, spare};

mod body;
mod extension;
mod form;
mod head;
mod json;
mod known;
mod media;
mod optional;
mod path;
mod query;
mod ready;
mod state;

pub use body::TextRejection;
pub use extension::Extension;
pub use form::{Form, FormRejection};
pub use json::{Json, JsonRejection};
pub use known::{ConnectInfo, MatchedPath};
pub use path::{BadValue, Path, PathRejection};
pub use query::{BadField, Query, QueryRejection};
pub use ready::Readiness;
pub use state::State;

/// Marks a [`FromRequest`] that takes the request as a whole; the default.
#[derive(Debug)]
pub struct ViaRequest(());

/// Marks a [`FromRequest`] that is one because it is [`FromRequestParts`].
#[derive(Debug)]
pub struct ViaParts(());

/// A value taken from a request's head: any argument of a handler.
///
/// ```
/// use tideway::{Context, Parts, Problem, extract::FromRequestParts, http::StatusCode};
///
/// struct ApiKey(String);
///
/// impl FromRequestParts for ApiKey {
///     const IMMEDIATE: bool = true;
///     type Rejection = Problem;
///
///     async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, Problem> {
///         let key = parts.headers.get("x-api-key").and_then(|value| value.to_str().ok());
///         key.map(|key| Self(key.to_owned())).ok_or_else(|| {
///             Problem::new(StatusCode::UNAUTHORIZED).detail("send your key in X-Api-Key")
///         })
///     }
/// }
/// ```
///
/// A rejection is answered instead of calling the handler.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken from a request's head",
    label = "not an extractor of the head",
    note = "implement `FromRequestParts` for `{Self}`, or use one of `tideway::extract`",
    note = "an extractor that reads the body (`Json`, `Form`, `String`, `Bytes`, `Request`, …) must be the last argument"
)]
pub trait FromRequestParts: Sized + Send + 'static {
    /// Whether [`from_request_parts`](Self::from_request_parts) never waits. A plain `fn` handler
    /// whose extractors all say so is called without boxing a future; one that says so and waits
    /// is answered with 500.
    const IMMEDIATE: bool = false;

    /// Answered when the value is not there or is wrong.
    type Rejection: IntoResponse + Send + 'static;

    /// Takes the value.
    fn from_request_parts(
        parts: &mut Parts,
        cx: &Context,
    ) -> impl Future<Output = Result<Self, Self::Rejection>> + Send;

    /// Whether the request says nothing about it, so that `Option<Self>` is `None`. The default
    /// says it always does.
    fn absent(parts: &Parts, cx: &Context) -> bool {
        let _ = (parts, cx);
        false
    }

    /// Declares services that must have been provided, so that a missing one is found at start.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

/// A value taken from a whole request, body included: the last argument of a handler.
///
/// ```
/// use tideway::{Context, Problem, Request, extract::FromRequest, http::StatusCode};
///
/// struct Even(Vec<u8>);
///
/// impl FromRequest for Even {
///     type Rejection = Problem;
///
///     async fn from_request(request: Request, cx: &Context) -> Result<Self, Problem> {
///         let bytes = tideway::bytes::Bytes::from_request(request, cx).await?;
///         if bytes.len() % 2 == 1 {
///             return Err(Problem::new(StatusCode::BAD_REQUEST).detail("send an even number of bytes"));
///         }
///         Ok(Self(bytes.to_vec()))
///     }
/// }
/// ```
///
/// A rejection is answered instead of calling the handler.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken from a request",
    label = "not an extractor",
    note = "implement `FromRequestParts` (head only) or `FromRequest` (with the body) for `{Self}`, or use one of `tideway::extract`"
)]
pub trait FromRequest<M = ViaRequest>: Sized + Send + 'static {
    /// Whether [`from_request`](Self::from_request) never waits.
    const IMMEDIATE: bool = false;

    /// Answered when the value is not there or is wrong.
    type Rejection: IntoResponse + Send + 'static;

    /// Takes the value.
    fn from_request(
        request: Request,
        cx: &Context,
    ) -> impl Future<Output = Result<Self, Self::Rejection>> + Send;

    /// Whether the request says nothing about it, so that `Option<Self>` is `None`.
    fn absent(request: &Request, cx: &Context) -> bool {
        let _ = (request, cx);
        false
    }

    /// Declares services that must have been provided.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

impl<T: FromRequestParts> FromRequest<ViaParts> for T {
    const IMMEDIATE: bool = T::IMMEDIATE;
    type Rejection = T::Rejection;

    async fn from_request(mut request: Request, cx: &Context) -> Result<Self, T::Rejection> {
        let value = T::from_request_parts(&mut request.parts, cx).await;
        spare::keep(&mut request.parts.headers);
        value
    }

    fn absent(request: &Request, cx: &Context) -> bool {
        T::absent(&request.parts, cx)
    }

    fn needs(needs: &mut Needs) {
        T::needs(needs);
    }
}
