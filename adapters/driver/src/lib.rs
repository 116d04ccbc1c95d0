//! The IO loops of Tideway, once, generic over a [`Runtime`].
//!
//! This crate alone talks to hyper. A connection is one task: it polls hyper, drains the wire, and
//! minds the one timer that serves every deadline of the connection and of the exchange on it. All rules
//! live in the machines of `tideway` and `tideway-engine`; here is only who is polled when.
//!
//! The rejected alternative is hyper-util's `auto` builder with timers inside bodies: it waits for
//! a first byte without a deadline, costs a connection 900 bytes more, and never fires a timer in a body
//! that hyper does not poll because the peer takes nothing.
//!
//! The feature `http2`, off by default, serves HTTP/2 by prior knowledge on the port of HTTP/1.1. It brings h2, and with
//! it more of tokio (`io-util`) than channels, though never its runtime.

mod alarm;
mod body;
pub mod clock;
mod connection;
mod date;
mod dial;
#[cfg(feature = "http2")]
mod executor;
mod net;
mod options;
mod pulse;
mod refusal;
mod runtime;
mod serve;
mod server;
mod service;
mod stop;
mod tasks;
mod websocket;
mod wire;
mod worker;

/// The traits of a [`Runtime::Stream`].
pub use hyper::rt;
pub use net::{Net, NetStream};
pub use options::{Config, ConfigError, Listen, Options, config};
pub use runtime::{Bound, Listener, Runtime, Sleep};
pub use serve::{Report, serve};
pub use server::Server;
pub use stop::{Phase, Stop};
pub use tasks::tasks;
pub use tideway_engine::wire::Limits;
pub use worker::{WorkError, Worker};
