//! What a worker is told at start: how much it runs, from where, and how it stops.

use std::time::Duration;

use super::super::cron::Entry;
use super::super::{Name, NewJob};

/// The settings of a [`Pool`](super::Pool).
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// How many jobs run at once; default 16.
    pub slots: u32,
    /// The queues it takes from, first the more important; default `default` alone.
    pub queues: Vec<Share>,
    /// How queues and bands share the slots; default fair.
    pub order: Order,
    /// How long a lease lasts without a beat; beats come at a third of it. Default 30 s. Shorter finds the
    /// dead sooner and costs more calls.
    pub lease: Duration,
    /// How long it sleeps between looks when nothing tells it to look; default 3 s.
    pub look: Duration,
    /// The most bytes of payload one claim brings; default 8 MiB.
    pub max_bytes: usize,
    /// The most items of one call; the smaller of this and the store's cap. Default 1000.
    pub max_batch: u32,
    /// How long a stop waits for handlers before it asks them to stop; default 20 s.
    pub soft: Duration,
    /// How long a stop waits, from its begin, before it drops them; default 30 s.
    pub hard: Duration,
    /// How long a handler that was asked to stop (timeout, cancel) has before it is dropped; default 5 s.
    pub grace: Duration,
    /// The cron entries it evaluates.
    pub cron: Vec<CronJob>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            slots: 16,
            queues: vec![Share {
                queue: Name::new("default").expect("a valid name"),
                weight: 1,
            }],
            order: Order::Fair,
            lease: Duration::from_secs(30),
            look: Duration::from_secs(3),
            max_bytes: 8 << 20,
            max_batch: 1000,
            soft: Duration::from_secs(20),
            hard: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            cron: Vec::new(),
        }
    }
}

/// A job that is enqueued by the clock.
#[derive(Clone, Debug)]
pub struct CronJob {
    /// When.
    pub entry: Entry,
    /// What: enqueued with an id and start of its slot's, and the unique key or group that its overlap rule asks.
    pub job: NewJob,
}

/// A queue and its share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The queue.
    pub queue: Name,
    /// Its weight among the queues under [`Order::Fair`]; 0 counts as 1.
    pub weight: u32,
}

/// How lanes share the slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// In proportion: a queue by its weight, each band twice the next one's share. Nobody starves, and what one
    /// lane does not use the others get.
    #[default]
    Fair,
    /// All of the first lane before any of the second. The last may wait for ever.
    Strict,
}

/// Why a worker cannot start with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No slot.
    #[error("slots is 0: a worker needs at least 1")]
    Slots,
    /// No queue.
    #[error("a worker needs at least one queue")]
    Queues,
    /// More queues than a claim can carry.
    #[error("a worker takes from at most {max} queues", max = PoolConfig::MAX_QUEUES)]
    TooManyQueues,
    /// A lease too short to beat in time.
    #[error("the lease must be at least 100ms: beats come at a third of it")]
    Lease,
    /// A pause that would spin.
    #[error("look must be at least 10ms")]
    Look,
    /// The deadlines of a stop are in the wrong order.
    #[error("hard must not be less than soft: both count from the begin of the stop")]
    Stop,
    /// A batch of nothing.
    #[error("max_batch is 0: allow at least 1")]
    Batch,
}

impl PoolConfig {
    /// The most queues of one worker.
    pub const MAX_QUEUES: usize = 64;

    /// Whether a worker can run with it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what to change.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = [
            (self.slots == 0, ConfigError::Slots),
            (self.queues.is_empty(), ConfigError::Queues),
            (
                self.queues.len() > Self::MAX_QUEUES,
                ConfigError::TooManyQueues,
            ),
            (self.lease < Duration::from_millis(100), ConfigError::Lease),
            (self.look < Duration::from_millis(10), ConfigError::Look),
            (self.hard < self.soft, ConfigError::Stop),
            (self.max_batch == 0, ConfigError::Batch),
        ];
        match wrong.into_iter().find(|(is, _)| *is) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}
