//! `State<T>`: a service of the application, by type.

use http::StatusCode;

use super::FromRequestParts;
use crate::context::Needs;
use crate::{Context, Parts, Problem};

/// The value of type `T` that the app was given with [`provide`](crate::App::provide), cloned.
///
/// ```
/// use std::sync::Arc;
/// use tideway::{App, extract::State, get};
///
/// async fn name(State(name): State<Arc<str>>) -> String {
///     format!("I am {name}")
/// }
///
/// let app = App::new().provide::<Arc<str>>("Tideway".into()).route("/", get(name));
/// ```
///
/// A missing service is found when the app is built, with its type and route. `Option<State<T>>`
/// needs it too: provide an `Option<T>` where a service may be missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct State<T>(pub T);

impl<T: Clone + Send + Sync + 'static> FromRequestParts for State<T> {
    const IMMEDIATE: bool = true;
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, cx: &Context) -> Result<Self, Problem> {
        cx.get::<T>().cloned().map(State).ok_or_else(|| {
            let name = std::any::type_name::<T>();
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
                .source(format!("no `{name}` was provided to this request's app"))
        })
    }

    fn needs(needs: &mut Needs) {
        needs.service::<T>();
    }
}

impl<T> std::ops::Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::block_on;

    #[test]
    fn a_provided_value_is_cloned_and_a_missing_one_is_500() {
        let mut parts = crate::fixture::request("GET", "/").parts;
        let mut cx = Context::default();
        let missing = block_on(State::<u8>::from_request_parts(&mut parts, &cx));
        assert_eq!(
            missing.map(|s| s.0).map_err(|e| e.status()).err(),
            Some(StatusCode::INTERNAL_SERVER_ERROR)
        );
        assert!(cx.insert(7_u8));
        let found = block_on(State::<u8>::from_request_parts(&mut parts, &cx));
        assert_eq!(found.map(|s| s.0).ok(), Some(7));
    }

    #[test]
    fn the_need_is_declared() {
        let mut needs = Needs::default();
        <Option<State<u8>> as FromRequestParts>::needs(&mut needs);
        let missing = needs.missing(&Context::default());
        assert_eq!(missing, ["needs a `u8`; give the app one with `provide`"]);
    }
}
