//! Pure machines: time, entropy, timers, bytes. No future, no clock, no socket.
//!
//! Everything here is a value driven by calls: time comes in as an argument, randomness from a
//! seed, bytes as counts or slices. What must happen later is reported as a deadline with a name;
//! nothing waits, blocks or wakes. The same inputs give the same outputs, byte for byte, so any run
//! can be replayed from its seed.
//!
//! The rejected alternative is logic written as tasks against a runtime's timers and sockets: it
//! is shorter at first, but it can be tested only by waiting, and only on that runtime.

#![forbid(unsafe_code)]
#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]

mod chunks;
mod date;
mod duration;
pub mod hub;
pub mod jobs;
mod map;
mod rng;
mod table;
mod time;
mod timers;
mod uuid;
pub mod wire;
pub mod ws;

pub use chunks::Chunks;
pub use date::{http_date, rfc3339};
pub use duration::{DurationError, parse_duration};
pub use map::{FoldHasher, Keyed, Map};
pub use rng::{Rng, Seed};
pub use table::{Transition, render};
pub use time::{Mono, Now, Wall};
pub use timers::Timers;
pub use uuid::{format_uuid, uuid_v7};
