//! Messages between processes: the port that a broker's backend implements. Nothing here knows a broker, a clock or
//! a runtime. Sizes are in bytes.
//!
//! What the port promises is little, so that every broker can keep it: a message reaches those who are subscribed, at
//! most once, in the order of its publisher, and what may be missing is told. See [`PubSub`].

mod channel;
mod error;
pub mod inbox;
mod port;

pub use channel::{Channel, ChannelError};
pub use error::PubSubError;
pub use inbox::{Events, Inbox, Limits};
pub use port::{Caps, DynPubSub, Event, History, PubSub};
pub use tideway_engine::hub::Position;
