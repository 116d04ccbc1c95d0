//! How a handler ended: the pool's own type.

pub use tideway_engine::jobs::pool::End;
