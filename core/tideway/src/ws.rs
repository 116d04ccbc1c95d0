//! WebSocket (RFC 6455): the upgrade as an extractor, and a socket that names no runtime.
//!
//! ```
//! use tideway::{App, Response, get, ws::{Socket, WebSocketUpgrade}};
//!
//! async fn echo(upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.on_upgrade(|mut socket: Socket| async move {
//!         while let Some(message) = socket.recv().await {
//!             if socket.send(message).await.is_err() {
//!                 break;
//!             }
//!         }
//!     })
//! }
//!
//! let app = App::new().route("/ws", get(echo));
//! ```
//!
//! The request passes every stage of the pipeline, as any other; the exchange is over with the answer 101, over HTTP/2 200. From
//! then on a [`Session`] is the socket: the machine of [`tideway_engine::ws`], the handler, and one small place
//! under a lock where they meet. A driver gives it bytes and time, and polls it in one task.
//!
//! The rejected alternative is a loop inside the handler that reads the stream itself: it answers no Ping and
//! delivers nothing while the handler waits for a database.

mod client;
mod closed;
mod extended;
mod hub;
mod meeting;
mod message;
mod origin;
mod rejection;
mod session;
mod socket;
mod takeover;
mod upgrade;

pub use client::{Connect, ConnectError, Dial, Opening, UrlError, connect};
pub use closed::{Cause, Closed};
pub use extended::ExtendedConnect;
pub(crate) use hub::DynRoomEvents;
pub use hub::{Hub, HubConfig, Listener, NodeCounts, Room, RoomError, RoomEvents};
pub use message::{Binary, Message, Text};
pub use rejection::HandshakeRejection;
pub use session::{Session, Upgrade};
pub use socket::{Receiver, SendError, Sender, Sending, Socket};
pub use takeover::Takeover;
pub use tideway_engine::hub::wire::{Channels, PrefixError};
pub use tideway_engine::hub::{
    Cause as GapCause, Counts, Joined, Order, Policy, Post, Reach, Refused, Rules,
};
pub use tideway_engine::ws::handshake::BadAnswer;
pub use tideway_engine::ws::{CloseCode, CloseError, Codecs, Config, Encoded, Violation};
pub use upgrade::WebSocketUpgrade;
