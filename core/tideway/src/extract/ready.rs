//! Whether this process wants new work: what a readiness probe asks.

use http::StatusCode;

use super::FromRequestParts;
use crate::{Context, Parts, Problem};

/// False from the moment a stop begins, so that load balancers send new work elsewhere while what
/// runs may end.
///
/// ```
/// use tideway::{App, extract::Readiness, get, http::StatusCode};
///
/// fn ready(Readiness(ready): Readiness) -> StatusCode {
///     if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
/// }
///
/// let app = App::new().route("/readyz", get(ready));
/// ```
///
/// A request that no app routed is answered with 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness(pub bool);

impl FromRequestParts for Readiness {
    const IMMEDIATE: bool = true;
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, Problem> {
        match parts.pipeline() {
            Some(pipeline) => Ok(Self(pipeline.is_ready())),
            None => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
                .source("readiness was asked of a request that no app routed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{block_on, request};

    #[test]
    fn a_request_that_no_app_routed_knows_no_readiness() {
        let mut parts = request("GET", "/").parts;
        let asked = block_on(Readiness::from_request_parts(
            &mut parts,
            &Context::default(),
        ));
        let status = asked.map_err(|problem| problem.status()).err();
        assert_eq!(status, Some(StatusCode::INTERNAL_SERVER_ERROR));
    }
}
