//! Tideway in a deterministic simulator: virtual clock, in-memory network, seeded faults.
//!
//! The driver, hyper and the application are the real ones; the machines they run on are not. One
//! thread polls every task in an order drawn from the seed, time jumps to the next event when
//! nothing can run, and a run is replayed byte for byte from its seed: [`Sim::digest`] proves it.
//!
//! ```
//! use std::time::Duration;
//!
//! use tideway_driver::{Listener, Runtime};
//! use tideway_sim::{Link, Sim};
//!
//! let sim = Sim::new(7);
//! let (server, client) = (sim.host("server"), sim.host("client"));
//! sim.link(&server, &client, Link::rough());
//!
//! let mut port = server.listener(80)?;
//! server.spawn(async move {
//!     let (mut stream, _peer) = port.accept().await.unwrap();
//!     let asked = stream.read_to_end().await.unwrap();
//!     stream.write_all(&asked).await.unwrap();
//! });
//! let answer = sim.run(async {
//!     let mut stream = client.connect("server", 80).await?;
//!     stream.write_all(b"ping").await?;
//!     stream.shutdown().await?;
//!     stream.read_to_end().await
//! })?;
//! assert_eq!(answer, b"ping");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Replay holds as far as the code under test keeps to its runtime: a real clock, a thread or a
//! `HashMap` with random order breaks it.

#![forbid(unsafe_code)]

mod digest;
mod host;
mod link;
mod listener;
mod net;
mod sim;
mod sleep;
mod stalled;
mod stream;
mod world;

pub use host::Host;
pub use link::Link;
pub use listener::SimListener;
pub use sim::Sim;
pub use sleep::SimSleep;
pub use stalled::{Stalled, Why};
pub use stream::SimStream;
