//! What the adapters on the async-io reactor share: sockets, sleeps, signals, entropy.
//! It spawns nothing itself: an [`Executor`] does, and that is all async-std and smol differ in.

mod listener;
mod run;
mod runtime;
mod sleep;
mod stream;

pub use listener::AsyncListener;
pub use run::{run, run_with, work};
pub use runtime::{AsyncIo, Executor};
pub use sleep::AsyncSleep;
pub use stream::AsyncStream;
