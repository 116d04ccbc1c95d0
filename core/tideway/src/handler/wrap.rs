//! Around-middleware: an `async fn(Request, Next)` on a route, a group or the whole app.

use std::future::Future;
use std::sync::Arc;

use crate::context::Needs;
use crate::response::IntoResponse;
use crate::routing::{Endpoint, Reply};
use crate::{Request, Response};

/// The rest of the way to the handler, inside a wrapper.
///
/// ```
/// use tideway::{App, IntoResponse, Request, Response, get, routing::Next};
///
/// async fn only_json(request: Request, next: Next) -> Response {
///     if !request.parts.headers.contains_key("accept") {
///         return tideway::http::StatusCode::NOT_ACCEPTABLE.into_response();
///     }
///     next.run(request).await
/// }
///
/// let app = App::new().route("/", get(|| "hello")).wrap(only_json);
/// ```
///
/// Dropping it answers without the handler. It never fails by itself.
#[derive(Clone)]
pub struct Next(Arc<dyn Endpoint>);

impl Next {
    /// Goes on: further wrappers, then the handler.
    pub async fn run(self, request: Request) -> Response {
        match self.0.call(request) {
            Reply::Now(response) => response,
            Reply::Later(future) => future.await,
        }
    }
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Next")
    }
}

/// A wrapper with its type erased.
pub(crate) trait Around: Send + Sync {
    /// `inner`, wrapped.
    fn around(self: Arc<Self>, inner: Arc<dyn Endpoint>) -> Arc<dyn Endpoint>;
}

/// A wrapper function.
pub(crate) struct Layer<F>(pub(crate) F);

impl<F, R> Around for Layer<F>
where
    F: Fn(Request, Next) -> R + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    fn around(self: Arc<Self>, inner: Arc<dyn Endpoint>) -> Arc<dyn Endpoint> {
        Arc::new(Wrapped { layer: self, inner })
    }
}

struct Wrapped<F> {
    layer: Arc<Layer<F>>,
    inner: Arc<dyn Endpoint>,
}

impl<F, R> Endpoint for Wrapped<F>
where
    F: Fn(Request, Next) -> R + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    fn call(&self, request: Request) -> Reply {
        let future = (self.layer.0)(request, Next(self.inner.clone()));
        Reply::Later(Box::pin(async move { future.await.into_response() }))
    }

    fn needs(&self, needs: &mut Needs) {
        self.inner.needs(needs);
    }
}
