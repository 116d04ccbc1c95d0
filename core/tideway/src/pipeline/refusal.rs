//! The answer to bytes that never became a request.

use http::{HeaderValue, StatusCode, header};
use tideway_engine::{Now, uuid_v7};

use crate::arena;
use crate::error::Problem;
use crate::request::{Peer, RequestId};
use crate::{Body, Response};

/// A problem response for what could not be parsed, logged once like any other exchange.
///
/// No stage sees it, since there is no request: it gets its id from `entropy` and says
/// `Connection: close`.
#[must_use]
pub fn refuse(status: StatusCode, peer: &Peer, now: Now, entropy: u128) -> Response {
    let detail = match status {
        StatusCode::URI_TOO_LONG => "the request target is too long; shorten the path or the query",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "the header fields are too many or too long; send fewer or shorter ones"
        }
        StatusCode::REQUEST_TIMEOUT => {
            "the request head did not arrive in time; send it in one piece"
        }
        _ => "this is not a well-formed HTTP request; check its first line and its header fields",
    };
    let id = RequestId::uuid(uuid_v7(now.wall, entropy));
    tracing::warn!(
        target: "tideway::access",
        status = status.as_u16(),
        peer = %peer,
        request_id = id.as_str(),
        cause = detail,
    );
    let json = Problem::new(status)
        .detail(detail)
        .to_json(Some(id.as_str()));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CONTENT_LENGTH, arena::number(json.len() as u64));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::DATE, arena::date(now.wall));
    headers.insert("x-request-id", arena::header(id.as_str().as_bytes()));
    *response.body_mut() = Body::full(json);
    response
}
