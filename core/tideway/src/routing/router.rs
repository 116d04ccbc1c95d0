//! The router: from method and path to an endpoint and its raw parameters.
//!
//! Built once, then only read. A look-up allocates nothing for a static path and for up to
//! [`Params::INLINE`] parameters.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::sync::Arc;

use http::{HeaderValue, Method};

use super::method::wrapped;
use super::refused::{NotAllowed, NotFound, Options, Sibling};
use super::{Endpoint, MethodRouter, Params, Routes, Settings, Shared, pattern};
use crate::Context;
use crate::handler::Around;

/// All routes of an application.
///
/// ```
/// use tideway::{Routes, get, http::Method, routing::Router};
/// let router = Router::new(Routes::new().route("/users/{id}", get(|| "a user"))).expect("a router");
/// let found = router.find(&Method::GET, "/users/7");
/// assert_eq!(found.params.iter("/users/7").next(), Some(("id", "7")));
/// ```
pub struct Router {
    tree: matchit::Router<Node>,
    routes: Vec<Route>,
    not_found: [Shared; 3],
    server: Shared,
}

/// What a path and a method led to.
pub struct Found<'r> {
    /// What answers: a handler, or the endpoint for 404, 405 or OPTIONS.
    pub endpoint: &'r dyn Endpoint,
    /// The parameters, with the index of the route; without one for a 404.
    pub params: Params,
}

impl std::fmt::Debug for Found<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Found").field(&self.params).finish()
    }
}

/// What is known of a registered route.
struct Route {
    pattern: Box<str>,
    settings: Settings,
}

/// Everything at one pattern; several registrations may share it.
struct Node {
    handlers: Vec<(Method, Target)>,
    /// `any`, else the 405.
    rest: Target,
    names: Arc<[Box<str>]>,
}

#[derive(Clone)]
struct Target {
    route: u32,
    endpoint: Shared,
}

impl Router {
    /// A router of `routes` alone, with the framework's own 404 and 405. For tests and tools; an
    /// app makes its own. Fails with a sentence for each mistake in a pattern.
    pub fn new(routes: Routes) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let router = Plan {
            routes: Routes::new().merge(routes),
            ..Plan::default()
        }
        .build(None, &mut errors);
        if errors.is_empty() {
            Ok(router)
        } else {
            Err(errors)
        }
    }

    /// What answers `method` at `path` (raw, without the query). Never fails: what is not there
    /// is answered by the endpoints for 404 and 405.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let Ok(matched) = self.tree.at(path) else {
            return self.miss(method, path);
        };
        let node = matched.value;
        let target = node
            .handlers
            .iter()
            .find(|(own, _)| own == method)
            .map_or(&node.rest, |(_, target)| target);
        let mut params = Params::of_route(target.route);
        if !matched.params.is_empty() {
            params.set_names(Arc::clone(&node.names));
            for (_, value) in matched.params.iter() {
                // Every value is a slice of `path`.
                let start = value.as_ptr().addr() - path.as_ptr().addr();
                params.push(start, start + value.len());
            }
        }
        Found {
            endpoint: &*target.endpoint,
            params,
        }
    }

    #[cold]
    fn miss(&self, method: &Method, path: &str) -> Found<'_> {
        let [plain, with, without] = &self.not_found;
        let endpoint = if path == "*" && *method == Method::OPTIONS {
            &self.server
        } else {
            match self.sibling(path) {
                None => plain,
                Some(Sibling::With) => with,
                Some(Sibling::Without) => without,
            }
        };
        Found {
            endpoint: &**endpoint,
            params: Params::default(),
        }
    }

    /// Whether there is a route that differs by a slash at the end.
    fn sibling(&self, path: &str) -> Option<Sibling> {
        match path.strip_suffix('/') {
            Some(shorter) => self.tree.at(shorter).is_ok().then_some(Sibling::Without),
            None => self
                .tree
                .at(&format!("{path}/"))
                .is_ok()
                .then_some(Sibling::With),
        }
    }

    /// The pattern of the route with this index.
    #[must_use]
    pub fn pattern(&self, route: u32) -> Option<&str> {
        self.routes.get(route as usize).map(|route| &*route.pattern)
    }

    /// The settings of the route with this index: its own, then those of its groups.
    #[must_use]
    pub fn settings(&self, route: u32) -> Option<&Settings> {
        self.routes.get(route as usize).map(|route| &route.settings)
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.routes.iter().map(|route| &route.pattern))
            .finish()
    }
}

/// A registered route as [`App::routes`](crate::App::routes) lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteLine {
    /// The full pattern.
    pub pattern: String,
    /// The methods with a handler of their own, sorted.
    pub methods: Vec<Method>,
    /// Whether every other method is answered too.
    pub any: bool,
}

impl std::fmt::Display for RouteLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let methods = self.methods.iter().map(Method::as_str);
        let methods: Vec<_> = methods.chain(self.any.then_some("any")).collect();
        write!(f, "{} {}", methods.join(","), self.pattern)
    }
}

/// What an app has gathered, before it is a router.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) routes: Routes,
    pub(crate) wraps: Vec<Arc<dyn Around>>,
    pub(crate) fallback: Option<Shared>,
    pub(crate) not_allowed: Option<Shared>,
}

/// A pattern on its way to a [`Node`].
#[derive(Default)]
struct Draft {
    handlers: Vec<(Method, Target)>,
    any: Option<Target>,
    names: Vec<Box<str>>,
    /// The wrappers of the first registration, for the 405 and OPTIONS.
    wraps: Vec<Arc<dyn Around>>,
    route: u32,
}

impl Plan {
    /// The routes, sorted by pattern.
    pub(crate) fn list(&self) -> Vec<RouteLine> {
        let mut lines: BTreeMap<&str, RouteLine> = BTreeMap::new();
        for (pattern, route) in &self.routes.routes {
            let line = lines.entry(pattern).or_insert_with(|| RouteLine {
                pattern: pattern.clone(),
                methods: Vec::new(),
                any: false,
            });
            line.methods
                .extend(route.handlers.iter().map(|(method, _)| method.clone()));
            line.methods
                .sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
            line.any |= route.any.is_some();
        }
        lines.into_values().collect()
    }

    /// The router, and in `errors` a sentence for everything that is wrong.
    pub(crate) fn build(self, context: Option<&Context>, errors: &mut Vec<String>) -> Router {
        let Plan {
            routes:
                Routes {
                    routes,
                    errors: early,
                    ..
                },
            wraps,
            fallback,
            not_allowed,
        } = self;
        errors.extend(early);
        if let Some(context) = context {
            for (name, endpoint) in [
                ("fallback", &fallback),
                ("method_not_allowed", &not_allowed),
            ] {
                let mut needs = crate::Needs::default();
                if let Some(endpoint) = endpoint {
                    endpoint.needs(&mut needs);
                }
                errors.extend(needs.missing(context).into_iter().map(|missing| {
                    format!("the `{name}` needs a `{missing}`; give the app one with `provide`")
                }));
            }
        }

        let mut list = Vec::with_capacity(routes.len());
        let mut order: Vec<String> = Vec::new();
        let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
        for (index, (pattern, mut route)) in routes.into_iter().enumerate() {
            route.inherit(&wraps, &Settings::default());
            if let Some(context) = context {
                errors.extend(route.missing(&pattern, context));
            }
            // An index is a `u32` because four bytes travel with every request.
            let index = index as u32;
            match drafts.entry(pattern.clone()) {
                Place::Occupied(mut draft) => draft.get_mut().add(index, &pattern, &route, errors),
                Place::Vacant(place) => match pattern::names(&pattern) {
                    Ok(names) => {
                        let draft = place.insert(Draft {
                            names,
                            wraps: route.wraps.clone(),
                            route: index,
                            ..Draft::default()
                        });
                        draft.add(index, &pattern, &route, errors);
                        order.push(pattern.clone());
                    }
                    Err(error) => errors.push(error),
                },
            }
            list.push(Route {
                pattern: pattern.into(),
                settings: route.settings,
            });
        }

        let mut tree = matchit::Router::new();
        let mut methods: Vec<Method> = Vec::new();
        for pattern in order {
            let Some(draft) = drafts.remove(&pattern) else {
                continue;
            };
            methods.extend(draft.handlers.iter().map(|(method, _)| method.clone()));
            if let Err(error) = tree.insert(pattern.clone(), draft.finish(not_allowed.as_ref())) {
                errors.push(refusal(&pattern, &error));
            }
        }

        let missing = |sibling| match &fallback {
            Some(fallback) => wrapped(&wraps, Arc::clone(fallback)),
            None => wrapped(&wraps, Arc::new(NotFound { sibling })),
        };
        Router {
            tree,
            routes: list,
            not_found: [
                missing(None),
                missing(Some(Sibling::With)),
                missing(Some(Sibling::Without)),
            ],
            server: wrapped(
                &wraps,
                Arc::new(Options {
                    allow: allow(methods.iter()),
                }),
            ),
        }
    }
}

impl Draft {
    fn add(&mut self, index: u32, pattern: &str, route: &MethodRouter, errors: &mut Vec<String>) {
        let twice = |what: &str| format!("{what} {pattern} has two handlers; keep one");
        errors.extend(route.twice.iter().map(|what| twice(what)));
        let target = |endpoint: &Shared| Target {
            route: index,
            endpoint: wrapped(&route.wraps, Arc::clone(endpoint)),
        };
        for (method, endpoint) in &route.handlers {
            if self.handlers.iter().any(|(own, _)| own == method) {
                errors.push(twice(method.as_str()));
            } else {
                self.handlers.push((method.clone(), target(endpoint)));
            }
        }
        if let Some(any) = &route.any
            && self.any.replace(target(any)).is_some()
        {
            errors.push(twice("any method"));
        }
    }

    /// Adds HEAD, OPTIONS and the 405 where they are not defined.
    fn finish(mut self, not_allowed: Option<&Shared>) -> Node {
        let defined = |handlers: &[(Method, Target)], method: &Method| {
            handlers.iter().position(|(own, _)| own == method)
        };
        if let Some(get) = defined(&self.handlers, &Method::GET) {
            // The commonest method is compared first.
            self.handlers.swap(0, get);
            if defined(&self.handlers, &Method::HEAD).is_none() {
                let target = self.handlers[0].1.clone();
                self.handlers.push((Method::HEAD, target));
            }
        }
        let rest = self.any.take().unwrap_or_else(|| {
            let methods = self.handlers.iter().map(|(method, _)| method);
            let allow = allow(methods);
            let target = |endpoint| Target {
                route: self.route,
                endpoint: wrapped(&self.wraps, endpoint),
            };
            if defined(&self.handlers, &Method::OPTIONS).is_none() {
                let options = Arc::new(Options {
                    allow: allow.clone(),
                });
                self.handlers.push((Method::OPTIONS, target(options)));
            }
            target(Arc::new(NotAllowed {
                allow,
                custom: not_allowed.cloned(),
            }))
        });
        Node {
            handlers: self.handlers,
            rest,
            names: self.names.into(),
        }
    }
}

/// `Allow`: sorted, each once, with what is answered without a handler.
fn allow<'a>(methods: impl Iterator<Item = &'a Method>) -> HeaderValue {
    let mut names: Vec<&str> = methods.map(Method::as_str).collect();
    names.push("OPTIONS");
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.dedup();
    // Methods are tokens (RFC 9110 §9.1), so that their list is always a header value.
    HeaderValue::try_from(names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static("OPTIONS"))
}

/// Why the tree refused a pattern, as a sentence.
fn refusal(pattern: &str, error: &matchit::InsertError) -> String {
    use matchit::InsertError as E;
    match error {
        E::Conflict { with } => format!(
            "`{pattern}` conflicts with `{with}`: they match the same paths; use the same pattern for both, or remove one"
        ),
        E::InvalidParamSegment => {
            format!("`{pattern}` has two parameters in one segment; take one and split it")
        }
        E::InvalidCatchAll => format!("`{pattern}` goes on after a catch-all; put it last"),
        _ => format!("`{pattern}` is no pattern: {error}"),
    }
}
