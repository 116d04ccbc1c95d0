//! The answers to a request that is no handshake.

use http::{HeaderValue, StatusCode, header};
use tideway_engine::ws::handshake::{self, Refused};

use crate::{IntoResponse, Problem, Response};

/// Why [`WebSocketUpgrade`](super::WebSocketUpgrade) is not given: the request opens no WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeRejection {
    /// A rule of RFC 6455 §4.2.1 is broken; answered with its status.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// It has a body, which could be mistaken for frames. 400.
    #[error("a WebSocket is opened without a body")]
    Body,
    /// A header of the handshake is no text. 400.
    #[error("a header of the handshake is not ASCII")]
    NotText,
}

impl HandshakeRejection {
    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(refused) => {
                StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST)
            }
            Self::Body | Self::NotText => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for HandshakeRejection {
    fn into_response(self) -> Response {
        let problem = Problem::new(self.status()).detail(self.to_string());
        let mut response = problem.into_response();
        let headers = response.headers_mut();
        match self.status() {
            // RFC 9110 §15.5.22: it says to what; RFC 6455 §4.4: and in which version.
            StatusCode::UPGRADE_REQUIRED => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(
                    header::SEC_WEBSOCKET_VERSION,
                    HeaderValue::from_static(handshake::VERSION),
                );
            }
            // RFC 9110 §15.5.6.
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
            }
            _ => {}
        }
        response
    }
}
