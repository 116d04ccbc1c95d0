//! From what an app has gathered to a router, and every mistake on the way.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::sync::Arc;

use http::{HeaderValue, Method};

use super::method::wrapped;
use super::refused::{NotAllowed, NotFound, Options, Sibling};
use super::router::{Node, Nodes, Route, Router, Target};
use super::{MethodRouter, Routes, Settings, Shared, pattern};
use crate::handler::Around;
use crate::{Context, Needs};

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
                let mut needs = Needs::default();
                if let Some(endpoint) = endpoint {
                    endpoint.needs(&mut needs);
                }
                let missing = needs.missing(context).into_iter();
                errors.extend(missing.map(|missing| format!("the `{name}` {missing}")));
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

        let mut nodes = Nodes::new();
        let mut methods: Vec<Method> = Vec::new();
        for pattern in order {
            let Some(draft) = drafts.remove(&pattern) else {
                continue;
            };
            methods.extend(draft.handlers.iter().map(|(method, _)| method.clone()));
            if let Err(error) = nodes.insert(&pattern, draft.finish(not_allowed.as_ref())) {
                errors.push(refusal(&pattern, &error));
            }
        }

        let missing = |sibling| match &fallback {
            Some(fallback) => wrapped(&wraps, Arc::clone(fallback)),
            None => wrapped(&wraps, Arc::new(NotFound { sibling })),
        };
        Router {
            nodes,
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
            "`{pattern}` conflicts with `{with}`: a path could match both; name their parameters alike, or change one"
        ),
        E::InvalidParamSegment => {
            format!("`{pattern}` has two parameters in one segment; take one and split it")
        }
        E::InvalidCatchAll => format!("`{pattern}` goes on after a catch-all; put it last"),
        _ => format!("`{pattern}` is no pattern: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{ask, text};
    use crate::get;

    fn mistakes(routes: Routes) -> Vec<String> {
        Router::new(routes).expect_err("mistakes")
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let errors = mistakes(
            Routes::new()
                .route("users", get(|| ()))
                .route("/a/{id}", get(|| ()))
                .route("/a/{name}", get(|| ()))
                .route("/b/{x}-{y}", get(|| ()))
                .route("/c/{*x}/d", get(|| ()))
                .route("/d", get(|| ()).get(|| ()))
                .route("/e", get(|| ()))
                .route("/e", get(|| ()))
                .nest("/f/", Routes::new().route("/", get(|| ())))
                .nest("/g", Routes::new().route("x", get(|| ()))),
        )
        .join("\n");
        for says in [
            "`users` must start",
            "`/a/{name}` conflicts with `/a/{id}`",
            "`/b/{x}-{y}` has two parameters in one segment",
            "`/c/{*x}/d` goes on after a catch-all",
            "GET /d has two handlers",
            "GET /e has two handlers",
            "prefix `/f/` must not end",
            "`x` (under `/g`) must start",
        ] {
            assert!(errors.contains(says), "{says}:\n{errors}");
        }
    }

    #[test]
    fn one_pattern_may_be_registered_by_several_and_each_keeps_its_settings() {
        let routes = Routes::new()
            .route("/a", get(|| "get").set(1_u8))
            .merge(Routes::new().route("/a", crate::post(|| "post")).set(2_u8));
        let router = Router::new(routes).expect("a router");
        let setting = |method: Method| {
            let route = router.find(&method, "/a").params.route();
            route
                .and_then(|route| router.settings(route)?.get::<u8>())
                .copied()
        };
        assert_eq!(text(ask(&router, "POST", "/a")), "post");
        assert_eq!(
            (setting(Method::GET), setting(Method::POST)),
            (Some(1), Some(2))
        );
        let allow = ask(&router, "PUT", "/a");
        assert_eq!(allow.headers()["allow"], "GET, HEAD, OPTIONS, POST");
    }

    #[test]
    fn wrappers_read_from_the_outside_in() {
        use crate::routing::Next;
        use crate::{IntoResponse, Request};
        fn mark(name: &'static str) -> impl Fn(Request, Next) -> crate::BoxFuture<'static, String> {
            move |request, next| {
                Box::pin(async move {
                    let inner = text(next.run(request).await.into_response());
                    format!("{name}({inner})")
                })
            }
        }
        let inner = Routes::new()
            .wrap(mark("c"))
            .route("/x", get(|| "x").wrap(mark("e")).wrap(mark("f")))
            .wrap(mark("d"));
        let outer = Routes::new()
            .nest("/in", inner)
            .wrap(mark("a"))
            .wrap(mark("b"));
        let router = Router::new(outer).expect("a router");
        assert_eq!(text(ask(&router, "GET", "/in/x")), "a(b(c(d(e(f(x))))))");
        assert!(text(ask(&router, "PUT", "/in/x")).starts_with("a(b(c(d(e(f({"));
    }

    #[test]
    fn inner_settings_win_over_those_of_a_group() {
        let group = Routes::new()
            .set(1_u8)
            .set("group")
            .route("/x", get(|| ()).set(2_u8));
        let router =
            Router::new(Routes::new().nest("/in", group).set(3_u8).set(4_u16)).expect("a router");
        let route = router
            .find(&Method::GET, "/in/x")
            .params
            .route()
            .expect("a route");
        let settings = router.settings(route).expect("settings");
        // The outermost group's are added by `merge`, which `Router::new` does.
        assert_eq!(settings.get::<u8>(), Some(&2));
        assert_eq!(settings.get::<&str>(), Some(&"group"));
        assert_eq!(settings.get::<u16>(), Some(&4));
    }

    /// A few segments, so that random patterns meet.
    fn segments() -> impl Strategy<Value = Vec<&'static str>> {
        let segment = proptest::sample::select(vec!["a", "b", "{p}", "{q}x"]);
        proptest::collection::vec(segment, 1..4)
    }

    /// The pattern of these segments, each parameter named after its depth.
    fn pattern(segments: &[&str], depth: usize) -> String {
        let named = |(at, segment): (usize, &&str)| {
            let name = format!("{{n{}", at + depth);
            format!("/{}", segment.replace("{p", &name).replace("{q", &name))
        };
        segments.iter().enumerate().map(named).collect()
    }

    /// A path that only this pattern matches best.
    fn path(segments: &[&str]) -> String {
        pattern(segments, 0)
            .split('/')
            .skip(1)
            .map(|segment| match segment.chars().last() {
                Some('}') => "/zz".to_owned(),
                Some('x') => "/zx".to_owned(),
                _ => format!("/{segment}"),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_nested_or_merged_route_is_found_as_a_flat_one(
            prefix in segments(),
            tails in proptest::collection::btree_set(segments(), 1..6),
            asked in proptest::collection::vec("[abx]{1,2}", 1..6),
        ) {
            let tails: Vec<Vec<&str>> = tails.into_iter().collect();
            let depth = prefix.len();
            let group = |tails: &[Vec<&str>], prefix: &str| {
                tails.iter().fold(Routes::new(), |routes, tail| {
                    let name = tail.concat();
                    let path = format!("{prefix}{}", pattern(tail, depth));
                    routes.route(&path, get(move || name.clone()))
                })
            };
            let prefixed = pattern(&prefix, 0);
            let (some, others) = tails.split_at(tails.len() / 2);
            let flat = Router::new(group(&tails, &prefixed)).expect("a router");
            let nested = group(some, "").merge(group(others, ""));
            let nested = Router::new(Routes::new().nest(&prefixed, nested)).expect("a router");

            let asked = format!("/{}", asked.join("/"));
            let (one, two) = (ask(&flat, "GET", &asked), ask(&nested, "GET", &asked));
            prop_assert_eq!(one.status(), two.status());
            prop_assert_eq!(text(one), text(two));
            for tail in &tails {
                let path = format!("{}{}", path(&prefix), path(tail));
                prop_assert_eq!(text(ask(&nested, "GET", &path)), tail.concat());
            }
        }
    }
}
