//! How long a peer may take over each part of a connection.

use std::time::Duration;

/// The time-outs of one connection. A peer that stays within them may take as long as it likes
/// in total; bounds on the whole of a request are set elsewhere.
///
/// [`Duration::MAX`] turns one off. Zero cuts at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From accepting the connection to its first byte. Default 10 s; longer where clients open
    /// connections ahead of need.
    pub first_byte: Duration,
    /// From the first byte of a request head to its end. Default 10 s. Fixed: a peer that
    /// trickles does not gain time.
    pub header: Duration,
    /// Between one request and the first byte of the next. Default 60 s; more than any proxy in
    /// front of us keeps its own side, or it will send into a closing connection.
    pub keep_alive: Duration,
    /// Without one byte while a handler awaits the request body. Default 30 s; each byte received
    /// starts it anew.
    pub body_in: Duration,
    /// Without one byte taken while we have output. Default 30 s; each byte taken starts it anew.
    pub body_out: Duration,
    /// From the decision to close until the last bytes are taken. Default 5 s. Fixed.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(10),
            header: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            body_in: Duration::from_secs(30),
            body_out: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// In the order of [`Cut::ALL`](super::Cut), in nanoseconds; `u64::MAX` is off.
    pub(crate) fn nanos(&self) -> [u64; 6] {
        [
            self.first_byte,
            self.header,
            self.keep_alive,
            self.body_in,
            self.body_out,
            self.drain,
        ]
        .map(|limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
    }
}
