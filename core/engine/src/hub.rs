//! Rooms and the outgoing side of connections as two pure machines. They carry frames without looking
//! into them, count memory in bytes as allocated, and know no socket, lock or task.
//!
//! [`Outbox`] is one per connection. Every source of frames goes through it (rooms, users, other handlers,
//! the connection's own), so what a slow client can cost is `window + queue` bytes, whatever the rooms.
//!
//! [`Rooms`] is one per shard of topics. It knows who is a member of what, who is present, which frames are
//! still to be handed out, and what other nodes said. It hands frames out under the caller's lock through a
//! closure, so nothing is delivered to a connection that left before.
//!
//! The rejected alternative is a task per room with a channel per member: a full channel must either stall the
//! room or lose frames without anybody deciding which, and every frame costs a wake-up of every task.
//!
//! Caps that are not in [`Config`] or [`Limits`]:
//!
//! | What | Cap | Beyond it |
//! |---|---|---|
//! | sends that wait for room in one outbox | 1 024 | the send is refused |
//! | incarnations remembered per topic | 1 024 | the longest silent is forgotten, with a `Gap` |
//! | numbers of topics without members, per shard | 65 536 | the oldest is forgotten; its numbering jumps ahead, which others see as a `Gap` |
//! | events nobody took, per shard | 65 536 | single changes of presence become one `Relist` per topic |
//! | nodes remembered, per shard | 4 096 | the longest silent is forgotten |

mod address;
mod frame;
mod outbox;
mod policy;
mod rate;
mod rooms;
#[cfg(test)]
mod tests;
pub mod wire;

pub use address::{Conn, Incarnation, Position, Topic};
pub use frame::Frame;
pub use outbox::{Limits, Offered, Outbox, Output as Outgoing, SendError, Ticket};
pub use policy::{Close, Policy};
pub use rate::Rate;
pub use rooms::{
    Announce, Answer, Batch, Body, Cause, Config, Counts, Event, HOLD, Item, Join, Joined, Live,
    Order, Output, Post, Reach, Refused, Remote, Rooms, Rules, Turn,
};
