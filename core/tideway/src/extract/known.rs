//! What the framework itself knows about a request: its peer, id, route and clock.

use std::convert::Infallible;
use std::sync::Arc;

use http::StatusCode;

use super::FromRequestParts;
use crate::pipeline::Pipeline;
use crate::tasks::{Clock, Tasks};
use crate::{Context, Parts, Peer, Problem, RequestId};

/// Who sent the request, as the listener saw it; the name axum has for [`Peer`].
pub type ConnectInfo = Peer;

impl FromRequestParts for Peer {
    const IMMEDIATE: bool = true;
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, Infallible> {
        Ok(*parts.peer())
    }
}

impl FromRequestParts for RequestId {
    const IMMEDIATE: bool = true;
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, Infallible> {
        Ok(parts.id.clone())
    }

    fn absent(parts: &Parts, _: &Context) -> bool {
        parts.id.is_none()
    }
}

fn tasks(parts: &Parts) -> Result<Arc<dyn Tasks>, Problem> {
    let pipeline = parts.pipeline().ok_or_else(|| unrouted("a clock"))?;
    Ok(Arc::clone(&pipeline.tasks))
}

fn unrouted(what: &str) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
        .source(format!("{what} was asked of a request that no app routed"))
}

impl FromRequestParts for Clock {
    const IMMEDIATE: bool = true;
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, Problem> {
        tasks(parts).map(Clock::new)
    }
}

impl FromRequestParts for Arc<dyn Tasks> {
    const IMMEDIATE: bool = true;
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, Problem> {
        tasks(parts)
    }
}

/// The pattern of the matched route, such as `/users/{id}`: a label with few values, for metrics
/// and logs.
///
/// ```
/// use tideway::{App, extract::MatchedPath, get};
/// let app = App::new().route("/users/{id}", get(|path: MatchedPath| path.as_str().to_owned()));
/// ```
///
/// In a fallback there is none: take `Option<MatchedPath>`, else the answer is 500.
#[derive(Clone)]
pub struct MatchedPath {
    pipeline: Arc<Pipeline>,
    route: u32,
}

impl MatchedPath {
    /// The pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.pipeline.pattern(self.route).unwrap_or("")
    }
}

impl std::fmt::Debug for MatchedPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MatchedPath({:?})", self.as_str())
    }
}

impl FromRequestParts for MatchedPath {
    const IMMEDIATE: bool = true;
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, Problem> {
        match (parts.pipeline(), parts.params.route()) {
            (Some(pipeline), Some(route)) => Ok(Self {
                pipeline: Arc::clone(pipeline),
                route,
            }),
            _ => Err(unrouted("the matched path")),
        }
    }

    fn absent(parts: &Parts, _: &Context) -> bool {
        parts.route().is_none()
    }
}
