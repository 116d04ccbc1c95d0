//! The handshake over HTTP/2 (RFC 8441), as the pipeline sees it.

/// An extended CONNECT that asks for a WebSocket (RFC 8441 §4): an extension of the request, put there by the driver. Such
/// a request is answered by GET's handler, and its socket opens with 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedConnect;
