//! The caps and time-outs of a connection.

use std::time::Duration;

/// What a peer may send and how long it may take. Share one by `Arc` between all connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The largest frame, in bytes of payload as sent. Default 1 MiB. A larger one closes 1009.
    pub max_frame: usize,
    /// The largest message, in bytes after inflation. Default 1 MiB; a connection holds up to this
    /// much while one comes in pieces. A larger one closes 1009.
    pub max_message: usize,
    /// How many bytes may wait to be sent. Default 1 MiB. A larger message is taken if nothing waits.
    pub max_queue: usize,
    /// After this long without one byte from the peer a Ping goes out. Default 30 s; less than any
    /// proxy in between drops idle connections after. The first one goes out earlier, at an instant of the second
    /// half of the interval that the seed chooses. `Duration::MAX`: no heartbeat.
    pub ping_every: Duration,
    /// How long after a Ping, once it was taken for writing, a byte must come. Default 20 s.
    pub pong_within: Duration,
    /// How long a message may take from its first byte to its last, beside what
    /// [`message_rate`](Self::message_rate) grants it. Default 60 s. `Duration::MAX`: for ever.
    pub message_within: Duration,
    /// Bytes of payload that earn a message another second. Default 16 KiB.
    pub message_rate: u32,
    /// From the decision to close until the stream must be closed. Default 5 s.
    pub close_within: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_frame: 1 << 20,
            max_message: 1 << 20,
            max_queue: 1 << 20,
            ping_every: Duration::from_secs(30),
            pong_within: Duration::from_secs(20),
            message_within: Duration::from_secs(60),
            message_rate: 16 << 10,
            close_within: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// A message's whole time for `received` bytes of it.
    pub(super) fn message_time(&self, received: u64) -> Duration {
        let nanos = u128::from(received) * 1_000_000_000 / u128::from(self.message_rate.max(1));
        let earned = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.message_within.saturating_add(earned)
    }

    /// The most bytes of compressed payload in a message: what does not compress grows by blocks'
    /// heads, and endless empty blocks inflate to nothing.
    pub(super) fn max_wire(&self, compressed: bool) -> u64 {
        let max = self.max_message as u64;
        if compressed {
            max.saturating_add(max / 16 + 64)
        } else {
            max
        }
    }
}
