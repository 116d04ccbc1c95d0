//! One route: a handler for each method, wrappers around them, settings.

use std::future::Future;
use std::sync::Arc;

use http::Method;

use super::{Endpoint, Settings, Shared};
use crate::handler::{Around, Callable, Extract, Handler, Layer, Next, Outcome};
use crate::response::IntoResponse;
use crate::{Context, Needs, Request};

/// The handlers of one route, by method. Made by [`get`](crate::get) and its siblings.
///
/// ```
/// use tideway::{App, get};
/// let app = App::new().route("/notes", get(|| "all notes").post(|| "a new note"));
/// ```
///
/// A method without a handler is answered with 405 and `Allow`. HEAD is answered by GET's handler,
/// OPTIONS with 204 and `Allow`, unless they have their own. The same method twice is a build error.
#[derive(Default)]
#[must_use = "a route answers nothing until it is given to `App::route`"]
pub struct MethodRouter {
    pub(super) handlers: Vec<(Method, Shared)>,
    pub(super) any: Option<Shared>,
    pub(super) twice: Vec<String>,
    pub(super) wraps: Vec<Arc<dyn Around>>,
    pub(super) settings: Settings,
}

macro_rules! methods {
    ($($name:ident $method:ident,)*) => {$(
        #[doc = concat!("Answers ", stringify!($method), " with `handler`.")]
        pub fn $name<F, Args, M, K>(self, handler: F) -> Self
        where
            F: Callable<Args>,
            Args: Extract<M>,
            F::Output: Outcome<K> + Send + 'static,
            <F::Output as Outcome<K>>::Value: IntoResponse,
            M: 'static,
            K: 'static,
        {
            self.on_endpoint(Method::$method, Handler::new(handler))
        }
    )*};
}

impl MethodRouter {
    /// A route without handlers: every method is answered with 405.
    pub fn new() -> Self {
        Self::default()
    }

    methods! {
        get GET,
        post POST,
        put PUT,
        patch PATCH,
        delete DELETE,
        head HEAD,
        options OPTIONS,
    }

    /// Answers `method` with `handler`.
    pub fn on<F, Args, M, K>(self, method: Method, handler: F) -> Self
    where
        F: Callable<Args>,
        Args: Extract<M>,
        F::Output: Outcome<K> + Send + 'static,
        <F::Output as Outcome<K>>::Value: IntoResponse,
        M: 'static,
        K: 'static,
    {
        self.on_endpoint(method, Handler::new(handler))
    }

    /// Answers every method that has no handler of its own with `handler`.
    pub fn any<F, Args, M, K>(self, handler: F) -> Self
    where
        F: Callable<Args>,
        Args: Extract<M>,
        F::Output: Outcome<K> + Send + 'static,
        <F::Output as Outcome<K>>::Value: IntoResponse,
        M: 'static,
        K: 'static,
    {
        self.any_endpoint(Handler::new(handler))
    }

    /// Answers `method` with an [`Endpoint`] of your own.
    pub fn on_endpoint(mut self, method: Method, endpoint: impl Endpoint) -> Self {
        if self.handlers.iter().any(|(other, _)| *other == method) {
            self.twice.push(method.to_string());
        } else {
            self.handlers.push((method, Arc::new(endpoint)));
        }
        self
    }

    /// Answers every method that has no handler of its own with an [`Endpoint`] of your own.
    pub fn any_endpoint(mut self, endpoint: impl Endpoint) -> Self {
        if self.any.replace(Arc::new(endpoint)).is_some() {
            self.twice.push("any method".to_owned());
        }
        self
    }

    /// Calls `layer` around all of this route, its 405 included. Wrappers read from the outside
    /// in: the first is the outermost.
    pub fn wrap<F, R>(mut self, layer: F) -> Self
    where
        F: Fn(Request, Next) -> R + Send + Sync + 'static,
        R: Future<Output: IntoResponse> + Send + 'static,
    {
        self.wraps.push(Arc::new(Layer(layer)));
        self
    }

    /// Attaches a setting that stages look up by type, such as a body limit. It wins over one of
    /// the group or the app.
    pub fn set<T: Send + Sync + 'static>(mut self, setting: T) -> Self {
        self.settings.insert(setting);
        self
    }

    /// Puts `wraps` around this route's own, and `settings` behind them.
    pub(super) fn inherit(&mut self, wraps: &[Arc<dyn Around>], settings: &Settings) {
        self.wraps.splice(0..0, wraps.iter().cloned());
        self.settings.inherit(settings);
    }

    /// What the handlers need and `context` lacks, as sentences.
    pub(super) fn missing(&self, pattern: &str, context: &Context) -> Vec<String> {
        let handlers = self
            .handlers
            .iter()
            .map(|(method, handler)| (method.as_str(), handler));
        let any = self.any.iter().map(|handler| ("any method of", handler));
        let mut errors = Vec::new();
        for (method, handler) in handlers.chain(any) {
            let mut needs = Needs::default();
            handler.needs(&mut needs);
            let missing = needs.missing(context).into_iter();
            errors.extend(missing.map(|missing| format!("{method} {pattern} {missing}")));
        }
        errors
    }
}

/// `inner` inside `wraps`, the first of them outermost.
pub(super) fn wrapped(wraps: &[Arc<dyn Around>], inner: Shared) -> Shared {
    let wrap = |inner, layer: &Arc<dyn Around>| Arc::clone(layer).around(inner);
    wraps.iter().rev().fold(inner, wrap)
}

impl std::fmt::Debug for MethodRouter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let methods = self.handlers.iter().map(|(method, _)| method.as_str());
        f.debug_set()
            .entries(methods.chain(self.any.iter().map(|_| "any")))
            .finish()
    }
}
