//! The job store on Redis: one server of version 7 or newer, or a cluster of them. And the broker of messages
//! between processes, [`RedisPubSub`], which shares nothing with it but the code.
//!
//! ```no_run
//! # async fn example<R: tideway_driver::Runtime>(runtime: R) -> Result<(), tideway::jobs::StoreError> {
//! use tideway_driver::Net;
//! use tideway_redis::{Options, Redis};
//!
//! let store = Redis::open(Net::of(runtime), "redis://localhost:6379", Options::default()).await?;
//! # Ok(()) }
//! ```
//!
//! It runs on whatever [`Runtime`](tideway_driver::Runtime) the [`Net`](tideway_driver::Net) is of, and names
//! none. Calls are Lua scripts, in which the rules of the core are said again (`lua/step.lua`): a script is atomic, so a
//! record and everything that lists it change together. A claim is one script for each tag, whatever its size; of the items
//! of another call a script takes 100, or about 1 MiB, so that it holds nobody up for long.
//!
//! The rejected alternative reads records, lets the core's `step` decide, and writes them back if nothing
//! changed meanwhile. It says the rules once, and takes two round trips and a retry for every claim.
//!
//! # Tags
//!
//! On one server all queues share the tag `{prefix}`, so that an item and all that follows from it are one script. On a
//! cluster each queue has the tag `{prefix:hhh}` by the 12 bits of its name that its jobs' ids carry, so that queues are spread over the nodes;
//! see [`Tags`] for what is then more than one step. Keys are named in `lua/base.lua` and below; all of them begin
//! with the tag, so no script touches two slots.
//!
//! # What is lost with the server
//!
//! | Redis is set to | [`Caps::durability`](tideway_engine::jobs::call::Caps::durability) | what is lost |
//! |---|---|---|
//! | `appendonly yes`, `appendfsync always` | `Power` | nothing that was answered |
//! | `appendonly yes`, `appendfsync no` | `Process` | nothing when Redis is killed; what the kernel holds, about 30 s, when the machine is |
//! | `appendonly yes`, `appendfsync everysec` | `Delayed` | when Redis is killed: nothing, unless the disk is slow. While a sync takes its time, Redis answers before it writes, for up to 2 s. About 2 s when the machine is killed |
//! | `appendonly no` | `Memory` | everything since the last snapshot, if there is any |
//!
//! `always` with `no-appendfsync-on-rewrite yes` is `Process`.
//!
//! Replication is asynchronous: whatever the setting, a failover may lose the last writes. A lost claim is harmless,
//! since a finish counts only for the owner that claimed last; a lost enqueue is lost.

#![forbid(unsafe_code)]

mod calls;
mod connection;
mod error;
mod frame;
mod hub;
mod nodes;
mod open;
mod options;
mod pubsub;
mod replies;
mod row;
mod scripts;
mod slots;
mod store;
mod url;

pub use options::{Options, Tags};
pub use pubsub::{PubSubOptions, RedisPubSub};
pub use store::Redis;
