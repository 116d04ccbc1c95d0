//! `Jobs` as an argument of a handler: what the request carries, its jobs carry on.

use std::sync::Arc;

use http::StatusCode;
use tideway_engine::jobs::Name;

use super::Jobs;
use super::handle::Headers;
use crate::context::Needs;
use crate::extract::FromRequestParts;
use crate::{Context, Parts, Problem};

/// Where a job finds the id of the request that enqueued it.
pub const REQUEST_ID: &str = "x-request-id";

/// Where a job finds the W3C trace context of the request that enqueued it.
pub const TRACEPARENT: &str = "traceparent";

/// Version 0 of a `traceparent` has 55 characters; a later one may append to it, within reason.
const TRACEPARENT_MAX: usize = 256;

impl FromRequestParts for Jobs {
    const IMMEDIATE: bool = true;
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, cx: &Context) -> Result<Self, Problem> {
        let jobs = cx.get::<Jobs>().ok_or_else(|| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
                .source("the app that routed this request has no job store")
        })?;
        Ok(jobs.carrying(headers(parts)))
    }

    fn needs(needs: &mut Needs) {
        needs.service::<Jobs>();
    }
}

/// A client's header never makes an enqueue fail: one that is too long is left behind.
fn headers(parts: &Parts) -> Headers {
    let id = Some(parts.id().as_str()).filter(|id| !id.is_empty());
    let trace = parts.headers.get(TRACEPARENT);
    let trace = trace
        .and_then(|value| value.to_str().ok())
        .filter(|value| (1..=TRACEPARENT_MAX).contains(&value.len()));
    let found = [(REQUEST_ID, id), (TRACEPARENT, trace)];
    let headers = found.into_iter().filter_map(|(name, value)| {
        // Both are names.
        Some((Name::new(name).ok()?, value?.into()))
    });
    Arc::from_iter(headers)
}
