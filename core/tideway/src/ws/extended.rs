//! The handshake over HTTP/2 (RFC 8441), as the pipeline sees it.

use http::Method;

use crate::Parts;

/// An extended CONNECT that asks for a WebSocket (RFC 8441 §4): an extension of the request, put there by the driver. Such
/// a request is answered by GET's handler, and its socket opens with 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedConnect;

impl ExtendedConnect {
    /// Whether the request is one.
    pub(super) fn is(parts: &Parts) -> bool {
        parts.method == Method::CONNECT && parts.extensions.get::<Self>().is_some()
    }

    /// The method by which the request is routed.
    pub(crate) fn method(parts: &Parts) -> &Method {
        if Self::is(parts) {
            &Method::GET
        } else {
            &parts.method
        }
    }
}
