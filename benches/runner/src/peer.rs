//! The peers: how each is called, which package builds it, which variants make sense.

/// A server under test.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The name in reports and on the command line.
    pub(crate) name: &'static str,
    /// The package and the binary of the same name.
    pub(crate) package: &'static str,
    /// What the server calls itself when it announces its address.
    pub(crate) announces: &'static str,
    /// Further arguments.
    pub(crate) arguments: &'static [&'static str],
    /// Whether it has stages to switch on.
    pub(crate) batteries: bool,
    /// Whether a request id it generates reaches the client. In the published `tideway` 0.7 the
    /// propagating layer sits inside the one that sets the id, so it never does.
    pub(crate) answers_id: bool,
    /// Whether it exists for the pipelined endpoint alone.
    pub(crate) pipelined_only: bool,
}

pub(crate) const fn peer(name: &'static str, package: &'static str) -> Peer {
    Peer {
        name,
        package,
        announces: name,
        arguments: &[],
        batteries: true,
        answers_id: true,
        pipelined_only: false,
    }
}

/// All of them, in the order of the tables.
pub(crate) static PEERS: [Peer; 9] = [
    Peer {
        batteries: false,
        ..peer("hyper", "peer-hyper")
    },
    Peer {
        announces: "hyper",
        arguments: &["--pipeline-flush", "on"],
        batteries: false,
        pipelined_only: true,
        ..peer("hyper-flush", "peer-hyper")
    },
    peer("axum", "peer-axum"),
    peer("actix", "peer-actix"),
    peer("ntex", "peer-ntex"),
    Peer {
        answers_id: false,
        ..peer("published", "peer-published")
    },
    peer("ours-tokio", "peer-ours-tokio"),
    peer("ours-async-std", "peer-ours-async-std"),
    peer("ours-smol", "peer-ours-smol"),
];

/// A peer with its stages off or on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) peer: &'static Peer,
    pub(crate) all_stages: bool,
}

impl Variant {
    /// The argument of `--stages`.
    pub(crate) fn stages(self) -> &'static str {
        if self.all_stages { "all" } else { "none" }
    }

    /// The label in reports.
    pub(crate) fn label(self) -> String {
        let suffix = if self.all_stages { " + stages" } else { "" };
        format!("{}{suffix}", self.peer.name)
    }
}

/// The variants of the chosen peers, bare ones first.
pub(crate) fn variants(peers: &[&'static Peer]) -> Vec<Variant> {
    [false, true]
        .into_iter()
        .flat_map(|all_stages| {
            let kept = peers
                .iter()
                .filter(move |peer| peer.batteries || !all_stages);
            kept.map(move |&peer| Variant { peer, all_stages })
        })
        .collect()
}
