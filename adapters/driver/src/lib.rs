//! The IO loops of Tideway, once, generic over a [`Runtime`].

mod runtime;

pub use runtime::{Bound, Listener, Runtime, Sleep};
