//! How a store is opened. Durations are `Duration`, sizes bytes.

use std::fmt;
use std::time::Duration;

use tideway::jobs::StoreClock;

/// How to open a job store. [`Options::default`] is right for most programs.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The schema with the store's tables, made if there is none; `tideway` unless set. At most 40 lower-case
    /// letters, digits and `_`. Stores in different schemas know nothing of each other.
    pub schema: String,
    /// Whether to make the tables, or bring those of an older release up to date; yes unless set. Without, a schema
    /// of another version is refused.
    pub migrate: bool,
    /// At most so many connections, apart from the one that listens; 8 unless set. A worker uses two at a time.
    pub connections: usize,
    /// How long a call may take, the wait for a connection included; 10 s unless set. The server is told to give
    /// up a little earlier.
    pub timeout: Duration,
    /// Whether the address is that of a pooler in transaction mode, as PgBouncer; no unless set. Then there is no
    /// session to set a time limit or to listen in.
    pub pooled: bool,
    /// A direct address to listen at for hints, beside a pooler.
    pub listen_url: Option<String>,
    /// Whether a job's record goes with its success, whatever retention it asks; no unless set. Its id is then
    /// forgotten at once: a late repeat of its enqueue runs it again, its result is kept by nobody, and no job
    /// enqueued later can wait for it.
    pub delete_succeeded: bool,
    /// The largest payload in bytes, as `caps` reports it; 1 MiB unless set.
    pub max_payload: usize,
    /// A clock instead of the server's, for tests. All processes that share the tables must read the same time.
    pub clock: Option<StoreClock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            schema: "tideway".into(),
            migrate: true,
            connections: 8,
            timeout: Duration::from_secs(10),
            pooled: false,
            listen_url: None,
            delete_succeeded: false,
            max_payload: 1 << 20,
            clock: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address: there is a password in it.
        f.debug_struct("Options")
            .field("schema", &self.schema)
            .field("migrate", &self.migrate)
            .field("connections", &self.connections)
            .field("timeout", &self.timeout)
            .field("pooled", &self.pooled)
            .field("listens_apart", &self.listen_url.is_some())
            .field("delete_succeeded", &self.delete_succeeded)
            .field("max_payload", &self.max_payload)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// With its tables in this schema.
    #[must_use]
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// Makes the tables and brings them up to date, or does not.
    #[must_use]
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// With at most so many connections.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// Gives a call at most so long.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// Through a pooler in transaction mode, or not.
    #[must_use]
    pub fn pooled(mut self, pooled: bool) -> Self {
        self.pooled = pooled;
        self
    }

    /// Listens for hints at this address, past the pooler.
    #[must_use]
    pub fn listen_url(mut self, url: impl Into<String>) -> Self {
        self.listen_url = Some(url.into());
        self
    }

    /// Forgets a job at its success, or keeps it as long as it asks.
    #[must_use]
    pub fn delete_succeeded(mut self, delete: bool) -> Self {
        self.delete_succeeded = delete;
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
