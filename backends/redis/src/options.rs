//! How a store is opened. Durations are `Duration`, sizes bytes.

use std::fmt;
use std::time::Duration;

use tideway::jobs::StoreClock;

/// How to open a job store. [`Options::default`] is right for most programs.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// What every key begins with, so that several applications share a server; `tideway` unless set. One to
    /// 64 letters, digits and `-_.:/`.
    pub prefix: String,
    /// Which queues share a hash tag; by the URL unless set. All processes of a prefix must agree.
    pub tags: Option<Tags>,
    /// The most connections to each server; 8 unless set, and never less than 2, so that claims and settles overlap. One
    /// more, to one of the servers, is for hints.
    pub connections: usize,
    /// How long a call waits for a connection, and then for the replies, before it fails; 5 s each unless set. One
    /// that several scripts do one after the other waits so for each.
    pub timeout: Duration,
    /// The largest payload in bytes, as `caps` reports it; 1 MiB unless set.
    pub max_payload: usize,
    /// A clock in place of the server's, for tests and simulations: every call then carries the time.
    pub clock: Option<StoreClock>,
}

/// Which queues share a hash tag, and with it a node of a cluster.
///
/// With one tag a claim is one atomic script, and so is each item of another call with all that follows from it (a script
/// takes up to 100 items, or about 1 MiB). With a tag for each queue, what concerns several queues takes
/// several: a claim looks at all of them at once before it takes from each; jobs that come with a settle or a cron
/// slot, and words to jobs that wait, go to other queues by an outbox, which the caller empties before it
/// returns, and `prune` does if the caller died. One of those that is refused there, for its unique key say, counts as
/// ended for jobs that came with it and wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// `{prefix}` for all: the default for `redis://`.
    One,
    /// `{prefix:hhh}` for each queue: the default for `redis-cluster://`.
    PerQueue,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: "tideway".into(),
            tags: None,
            connections: 8,
            timeout: Duration::from_secs(5),
            max_payload: 1 << 20,
            clock: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("prefix", &self.prefix)
            .field("tags", &self.tags)
            .field("connections", &self.connections)
            .field("timeout", &self.timeout)
            .field("max_payload", &self.max_payload)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// With keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// With these hash tags.
    #[must_use]
    pub fn tags(mut self, tags: Tags) -> Self {
        self.tags = Some(tags);
        self
    }

    /// With at most so many connections to each server.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(2);
        self
    }

    /// Waits so long for a connection, and for a reply.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With payloads of at most so many bytes.
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// With this clock instead of the server's.
    #[must_use]
    pub fn clock(mut self, clock: StoreClock) -> Self {
        self.clock = Some(clock);
        self
    }
}
