//! A request id for every exchange, on the response, in the log and in error documents.

use http::{HeaderName, HeaderValue};

use crate::arena;
use crate::pipeline::{Cx, Flow, Phases, Stage};
use crate::request::RequestId;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes a UUIDv7 (RFC 9562 §5.7) per request and answers it in `x-request-id`.
///
/// With [`RequestIds::trusting`] a well-formed id of the request is kept: use that only behind a
/// proxy that sets or strips the header, since ids end up in logs.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestIds {
    trust: bool,
}

impl RequestIds {
    /// Keeps the id that a trusted proxy sent.
    #[must_use]
    pub fn trusting() -> Self {
        Self { trust: true }
    }
}

impl Stage for RequestIds {
    fn name(&self) -> &'static str {
        "request id"
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST.and(Phases::RESPONSE)
    }

    fn request(&self, cx: &mut Cx<'_>) -> Flow {
        let sent = if self.trust {
            cx.request()
                .and_then(|request| request.parts.headers.get(&X_REQUEST_ID))
                .and_then(|value| RequestId::parse(value.as_bytes()))
        } else {
            None
        };
        let id = sent
            .unwrap_or_else(|| RequestId::uuid(tideway_engine::uuid_v7(cx.wall(), cx.entropy())));
        cx.set_id(id);
        Flow::Next
    }

    fn response(&self, cx: &mut Cx<'_>) -> Flow {
        let value: HeaderValue = arena::header(cx.id().as_bytes());
        if let Some(response) = cx.response() {
            response.headers_mut().insert(X_REQUEST_ID.clone(), value);
        }
        Flow::Next
    }
}
