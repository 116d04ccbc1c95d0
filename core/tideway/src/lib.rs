//! Tideway: a batteries-included web framework whose logic is sans-IO.
//!
//! An [`App`] is routes, handlers and stages. It names no runtime: exactly one line of a program,
//! in `main`, picks an adapter (`tideway_tokio::run(app)`). Everything a request meets on its way is
//! a pure machine, [`pipeline::Exchange`], which takes time and bytes as arguments and can be driven
//! in a test without a socket (see [`testing`]).
//!
//! The rejected alternative is a stack of `Service` layers: each layer boxes its future, owns its
//! timers and sees only what its neighbours let through. Here stages are data in one list, every
//! route passes all of them, and none costs an allocation.

#![forbid(unsafe_code)]
#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]

mod app;
mod arena;
mod body;
mod context;
mod error;
pub mod extract;
#[cfg(test)]
mod fixture;
pub mod handler;
pub mod jobs;
pub mod pipeline;
pub mod pubsub;
mod request;
pub mod response;
pub mod routing;
mod spare;
pub mod stages;
mod tasks;
pub mod testing;
pub mod ws;

pub use app::{App, BuildError};
pub use body::{Body, BodyError, BoxBody, Collect, DataStream, Filter, Reject};
pub use context::{Context, Needs};
pub use error::{BoxError, Panicked, Problem};
pub use handler::{any, delete, get, head, on, options, patch, post, put};
pub use request::{Parts, Peer, Request, RequestId, Response};
pub use response::IntoResponse;
pub use routing::Routes;
pub use tasks::{BoxFuture, Clock, Tasks};

pub use bytes;
pub use http;
pub use tideway_engine::{Chunks, Mono, Now, Rng, Seed, Wall, rfc3339};
