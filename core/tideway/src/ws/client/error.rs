//! Why there is no socket, for whoever asked for one.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tideway_engine::ws::handshake::BadAnswer;

use super::UrlError;

/// How many characters of a refusal's body are shown.
const SHOWN: usize = 200;

/// Why [`connect`](super::connect) gave no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL.
    #[error("{0}")]
    Url(#[from] UrlError),
    /// A header that cannot be sent, or is the handshake's own.
    #[error(
        "the header `{0}` is not sent: its name or value is malformed, or it is set by the handshake itself"
    )]
    Header(Box<str>),
    /// A subprotocol that cannot be offered.
    #[error("the subprotocol `{0}` is not offered: name each once, by letters, digits and -._")]
    Protocol(Box<str>),
    /// No connection: no such host, nobody listens, no way there.
    #[error("no connection to {to}: {error}; see whether the server runs and the address is right")]
    Unreachable {
        /// Host and port.
        to: Box<str>,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// Name, connection and handshake took too long together.
    #[error(
        "no WebSocket with {to} in {within:?}: the server is silent or overloaded; `within` sets how long to wait"
    )]
    Late {
        /// Host and port.
        to: Box<str>,
        /// How long it might have taken.
        within: Duration,
    },
    /// The connection was lost while the handshake went on.
    #[error(
        "the server closed the connection before its answer was complete: see whether {0} is a WebSocket server"
    )]
    Lost(
        /// Host and port.
        Box<str>,
    ),
    /// The server answered something else than 101; with the beginning of its body, up to 1 KiB. Redirections are
    /// not followed.
    #[error("the server refused: {}", shown(.0))]
    Refused(Box<Response<Bytes>>),
    /// The answer has another meaning than the request.
    #[error("{0}: it is no WebSocket server, or a proxy in between does not know WebSocket")]
    Answer(#[from] BadAnswer),
    /// The answer is not HTTP/1.1, or over a cap.
    #[error("the answer is refused: {0}")]
    Head(&'static str),
    /// There is no network here: the app is driven by [`testing`](crate::testing), in which nothing listens.
    #[error(
        "there is no network in a test without sockets: test with a server and a real runtime, or the simulator"
    )]
    NoNetwork,
    /// The app stops, or its runtime has ended.
    #[error("the program stops: connect again when it runs")]
    Stopped,
}

// One is in each `Result` on the way.
const _: () = assert!(size_of::<ConnectError>() <= 32);

/// A status, and what the body says.
fn shown(answer: &Response<Bytes>) -> String {
    let body = String::from_utf8_lossy(answer.body());
    let mut text: String = body.trim().chars().take(SHOWN).collect();
    if body.trim().chars().count() > SHOWN {
        text.push('…');
    }
    let colon = if text.is_empty() { "" } else { ": " };
    format!("{}{colon}{}", answer.status(), text.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_shows_its_status_and_the_beginning_of_its_body() {
        let refused = |body: &str| {
            let answer = Response::builder()
                .status(403)
                .body(Bytes::from(body.to_owned()));
            ConnectError::Refused(Box::new(answer.expect("a response"))).to_string()
        };
        assert_eq!(refused(""), "the server refused: 403 Forbidden");
        assert_eq!(
            refused(" not\nyou \n"),
            "the server refused: 403 Forbidden: not\\nyou"
        );
        let long = refused(&"é".repeat(1000));
        assert_eq!(long.chars().filter(|char| *char == 'é').count(), SHOWN);
        assert!(long.ends_with('…'));
    }
}
