//! The job queues and the setting that was best for each.

/// A queue on a store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) store: &'static str,
    /// The package and the binary of the same name.
    pub(crate) package: &'static str,
    /// Further arguments.
    pub(crate) arguments: &'static [&'static str],
    /// No run has more jobs than this.
    pub(crate) most: usize,
}

/// Of those tried (1, 4, 10, 100, 1000, 4000 at once; 10, 100, 1000 in a batch; one and two threads). A thread
/// of the runtime is enough for each: a handler that does nothing has nothing to do beside.
const fn peer(
    name: &'static str,
    store: &'static str,
    package: &'static str,
    arguments: &'static [&'static str],
) -> Peer {
    Peer {
        name,
        store,
        package,
        arguments,
        most: usize::MAX,
    }
}

/// What apalis does with more SQLite jobs than this takes longer than anybody waits.
const APALIS_MOST: usize = 2000;

/// All of them, in the order of the tables.
pub(crate) static PEERS: [Peer; 10] = [
    peer("ours", "memory", "jobs-ours", &["--slots", "64"]),
    peer("apalis", "memory", "jobs-apalis", &["--slots", "1"]),
    peer("published", "memory", "jobs-published", &["--slots", "100"]),
    peer("ours", "sqlite-full", "jobs-ours", &["--slots", "1000"]),
    peer("bare", "sqlite-full", "jobs-bare", &[]),
    Peer {
        most: APALIS_MOST,
        ..peer(
            "apalis",
            "sqlite-full",
            "jobs-apalis",
            &["--slots", "100", "--batch", "100"],
        )
    },
    peer("ours", "sqlite-normal", "jobs-ours", &["--slots", "1000"]),
    peer("bare", "sqlite-normal", "jobs-bare", &[]),
    Peer {
        most: APALIS_MOST,
        ..peer(
            "apalis",
            "sqlite-normal",
            "jobs-apalis",
            &["--slots", "100", "--batch", "100"],
        )
    },
    Peer {
        most: APALIS_MOST,
        ..peer(
            "apalis",
            "sqlite-off",
            "jobs-apalis",
            &["--slots", "100", "--batch", "100"],
        )
    },
];

/// The packages of `peers`, each once.
pub(crate) fn packages(peers: &[&'static Peer]) -> Vec<&'static str> {
    let mut packages: Vec<_> = peers.iter().map(|peer| peer.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}
