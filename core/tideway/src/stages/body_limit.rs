//! A cap on request bodies: by what is announced, and by what arrives.

use http::{StatusCode, header};

use crate::error::Problem;
use crate::pipeline::{Cx, Flow, Phases, Stage};

/// The setting: the largest request body of a route, or of the app, in bytes. Default 2 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxBody(pub u64);

impl Default for MaxBody {
    fn default() -> Self {
        Self(2 * 1024 * 1024)
    }
}

/// Answers 413 to a body that is announced or turns out larger than [`MaxBody`] (a setting of the
/// route or the app).
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyLimit;

impl Stage for BodyLimit {
    fn name(&self) -> &'static str {
        "body limit"
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST
    }

    fn request(&self, cx: &mut Cx<'_>) -> Flow {
        let MaxBody(limit) = cx.setting().copied().unwrap_or_default();
        let announced = cx.request().and_then(|request| {
            // Most requests have neither a body nor a length.
            if request.body.is_absent() {
                return None;
            }
            let value = request.parts.headers.get(header::CONTENT_LENGTH)?;
            value.to_str().ok()?.trim().parse::<u64>().ok()
        });
        if announced.is_some_and(|length| length > limit) {
            // The unread body is still to come: do not wait for it.
            cx.close_after();
            let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE).detail(format!(
                "the body is announced with {} bytes, this route takes at most {limit}",
                announced.unwrap_or(0)
            ));
            return Flow::Respond(problem.into_response());
        }
        cx.limit_body(limit);
        Flow::Next
    }
}
