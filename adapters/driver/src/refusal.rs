//! hyper answers bytes it cannot parse with an empty reply; this puts a problem document in its place.

use std::io::Write as _;
use std::sync::Arc;

use http::StatusCode;
use tideway::Now;
use tideway::bytes::Bytes;
use tideway::pipeline::{Origin, refuse};

/// Makes the replies of one connection.
pub(crate) struct Refusals(pub(crate) Arc<Origin>);

impl Refusals {
    /// A complete HTTP/1.1 response that closes the connection.
    pub(crate) fn reply(&mut self, status: StatusCode, now: Now) -> Vec<u8> {
        let response = refuse(status, self.0.peer(), now, self.0.entropy());
        let reason = status.canonical_reason().unwrap_or("Error");
        let mut bytes = Vec::with_capacity(512);
        // Writing to a Vec cannot fail.
        let _ = write!(bytes, "HTTP/1.1 {} {reason}\r\n", status.as_u16());
        for (name, value) in response.headers() {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&body_of(response));
        bytes
    }
}

fn body_of(response: tideway::Response) -> Bytes {
    let mut collect = std::pin::pin!(response.into_body().collect_up_to(u64::MAX));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::future::Future::poll(collect.as_mut(), &mut cx) {
        std::task::Poll::Ready(Ok(bytes)) => bytes,
        // A full body is ready at the first poll.
        _ => Bytes::new(),
    }
}

/// The status of a bare reply: hyper's own, whole, with no header but these two. Every answer of ours
/// carries `Date`.
pub(crate) fn bare_reply(bytes: &[u8]) -> Option<StatusCode> {
    const END: &[u8] = b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let head = bytes.strip_prefix(b"HTTP/1.")?.strip_suffix(END)?;
    if head.len() > 64 || head.contains(&b'\n') {
        return None;
    }
    let status = StatusCode::from_bytes(head.get(2..5)?).ok()?;
    (status.is_client_error() || status.is_server_error()).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hypers_own_reply_is_taken_for_one() {
        let bare = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_reply(bare), Some(StatusCode::BAD_REQUEST));
        let dated = b"HTTP/1.1 400 Bad Request\r\ndate: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_reply(dated), None);
        assert_eq!(bare_reply(b"HTTP/1.1 100 Continue\r\n\r\n"), None);
        assert_eq!(bare_reply(b"HTTP/1."), None);
        assert_eq!(bare_reply(b""), None);
    }
}
