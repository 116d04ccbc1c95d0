//! The queues on a server, and the settings that were best for each.

/// Where jobs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Redis,
    Postgres,
}

/// A queue with a setting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What the report says of the setting.
    pub(crate) setting: &'static str,
    pub(crate) store: Store,
    /// The package and the binary of the same name.
    pub(crate) package: &'static str,
    /// Further arguments.
    pub(crate) arguments: &'static [&'static str],
    /// No run in batches has more jobs than this.
    pub(crate) most: usize,
    /// Whether its other parts are run with this setting too. One setting of a queue does.
    pub(crate) main: bool,
}

const fn peer(
    name: &'static str,
    setting: &'static str,
    store: Store,
    package: &'static str,
    arguments: &'static [&'static str],
) -> Peer {
    Peer {
        name,
        setting,
        store,
        package,
        arguments,
        most: usize::MAX,
        main: true,
    }
}

/// Another setting of a queue that is here already.
const fn also(peer: Peer) -> Peer {
    Peer {
        main: false,
        ..peer
    }
}

/// A queue that takes one job at a time does not need more.
const fn slow(peer: Peer) -> Peer {
    Peer {
        most: 10_000,
        ..peer
    }
}

/// With 8000 jobs apalis fails in Redis.
const APALIS_MOST: usize = 7000;

/// fang sorts all that wait for each that it takes, so its rate falls with their number: 5000 took minutes.
const FANG_MOST: usize = 1000;

use Store::{Postgres, Redis};

/// All of them, in the order of the tables.
#[rustfmt::skip]
pub(crate) static PEERS: [Peer; 21] = [
    peer("ours", "50 slots", Redis, "jobs-ours-redis", &["--slots", "50"]),
    also(peer("ours", "1000 slots", Redis, "jobs-ours-redis", &["--slots", "1000"])),
    also(slow(peer("ours", "1 slot", Redis, "jobs-ours-redis", &["--slots", "1"]))),
    peer("bare", "50 a call", Redis, "jobs-bare-redis", &["--slots", "50"]),
    also(peer("bare", "1000 a call", Redis, "jobs-bare-redis", &["--slots", "1000"])),
    Peer { most: APALIS_MOST, ..peer("apalis", "50 slots", Redis, "jobs-apalis-redis", &["--slots", "50", "--batch", "1000"]) },
    also(Peer { most: APALIS_MOST, ..peer("apalis", "50 slots, 50 a call", Redis, "jobs-apalis-redis", &["--slots", "50", "--batch", "50"]) }),
    slow(peer("rusty-sidekiq", "50 slots", Redis, "jobs-sidekiq", &["--slots", "50", "--connections", "50"])),
    slow(peer("published", "50 slots", Redis, "jobs-published-redis", &["--slots", "50"])),
    also(slow(peer("published", "4 slots", Redis, "jobs-published-redis", &["--slots", "4"]))),
    slow(peer("bullmq", "50 slots", Redis, "bullmq", &["--slots", "50"])),

    peer("ours", "50 slots", Postgres, "jobs-ours-postgres", &["--slots", "50"]),
    also(peer("ours", "1000 slots", Postgres, "jobs-ours-postgres", &["--slots", "1000"])),
    also(peer("ours", "1000 slots, deleted", Postgres, "jobs-ours-postgres", &["--slots", "1000", "--setting", "delete"])),
    also(slow(peer("ours", "1 slot", Postgres, "jobs-ours-postgres", &["--slots", "1"]))),
    peer("bare", "50 a call", Postgres, "jobs-bare-postgres", &["--slots", "50"]),
    also(peer("bare", "1000 a call", Postgres, "jobs-bare-postgres", &["--slots", "1000"])),
    also(peer("bare", "1000 a call, deleted", Postgres, "jobs-bare-postgres", &["--slots", "1000", "--setting", "delete"])),
    slow(peer("apalis", "50 slots", Postgres, "jobs-apalis-postgres", &["--slots", "50", "--batch", "1000"])),
    slow(peer("graphile_worker", "50 slots", Postgres, "jobs-graphile-worker", &["--slots", "50", "--connections", "10"])),
    Peer { most: FANG_MOST, ..peer("fang", "10 workers", Postgres, "jobs-fang", &["--slots", "10", "--connections", "10"]) },
];

impl Peer {
    pub(crate) fn ours(&self) -> bool {
        self.name == "ours"
    }

    /// Neither ours nor the statements of ours.
    pub(crate) fn foreign(&self) -> bool {
        !matches!(self.name, "ours" | "bare")
    }

    pub(crate) fn label(&self) -> String {
        format!("{}, {}", self.name, self.setting)
    }
}
