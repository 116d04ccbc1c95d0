//! The endpoints behind what no handler answers: 404, 405, and OPTIONS.

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{Endpoint, Reply, Shared};
use crate::context::Needs;
use crate::{Body, Parts, Problem, Request, Response};

/// How much of a client's text is repeated in a problem document, in bytes.
const REPEATED: usize = 256;

/// The first 256 bytes of a client's text, at a character boundary.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(REPEATED)]
}

/// `GET /path`, cut.
fn named(parts: &Parts) -> String {
    let method = parts.method.as_str();
    let method = method.get(..32).unwrap_or(method);
    format!("{method} {}", cut(parts.uri.path()))
}

/// 404: there is nothing at this path.
pub(super) struct NotFound {
    pub(super) sibling: Option<Sibling>,
}

/// The route that differs by a slash at the end.
#[derive(Clone, Copy)]
pub(super) enum Sibling {
    With,
    Without,
}

impl Endpoint for NotFound {
    fn call(&self, request: Request) -> Reply {
        let named = named(&request.parts);
        let detail = match self.sibling {
            None => format!("no route for {named}"),
            Some(Sibling::With) => {
                format!("no route for {named}; there is one with a slash at its end")
            }
            Some(Sibling::Without) => {
                format!("no route for {named}; there is one without the slash at its end")
            }
        };
        Reply::Now(
            Problem::new(StatusCode::NOT_FOUND)
                .detail(detail)
                .into_response(),
        )
    }
}

/// 405: the path is there, the method is not. `custom` may say so in its own words.
pub(super) struct NotAllowed {
    pub(super) allow: HeaderValue,
    pub(super) custom: Option<Shared>,
}

impl Endpoint for NotAllowed {
    fn call(&self, request: Request) -> Reply {
        let allow = self.allow.clone();
        let Some(custom) = &self.custom else {
            let text = allow.to_str().unwrap_or("");
            let detail = format!("{} has no handler; allowed: {text}", named(&request.parts));
            let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED).detail(detail);
            return Reply::Now(allowing(problem.into_response(), allow));
        };
        match custom.call(request) {
            Reply::Now(response) => Reply::Now(allowing(response, allow)),
            Reply::Later(future) => {
                Reply::Later(Box::pin(async move { allowing(future.await, allow) }))
            }
        }
    }

    fn needs(&self, needs: &mut Needs) {
        if let Some(custom) = &self.custom {
            custom.needs(needs);
        }
    }
}

/// RFC 9110 §15.5.6: a 405 must say what is allowed.
fn allowing(mut response: Response, allow: HeaderValue) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    headers.entry(header::ALLOW).or_insert(allow);
    response
}

/// The answer to OPTIONS where no handler is defined: 204 and `Allow`.
pub(super) struct Options {
    pub(super) allow: HeaderValue,
}

impl Endpoint for Options {
    fn call(&self, _: Request) -> Reply {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Reply::Now(allowing(response, self.allow.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "\u{e9}".repeat(200);
        assert_eq!(cut(&text).len(), 256);
        assert_eq!(cut(&format!("a{text}")).len(), 255);
        assert_eq!(cut("short"), "short");
    }
}
