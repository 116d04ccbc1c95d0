//! WebSocket (RFC 6455) with compression (RFC 7692), for servers and clients, as a pure machine over the
//! caller's bytes. It reads no socket and no clock, and an idle connection holds no buffer and no codec.
//!
//! - [`Conn`] is one connection after its handshake.
//! - [`handshake`] has the opening handshake of both sides as functions over header values, [`Deflate`] the
//!   negotiation of compression.
//! - [`Encoded`] is a message as it is sent, made once for all who receive it; a [`Run`] is several, joined once.
//! - [`Codecs`] are the compressors and inflaters, which a worker thread owns and lends.
//!
//! The rejected alternative is a machine with a read buffer of its own: kept, it costs each idle connection
//! its size; freed when idle, twice the instructions for each message. So bytes stay in the caller's buffer,
//! a message that arrived whole is lent from there, and only what arrived in part is copied.

mod assembly;
mod code;
mod codecs;
mod compression;
mod config;
mod conn;
mod deflate;
mod encoded;
mod end;
mod event;
pub mod handshake;
mod head;
mod life;
mod mask;
mod out;
mod phase;
mod run;
#[cfg(test)]
mod tests;
mod utf8;

pub use code::{CloseCode, CloseFrame, MAX_REASON};
pub use codecs::Codecs;
pub use config::Config;
pub use conn::{CloseError, Conn, Role, SendError};
pub use deflate::{Deflate, DeflateConfig};
pub use encoded::Encoded;
pub use end::{End, Violation};
pub use event::{Data, Event};
pub use run::{Parcel, Run};
