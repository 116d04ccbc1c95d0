//! The laws of a WebSocket connection and of its handshake, over bytes that a fuzzer chose.

mod acts;
mod driven;
mod handshake;
mod stream;

pub use acts::acts;
pub use handshake::handshake;
pub use stream::{bytes, frames};

use std::time::Duration;

use tideway_engine::ws::{Config, Deflate, Role};

/// The first bytes of an input: which connection this is, and how its stream is cut.
struct Given {
    role: Role,
    deflate: Option<Deflate>,
    /// The longest piece.
    piece: usize,
}

/// The connection that `data` names, and what is left of it.
fn given(data: &[u8]) -> Option<(Given, &[u8])> {
    let (&[what, bits, piece], rest) = data.split_first_chunk()?;
    let deflate = Deflate {
        server_takeover: what & 4 != 0,
        client_takeover: what & 8 != 0,
        server_max_window_bits: 9 + bits % 7,
        client_max_window_bits: 9 + bits / 7 % 7,
    };
    let given = Given {
        role: if what & 1 == 0 {
            Role::Server
        } else {
            Role::Client
        },
        deflate: (what & 2 != 0).then_some(deflate),
        piece: 1 + usize::from(piece),
    };
    Some((given, rest))
}

/// Small caps, so that short streams meet them; each byte earns a message a millisecond.
fn small() -> Config {
    Config {
        max_frame: 600,
        max_message: 1000,
        max_queue: 2000,
        ping_every: Duration::from_secs(30),
        pong_within: Duration::from_secs(20),
        message_within: Duration::from_secs(10),
        message_rate: 1000,
        close_within: Duration::from_secs(5),
    }
}
