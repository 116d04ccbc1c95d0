//! What HTTP itself demands of a response's head, once no stage has a say any more.

use http::header::Entry;
use http::{HeaderValue, Method, StatusCode, header};
use tideway_engine::Wall;

use super::core::{Core, Dated};
use crate::arena;
use crate::body::Body;
use crate::{Problem, Response};

/// Whether success to CONNECT would say that a tunnel is open (RFC 9110 §9.3.6), or a WebSocket (RFC 8441 §4), and none is.
#[inline]
pub(super) fn claims_a_tunnel(method: &Method, response: &Response) -> bool {
    *method == Method::CONNECT && response.status().is_success() && !response.body().is_upgrade()
}

/// What is answered instead.
#[cold]
pub(super) fn no_tunnel() -> Response {
    let problem = Problem::new(StatusCode::NOT_IMPLEMENTED);
    let detail = "nothing can be opened here with CONNECT: ask with GET";
    problem.detail(detail).into_response()
}

/// Makes the head of `core`'s response final.
#[inline]
pub(super) fn finish(core: &mut Core, wall: Wall) {
    let Some(response) = &mut core.response else {
        return;
    };
    let status = response.status();
    if status == StatusCode::SWITCHING_PROTOCOLS && response.body().is_upgrade() {
        // The driver takes it.
    } else if status == StatusCode::NOT_MODIFIED
        || status == StatusCode::NO_CONTENT
        || status.is_informational()
    {
        // Before HEAD: such a head never says how long its missing content is (RFC 9110 §8.6).
        *response.body_mut() = Body::empty();
    } else if core.line.method == Method::HEAD {
        // RFC 9110 §9.3.2: the same head as for GET, and no content.
        if let Some(len) = response.body().exact_len()
            && !response.headers().contains_key(header::CONTENT_LENGTH)
        {
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, arena::number(len));
        }
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = body.into_length_only();
    }
    // A reason phrase of the handler's own is an extension.
    if core.date == Dated::Offered
        && status == StatusCode::OK
        && response.version() == http::Version::HTTP_11
        && core.line.version == http::Version::HTTP_11
        && response.extensions().is_empty()
        // By name, without a hash: most heads are short.
        && response.headers().keys().all(|name| name != header::DATE)
    {
        core.date = Dated::ByDriver;
    }
    let headers = response.headers_mut();
    if core.date != Dated::ByDriver
        && let Entry::Vacant(date) = headers.entry(header::DATE)
    {
        date.insert(arena::date(wall));
    }
    if core.close && core.line.version < http::Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}
