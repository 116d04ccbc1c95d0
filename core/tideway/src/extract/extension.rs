//! `Extension<T>`: a value that a stage or wrapper left with the request.

use http::StatusCode;

use super::FromRequestParts;
use crate::response::{IntoResponseParts, ResponseParts};
use crate::{Context, Parts, Problem};

/// The value of type `T` in the request's extensions, cloned. As part of a response it is put
/// into the response's extensions.
///
/// ```
/// use tideway::{App, Request, Response, extract::Extension, get, routing::Next};
///
/// #[derive(Clone)]
/// struct Tenant(String);
///
/// async fn tenant(mut request: Request, next: Next) -> Response {
///     request.parts.extensions.insert(Tenant("acme".to_owned()));
///     next.run(request).await
/// }
///
/// let app = App::new()
///     .route("/", get(|Extension(Tenant(name)): Extension<Tenant>| name))
///     .wrap(tenant);
/// ```
///
/// Fails with 500 if nothing left one: the wrapper is missing on this route. `Option` of it is
/// `None` then.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extension<T>(pub T);

impl<T: Clone + Send + Sync + 'static> FromRequestParts for Extension<T> {
    const IMMEDIATE: bool = true;
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<T>()
            .cloned()
            .map(Extension)
            .ok_or_else(|| {
                let name = std::any::type_name::<T>();
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR).source(format!(
                    "no stage or wrapper left a `{name}` with this request"
                ))
            })
    }

    fn absent(parts: &Parts, _: &Context) -> bool {
        parts.extensions.get::<T>().is_none()
    }
}

impl<T: Clone + Send + Sync + 'static> IntoResponseParts for Extension<T> {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self.0);
        Ok(parts)
    }
}
