//! The router: from method and path to an endpoint and its raw parameters.
//!
//! Built once, then only read. A look-up allocates nothing for a static path and for up to
//! [`Params::INLINE`] parameters.

use std::sync::Arc;

use http::Method;
use tideway_engine::{Keyed, Map, Seed};

use super::refused::Sibling;
use super::{Endpoint, Params, Plan, Routes, Settings, Shared};

/// All routes of an application.
///
/// ```
/// use tideway::{Routes, get, http::Method, routing::Router};
/// let router = Router::new(Routes::new().route("/users/{id}", get(|| "a user"))).expect("a router");
/// let found = router.find(&Method::GET, "/users/7");
/// assert_eq!(found.params.iter("/users/7").next(), Some(("id", "7")));
/// ```
pub struct Router {
    pub(super) nodes: Nodes,
    pub(super) routes: Vec<Route>,
    /// The 404s: plain, with a sibling that has a slash at its end, with one that has none.
    pub(super) not_found: [Shared; 3],
    /// The answer to `OPTIONS *`.
    pub(super) server: Shared,
}

/// What a path and a method led to.
pub struct Found<'r> {
    /// What answers: a handler, or the endpoint for 404, 405 or OPTIONS.
    pub endpoint: &'r Arc<dyn Endpoint>,
    /// The parameters, with the index of the route; without one for a 404.
    pub params: Params,
}

impl<'r> Found<'r> {
    fn at(target: &'r Target) -> Self {
        Self {
            endpoint: &target.endpoint,
            params: Params::of_route(target.route),
        }
    }
}

impl std::fmt::Debug for Found<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Found").field(&self.params).finish()
    }
}

/// What is known of a registered route.
pub(super) struct Route {
    pub(super) pattern: Box<str>,
    pub(super) settings: Settings,
}

/// The nodes by pattern.
///
/// A path that *is* a pattern is found by one hash, before the tree is walked: a literal wins over
/// every parameter, so the tree would lead to the same node. (The hash needs no secret: clients only
/// look up here, so they cannot make chains.)
pub(super) struct Nodes {
    all: Vec<Node>,
    literal: Map<Box<str>, u32>,
    tree: matchit::Router<u32>,
}

impl Nodes {
    pub(super) fn new() -> Self {
        Self {
            all: Vec::new(),
            literal: Map::with_hasher(Keyed::from_seed(&Seed([0; 32]))),
            tree: matchit::Router::new(),
        }
    }

    pub(super) fn insert(&mut self, pattern: &str, node: Node) -> Result<(), matchit::InsertError> {
        let index = self.all.len() as u32;
        self.tree.insert(pattern, index)?;
        self.all.push(node);
        // A brace stands for a parameter, or is doubled and stands for itself: the tree knows which.
        if !pattern.contains(['{', '}']) {
            self.literal.insert(pattern.into(), index);
        }
        Ok(())
    }

    fn has(&self, path: &str) -> bool {
        self.tree.at(path).is_ok()
    }
}

/// Everything at one pattern; several registrations may share it.
pub(super) struct Node {
    pub(super) handlers: Vec<(Method, Target)>,
    /// `any`, else the 405.
    pub(super) rest: Target,
    pub(super) names: Arc<[Box<str>]>,
}

#[derive(Clone)]
pub(super) struct Target {
    /// Index of the registration, which has its own settings.
    pub(super) route: u32,
    pub(super) endpoint: Shared,
}

impl Node {
    fn target(&self, method: &Method) -> &Target {
        let own = self.handlers.iter().find(|(own, _)| own == method);
        own.map_or(&self.rest, |(_, target)| target)
    }
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
        let nodes = &self.nodes;
        if let Some(&index) = nodes.literal.get(path) {
            return Found::at(nodes.all[index as usize].target(method));
        }
        let Ok(matched) = nodes.tree.at(path) else {
            return self.miss(method, path);
        };
        let node = &nodes.all[*matched.value as usize];
        let mut found = Found::at(node.target(method));
        if !matched.params.is_empty() {
            found.params.set_names(Arc::clone(&node.names));
            for (_, value) in matched.params.iter() {
                // Every value is a slice of `path`.
                let start = value.as_ptr().addr() - path.as_ptr().addr();
                found.params.push(start, start + value.len());
            }
        }
        found
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
            endpoint,
            params: Params::default(),
        }
    }

    /// Whether there is a route that differs by a slash at the end.
    fn sibling(&self, path: &str) -> Option<Sibling> {
        match path.strip_suffix('/') {
            Some(shorter) => self.nodes.has(shorter).then_some(Sibling::Without),
            None => self.nodes.has(&format!("{path}/")).then_some(Sibling::With),
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

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{ask, text};
    use crate::get;

    fn router(routes: Routes) -> Router {
        Router::new(routes).expect("a router")
    }

    #[test]
    fn a_404_names_the_path_and_its_sibling() {
        let router = router(
            Routes::new()
                .route("/a", get(|| "a"))
                .route("/b/", get(|| "b"))
                .route("/c/{*rest}", get(|| "c")),
        );
        for (path, says) in [
            ("/x", "\"no route for GET /x\""),
            ("/a/", "without the slash"),
            ("/b", "with a slash"),
            ("/c/", "no route for GET /c/\""),
        ] {
            let response = ask(&router, "GET", path);
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            let body = text(response);
            assert!(body.contains(says), "{body}");
        }
        let long = format!("/{}", "x".repeat(5000));
        assert!(text(ask(&router, "GET", &long)).len() < 400);
    }

    #[test]
    fn a_405_lists_what_is_allowed() {
        let router = router(Routes::new().route("/a", get(|| "a").delete(|| "d")));
        for method in ["POST", "TRACE", "BREW", "CONNECT"] {
            let response = ask(&router, method, "/a");
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(response.headers()["allow"], "DELETE, GET, HEAD, OPTIONS");
            assert!(text(response).contains(&format!("{method} /a")));
        }
    }

    #[test]
    fn options_and_head_are_answered_unless_they_are_defined() {
        let router = router(
            Routes::new()
                .route("/a", get(|| "a"))
                .route(
                    "/b",
                    get(|| "b").options(|| "mine").head(|| StatusCode::FOUND),
                )
                .route("/c", crate::any(|| "c")),
        );
        let response = ask(&router, "OPTIONS", "/a");
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(response.headers()["allow"], "GET, HEAD, OPTIONS");
        assert_eq!(text(ask(&router, "HEAD", "/a")), "a");
        assert_eq!(text(ask(&router, "OPTIONS", "/b")), "mine");
        assert_eq!(ask(&router, "HEAD", "/b").status(), StatusCode::FOUND);
        assert_eq!(text(ask(&router, "OPTIONS", "/c")), "c");
        assert_eq!(text(ask(&router, "BREW", "/c")), "c");
        let response = ask(&router, "OPTIONS", "*");
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(response.headers()["allow"], "GET, HEAD, OPTIONS");
        assert_eq!(ask(&router, "GET", "*").status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_literal_wins_over_a_parameter_and_nothing_is_decoded() {
        let router = router(
            Routes::new()
                .route("/users/{id}", get(|| "one"))
                .route("/users/me", get(|| "me"))
                .route("/users/{id}/x", get(|| "x")),
        );
        assert_eq!(text(ask(&router, "GET", "/users/me")), "me");
        assert_eq!(text(ask(&router, "GET", "/users/m%65")), "one");
        assert_eq!(text(ask(&router, "GET", "/users/a%2Fx")), "one");
        assert_eq!(text(ask(&router, "GET", "/users/me/x")), "x");
        for path in ["/users/", "/users//x", "/Users/me", "//users/me"] {
            assert_eq!(
                ask(&router, "GET", path).status(),
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
    }

    #[test]
    fn a_doubled_brace_is_found_as_one_and_a_pattern_is_no_path() {
        let router = router(
            Routes::new()
                .route("/a{{b}}", get(|| "braces"))
                .route("/{id}", get(|| "one")),
        );
        assert_eq!(text(ask(&router, "GET", "/a%7Bb%7D")), "one");
        let found = router.find(&Method::GET, "/a{b}");
        assert_eq!(
            router.pattern(found.params.route().expect("a route")),
            Some("/a{{b}}")
        );
        let found = router.find(&Method::GET, "/{id}");
        assert_eq!(found.params.iter("/{id}").next(), Some(("id", "{id}")));
    }

    #[test]
    fn parameters_are_slices_of_the_path_beyond_the_inline_ones_too() {
        let router = router(Routes::new().route("/{a}/{b}/{c}/{d}/{e}/{*f}", get(|| ())));
        let path = "/1/22/333/4/5%20/6/7";
        let found = router.find(&Method::GET, path);
        let pairs: Vec<_> = found.params.iter(path).collect();
        let wanted = [
            ("a", "1"),
            ("b", "22"),
            ("c", "333"),
            ("d", "4"),
            ("e", "5%20"),
            ("f", "6/7"),
        ];
        assert_eq!(pairs, wanted);
        assert_eq!(
            router.pattern(found.params.route().expect("a route")),
            Some("/{a}/{b}/{c}/{d}/{e}/{*f}")
        );
    }

    proptest! {
        #[test]
        fn no_path_and_no_method_makes_it_panic(path in "\\PC{0,30}", method in "[A-Z]{1,8}") {
            let router = router(Routes::new().route("/{a}/b", get(|| ())).route("/x/{*c}", get(|| ())));
            let method = Method::from_bytes(method.as_bytes()).expect("a token");
            let found = router.find(&method, &path);
            for (_, value) in found.params.iter(&path) {
                prop_assert!(path.contains(value));
            }
        }
    }
}
