//! How a broker is opened. Durations are `Duration`, sizes bytes.

use std::time::Duration;

use tideway::pubsub::Limits;

/// How to open a [`RedisPubSub`](super::RedisPubSub). [`PubSubOptions::default`] is right for most programs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PubSubOptions {
    /// What waits for a slow consumer at most; 4 096 messages and 8 MiB unless set.
    pub limits: Limits,
    /// How long connecting may take; 5 s unless set.
    pub timeout: Duration,
    /// The largest message, in bytes; 16 MiB unless set. One must be through in 8 s: more needs a fast network.
    pub max_payload: usize,
}

impl Default for PubSubOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            timeout: Duration::from_secs(5),
            max_payload: 16 << 20,
        }
    }
}

impl PubSubOptions {
    /// With a queue of this size for what comes in.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Waits so long for a connection.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With messages of at most so many bytes.
    #[must_use]
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }
}
