//! What every benchmarked server shares, so that peers differ in the framework only: arguments,
//! payloads, the cheap request id, the log sink and (feature `count`) the counting allocator.
//!
//! It never touches the network itself, except for the side port of counted builds.

mod alloc;
mod args;
mod id;
mod logs;
mod payload;

pub use alloc::allocations;
pub use args::{Args, Stages, announce, args};
pub use id::request_id;
pub use payload::{
    BODY_LIMIT, HELLO, Line, Message, Order, RESOURCES, User, message, resource_path, user,
};
