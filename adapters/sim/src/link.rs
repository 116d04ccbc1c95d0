//! How a network path between two hosts behaves.

use std::ops::Range;
use std::time::Duration;

use tideway::Rng;

/// A path between two hosts, the same both ways. Chances are per million.
///
/// Bytes are never lost, reordered or changed, as TCP promises: a lost packet shows as a stall.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Link {
    /// How long a packet travels, drawn for each. Default: 100 to 200 µs.
    pub latency: Range<Duration>,
    /// Most bytes one read or one write moves, the number drawn each time from one up to this.
    /// Default: `None`, as many as fit.
    pub chop: Option<usize>,
    /// The chance that a packet, and so everything behind it, is late by `stall`. Default: 0.
    pub stall_chance: u32,
    /// How late a stalled packet is, drawn each time. Default: 200 to 1 000 ms, a retransmission.
    pub stall: Range<Duration>,
    /// The chance that a read or a write finds its connection reset. Default: 0.
    pub reset_chance: u32,
    /// The chance that, after a write, the writer's side is shut: the reader sees the end, further
    /// writes fail, the other direction goes on. Default: 0.
    pub half_close_chance: u32,
    /// Most bytes under way and unread in one direction of one connection, at least one; a writer
    /// waits for more room. Default: 64 KiB.
    pub buffer: usize,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(100)..Duration::from_micros(200),
            chop: None,
            stall_chance: 0,
            stall: Duration::from_millis(200)..Duration::from_secs(1),
            reset_chance: 0,
            half_close_chance: 0,
            buffer: 64 * 1024,
        }
    }
}

impl Link {
    /// No latency and no fault.
    #[must_use]
    pub fn perfect() -> Self {
        Self {
            latency: Duration::ZERO..Duration::ZERO,
            ..Self::default()
        }
    }

    /// Everything that may happen to a connection without breaking it: latency of 1 to 80 ms, reads
    /// and writes of at most 97 bytes, one packet in a hundred stalled, 4 KiB of buffer.
    #[must_use]
    pub fn rough() -> Self {
        Self {
            latency: Duration::from_millis(1)..Duration::from_millis(80),
            chop: Some(97),
            stall_chance: 10_000,
            buffer: 4 * 1024,
            ..Self::default()
        }
    }

    /// Like [`Link::rough`], and it breaks: one read or write in a thousand finds a reset, one in
    /// two thousand shuts its side.
    #[must_use]
    pub fn hostile() -> Self {
        Self {
            reset_chance: 1_000,
            half_close_chance: 500,
            ..Self::rough()
        }
    }

    /// This link with another latency.
    #[must_use]
    pub fn latency(self, latency: Range<Duration>) -> Self {
        Self { latency, ..self }
    }

    /// This link with reads and writes of at most `bytes`.
    #[must_use]
    pub fn chop(self, bytes: usize) -> Self {
        let chop = Some(bytes);
        Self { chop, ..self }
    }

    /// This link with packets late by `by`, `per_million` times in a million.
    #[must_use]
    pub fn stall(self, per_million: u32, by: Range<Duration>) -> Self {
        Self {
            stall_chance: per_million,
            stall: by,
            ..self
        }
    }

    /// This link with reads and writes reset `per_million` times in a million.
    #[must_use]
    pub fn reset(self, per_million: u32) -> Self {
        let reset_chance = per_million;
        Self {
            reset_chance,
            ..self
        }
    }

    /// This link with writers shut `per_million` times in a million.
    #[must_use]
    pub fn half_close(self, per_million: u32) -> Self {
        let half_close_chance = per_million;
        Self {
            half_close_chance,
            ..self
        }
    }

    /// This link with `bytes` of buffer in each direction of each connection.
    #[must_use]
    pub fn buffer(self, bytes: usize) -> Self {
        let buffer = bytes.max(1);
        Self { buffer, ..self }
    }

    /// Nanoseconds the next packet travels.
    pub(crate) fn draw_latency(&self, rng: &mut Rng) -> u64 {
        let stalled = self.stall_chance > 0 && rng.chance(self.stall_chance);
        let stall = if stalled { draw(&self.stall, rng) } else { 0 };
        draw(&self.latency, rng).saturating_add(stall)
    }

    /// How many of `bytes` the next read or write moves; at least one.
    pub(crate) fn draw_chop(&self, bytes: usize, rng: &mut Rng) -> usize {
        match self.chop {
            Some(most) if bytes > 0 => bytes.min(1 + rng.below(most.max(1) as u64) as usize),
            _ => bytes,
        }
    }
}

fn draw(range: &Range<Duration>, rng: &mut Rng) -> u64 {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let (start, end) = (nanos(range.start), nanos(range.end));
    start + rng.below(end.saturating_sub(start))
}
