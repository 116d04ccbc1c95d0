//! A request: its head as public fields, what the framework knows as typed fields, its body.

use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Uri, Version};
use tideway_engine::Now;

use crate::body::Body;
use crate::pipeline::{Origin, Pipeline};
use crate::routing::Params;

mod id;
mod peer;

pub use id::RequestId;
pub use peer::Peer;

/// A response whose body is a Tideway [`Body`].
pub type Response<B = Body> = http::Response<B>;

/// A request on its way to a handler.
#[derive(Debug)]
pub struct Request {
    /// Everything but the body; boxed, since a request is moved often and a head is large.
    pub parts: Box<Parts>,
    /// The body, not yet read.
    pub body: Body,
}

/// The head of a request, with what the pipeline found out about it.
///
/// What Tideway itself knows (route, parameters, peer, request id) are typed fields behind methods, never
/// entries of `extensions`: that map costs an allocation, and is left to users.
pub struct Parts {
    /// GET, POST, …; a HEAD that a GET route answers is still HEAD here.
    pub method: Method,
    /// The request target.
    pub uri: Uri,
    /// HTTP/1.0, 1.1 or 2.
    pub version: Version,
    /// All header fields.
    pub headers: HeaderMap,
    /// Values of the user's own stages and wrappers.
    pub extensions: Extensions,
    pub(crate) params: Params,
    pub(crate) id: RequestId,
    pub(crate) received: Now,
    pub(crate) origin: Option<Arc<Origin>>,
}

impl Request {
    /// A request as it comes from the wire; its [`Origin`] is given to the exchange. For drivers and tests.
    #[must_use]
    #[inline]
    pub fn new(head: http::request::Parts, body: Body) -> Self {
        let http::request::Parts {
            method,
            uri,
            version,
            headers,
            extensions,
            ..
        } = head;
        Self {
            parts: Box::new(Parts {
                method,
                uri,
                version,
                headers,
                extensions,
                params: Params::default(),
                id: RequestId::NONE,
                received: Now::start(tideway_engine::Wall(0)),
                origin: None,
            }),
            body,
        }
    }
}

impl Parts {
    /// Who sent it.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.origin
            .as_ref()
            .map_or(&Peer::Other, |origin| origin.peer())
    }

    /// The request id; [`RequestId::NONE`] where no stage made one.
    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// When its head was read.
    #[must_use]
    pub fn received(&self) -> Now {
        self.received
    }

    /// The path parameters of the matched route, raw (percent-encoded).
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The application that serves it; `None` before routing.
    #[must_use]
    pub fn pipeline(&self) -> Option<&Arc<Pipeline>> {
        self.origin.as_ref().map(|origin| origin.pipeline())
    }

    /// The pattern of the matched route, such as `/users/{id}`; `None` before routing and for a 404.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.pipeline()?.pattern(self.params.route()?)
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("method", &self.method)
            .field("uri", &self.uri)
            .field("version", &self.version)
            .field("headers", &self.headers)
            .field("route", &self.route())
            .field("peer", self.peer())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
