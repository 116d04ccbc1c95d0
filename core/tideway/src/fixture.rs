//! What the unit tests of routing, handlers, extractors and responses share.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::routing::{Endpoint, Reply, Router};
use crate::{Body, Request, Response, Routes, get};

/// Polls until done; nothing here ever waits for more than itself.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
    }
}

/// A request without headers and body.
pub(crate) fn request(method: &str, uri: &str) -> Request {
    let head = http::Request::builder().method(method).uri(uri).body(());
    let (head, ()) = head.expect("a request").into_parts();
    Request::new(head, Body::empty())
}

/// A GET of `uri` with the parameters that `pattern` takes from it.
pub(crate) fn routed(pattern: &str, uri: &str) -> Request {
    let router = Router::new(Routes::new().route(pattern, get(|| ()))).expect("a router");
    let mut request = request("GET", uri);
    let found = router.find(&request.parts.method, request.parts.uri.path());
    request.parts.params = found.params;
    request
}

/// What `endpoint` answers.
pub(crate) fn answer(endpoint: &dyn Endpoint, request: Request) -> Response {
    match endpoint.call(request) {
        Reply::Now(response) => response,
        Reply::Later(future) => block_on(future),
    }
}

/// What `router` answers, without any stage.
pub(crate) fn ask(router: &Router, method: &str, uri: &str) -> Response {
    let mut request = request(method, uri);
    let found = router.find(&request.parts.method, request.parts.uri.path());
    request.parts.params = found.params;
    answer(&**found.endpoint, request)
}

/// The body of a response as text.
pub(crate) fn text(response: Response) -> String {
    let bytes = block_on(response.into_body().collect_up_to(u64::MAX)).expect("a body");
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}
