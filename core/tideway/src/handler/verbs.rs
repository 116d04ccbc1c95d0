//! `get`, `post` and their siblings: the first method of a route.

use http::Method;

use super::{Callable, Extract, Outcome};
use crate::response::IntoResponse;
use crate::routing::MethodRouter;

macro_rules! verbs {
    ($($name:ident $verb:literal,)*) => {$(
        #[doc = concat!("A route that answers ", $verb, " with `handler`; chain further methods to it.")]
        ///
        /// ```
        #[doc = concat!("use tideway::{App, ", stringify!($name), "};")]
        #[doc = concat!("let app = App::new().route(\"/\", ", stringify!($name), "(|| \"hello\"));")]
        /// ```
        ///
        /// Any other method is answered with 405 and `Allow`.
        pub fn $name<F, Args, M, K>(handler: F) -> MethodRouter
        where
            F: Callable<Args>,
            Args: Extract<M>,
            F::Output: Outcome<K> + Send + 'static,
            <F::Output as Outcome<K>>::Value: IntoResponse,
            M: 'static,
            K: 'static,
        {
            MethodRouter::new().$name(handler)
        }
    )*};
}

verbs! {
    get "GET (and HEAD, without the body)",
    post "POST",
    put "PUT",
    patch "PATCH",
    delete "DELETE",
    head "HEAD",
    options "OPTIONS",
    any "every method that has no handler of its own",
}

/// A route that answers `method` with `handler`; for methods without a function of their own.
///
/// ```
/// use tideway::{App, http::Method, on};
/// let purge = Method::from_bytes(b"PURGE").expect("a method");
/// let app = App::new().route("/cache", on(purge, || "gone"));
/// ```
///
/// Any other method is answered with 405 and `Allow`.
pub fn on<F, Args, M, K>(method: Method, handler: F) -> MethodRouter
where
    F: Callable<Args>,
    Args: Extract<M>,
    F::Output: Outcome<K> + Send + 'static,
    <F::Output as Outcome<K>>::Value: IntoResponse,
    M: 'static,
    K: 'static,
{
    MethodRouter::new().on(method, handler)
}
