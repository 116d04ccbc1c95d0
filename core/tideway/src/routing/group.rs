//! A group of routes: mounted whole, under a prefix or as it is.

use std::future::Future;
use std::sync::Arc;

use super::pattern::{check_prefix, join};
use super::{MethodRouter, Next, Settings};
use crate::Request;
use crate::handler::{Around, Layer};
use crate::response::IntoResponse;

/// Routes that belong together. A group has no stages: it is mounted in an [`App`](crate::App),
/// and every route then passes the app's.
///
/// ```
/// use tideway::{App, Routes, get};
///
/// let users = Routes::new()
///     .route("/", get(|| "all users"))
///     .route("/{id}", get(|| "one user"));
/// let app = App::new().nest("/users", users);     // /users and /users/{id}
/// ```
///
/// It never fails by itself: whatever is wrong is reported when the app is built.
#[derive(Default)]
#[must_use = "a group answers nothing until it is given to `App::nest` or `App::merge`"]
pub struct Routes {
    pub(super) routes: Vec<(String, MethodRouter)>,
    pub(super) errors: Vec<String>,
    wraps: Vec<Arc<dyn Around>>,
    settings: Settings,
}

impl Routes {
    /// A group without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route. The same pattern may be added again with other methods.
    pub fn route(mut self, pattern: &str, route: MethodRouter) -> Self {
        self.routes.push((pattern.to_owned(), route));
        self
    }

    /// Adds all routes of `group` under `prefix`, which may hold parameters. The group's `/`
    /// becomes the prefix itself, without a slash at its end.
    pub fn nest(mut self, prefix: &str, group: Routes) -> Self {
        if let Err(error) = check_prefix(prefix) {
            self.errors.push(error);
        }
        let mut group = group;
        for (pattern, _) in &mut group.routes {
            if !pattern.starts_with('/') {
                self.errors.push(format!(
                    "`{pattern}` (under `{prefix}`) must start with `/`"
                ));
            }
            *pattern = join(prefix, pattern);
        }
        self.merge(group)
    }

    /// Adds all routes of `group` as they are, with the group's own wrappers and settings.
    pub fn merge(mut self, group: Routes) -> Self {
        let Routes {
            routes,
            errors,
            wraps,
            settings,
        } = group;
        self.errors.extend(errors);
        self.routes
            .extend(routes.into_iter().map(|(pattern, mut route)| {
                route.inherit(&wraps, &settings);
                (pattern, route)
            }));
        self
    }

    /// Calls `layer` around every route of this group, those added later included. Wrappers read
    /// from the outside in: the first is the outermost.
    pub fn wrap<F, R>(mut self, layer: F) -> Self
    where
        F: Fn(Request, Next) -> R + Send + Sync + 'static,
        R: Future<Output: IntoResponse> + Send + 'static,
    {
        self.wraps.push(Arc::new(Layer(layer)));
        self
    }

    /// Attaches a setting to every route of this group that does not set its own.
    pub fn set<T: Send + Sync + 'static>(mut self, setting: T) -> Self {
        self.settings.insert(setting);
        self
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(self.routes.iter().map(|(pattern, route)| (pattern, route)))
            .finish()
    }
}
