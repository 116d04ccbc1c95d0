//! The heartbeat: whether the peer lives. Any byte from it is life; what the wait for a Pong is measured
//! from, and when it stands still, is decided here. No frame is made here.

use std::time::Duration;

use super::config::Config;
use crate::rng::Rng;
use crate::time::Mono;

/// The heartbeat of one connection.
///
/// Bytes only note the time; a deadline that falls looks whether one came meanwhile, and moves.
#[derive(Debug)]
pub(super) struct Life {
    /// The last byte from the peer.
    heard: Mono,
    /// The last byte that was taken for writing.
    moved: Mono,
    beat: Beat,
    /// We do not read, since then.
    paused: Option<Mono>,
}

#[derive(Clone, Copy, Debug)]
enum Beat {
    /// Never a Ping.
    Off,
    /// The first is due, whatever comes before: its instant is drawn, so that connections that began
    /// together do not ping together.
    First(Mono),
    /// Look then whether it is time.
    Quiet(Mono),
    /// A Ping waits behind other output, since then.
    Waiting(Mono),
    /// It was taken for writing then.
    Sent(Mono),
}

/// What a deadline demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    Nothing,
    /// Queue a Ping.
    Ping,
    /// The peer is gone.
    Dead,
}

impl Life {
    pub(super) fn new(config: &Config, rng: &mut Rng, now: Mono) -> Self {
        let beat = if config.ping_every == Duration::MAX {
            Beat::Off
        } else {
            let every = u64::try_from(config.ping_every.as_millis()).unwrap_or(u64::MAX);
            // Whoever connected at the same instant is not asked at the same instant; and a short conversation not at all.
            let first = every / 2 + 1 + rng.below(every.div_ceil(2).max(1));
            Beat::First(now.plus(Duration::from_millis(first)))
        };
        Self {
            heard: now,
            moved: now,
            beat,
            paused: None,
        }
    }

    #[inline]
    pub(super) fn heard(&mut self, now: Mono) {
        self.heard = now;
    }

    #[inline]
    pub(super) fn moved(&mut self, now: Mono) {
        self.moved = now;
    }

    /// The last byte of the Ping was taken.
    pub(super) fn ping_taken(&mut self, now: Mono) {
        if let Beat::Waiting(_) = self.beat {
            self.beat = Beat::Sent(now);
        }
    }

    #[inline]
    pub(super) fn pause(&mut self, now: Mono) {
        self.paused.get_or_insert(now);
    }

    /// Since when it was paused.
    pub(super) fn resume(&mut self, config: &Config, now: Mono) -> Option<Mono> {
        let from = self.paused.take()?;
        if let Beat::Sent(since) = self.beat {
            // What passed before the pause counts, what passed in it does not.
            self.beat = if self.heard >= since {
                Beat::Quiet(self.heard.plus(every(config)))
            } else {
                Beat::Sent(since.plus(now.since(since.max(from))))
            };
        }
        Some(from)
    }

    #[inline]
    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    #[inline]
    pub(super) fn deadline(&self, config: &Config) -> Option<(Mono, &'static str)> {
        let within = within(config);
        match self.beat {
            Beat::Off => None,
            Beat::First(at) | Beat::Quiet(at) => Some((at, "ping")),
            Beat::Waiting(since) => Some((since.plus(within), "ping not taken")),
            // The Pong may be among what we do not read.
            Beat::Sent(_) if self.is_paused() => None,
            Beat::Sent(since) => Some((since.plus(within), "pong")),
        }
    }

    /// Looks at the deadline, which is due.
    pub(super) fn timeout(&mut self, config: &Config, now: Mono) -> Demand {
        let quiet = self.heard.plus(every(config));
        match self.beat {
            Beat::Off => Demand::Nothing,
            Beat::Quiet(_) if quiet > now => {
                self.beat = Beat::Quiet(quiet);
                Demand::Nothing
            }
            Beat::First(_) | Beat::Quiet(_) => {
                self.beat = Beat::Waiting(now);
                Demand::Ping
            }
            Beat::Waiting(since) => {
                // While the peer takes anything, or sends anything, the Ping only waits its turn.
                let sign = since.max(self.moved).max(self.heard);
                if sign.plus(within(config)) > now {
                    self.beat = Beat::Waiting(sign);
                    Demand::Nothing
                } else {
                    Demand::Dead
                }
            }
            Beat::Sent(since) if self.heard >= since => {
                // In case more than an interval has passed since, the next look is a moment from now.
                let next = quiet.max(now.plus(Duration::from_nanos(1)));
                self.beat = Beat::Quiet(next);
                Demand::Nothing
            }
            Beat::Sent(_) => Demand::Dead,
        }
    }
}

/// Deadlines lie ahead of the time they are set at, or they would fall for ever.
fn every(config: &Config) -> Duration {
    config.ping_every.max(Duration::from_nanos(1))
}

fn within(config: &Config) -> Duration {
    config.pong_within.max(Duration::from_nanos(1))
}
