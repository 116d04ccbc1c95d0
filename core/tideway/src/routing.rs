//! Routing: patterns to handlers, groups of routes, typed settings per route.
//!
//! A pattern is literal text, `{name}` for one segment (or the rest of one) and `{*name}` for
//! everything to the end. It is matched against the raw path: nothing is decoded, folded or
//! redirected. So `/a` and `/a/` are two paths, `/{*rest}` does not match `/`, and a `%2F` never
//! splits a segment. A literal segment wins over a parameter, whatever the order of registration.
//!
//! What no pattern answers is answered by an endpoint too, behind the same stages: 404, 405 with
//! `Allow`, 204 with `Allow` to OPTIONS. HEAD is answered by GET's handler.

use std::sync::Arc;

mod endpoint;
mod group;
mod method;
mod params;
mod pattern;
mod plan;
mod refused;
mod router;
mod settings;

pub use crate::handler::Next;
pub use endpoint::{Endpoint, Reply};
pub use group::Routes;
pub use method::MethodRouter;
pub use params::Params;
pub use plan::RouteLine;
pub use router::{Found, Router};
pub use settings::Settings;

pub(crate) use plan::Plan;
pub(crate) use refused::cut;

/// An endpoint, shared by a router and the wrappers around it.
pub(crate) type Shared = Arc<dyn Endpoint>;
