//! The targets this project set itself, judged by the medians of the run.

use crate::endpoint::Endpoint;
use crate::measure::Sample;
use crate::options::Kind;
use crate::table::{number, spread};

/// A cell of a table: who, with stages or bare, on what.
#[derive(Clone, Copy)]
struct Cell {
    what: &'static str,
    kind: Kind,
    peer: &'static str,
    all_stages: bool,
    endpoint: Endpoint,
}

/// `ours` against `limit`, which is made from another cell.
struct Target {
    says: &'static str,
    ours: Cell,
    other: Cell,
    rule: Rule,
}

enum Rule {
    /// At most this multiple of the other.
    AtMost(f64),
    /// At least this multiple of the other.
    AtLeast(f64),
    /// At most this much above the other.
    Above(f64),
}

const fn cell(
    kind: Kind,
    what: &'static str,
    peer: &'static str,
    all_stages: bool,
    endpoint: Endpoint,
) -> Cell {
    Cell {
        what,
        kind,
        peer,
        all_stages,
        endpoint,
    }
}

const fn instructions(peer: &'static str, all_stages: bool) -> Cell {
    let what = "user instructions per request";
    cell(
        Kind::Instructions,
        what,
        peer,
        all_stages,
        Endpoint::Plaintext,
    )
}

const fn allocs(peer: &'static str, all_stages: bool) -> Cell {
    cell(
        Kind::Allocs,
        "allocations per request",
        peer,
        all_stages,
        Endpoint::Plaintext,
    )
}

const fn throughput(peer: &'static str, endpoint: Endpoint) -> Cell {
    cell(
        Kind::Throughput,
        "requests per server-CPU-second",
        peer,
        false,
        endpoint,
    )
}

const fn rss(peer: &'static str) -> Cell {
    cell(
        Kind::Rss,
        "bytes per idle connection",
        peer,
        false,
        Endpoint::Plaintext,
    )
}

static TARGETS: [Target; 10] = [
    Target {
        says: "plaintext instructions at most 1.20 × raw hyper",
        ours: instructions("ours-tokio", false),
        other: instructions("hyper", false),
        rule: Rule::AtMost(1.20),
    },
    Target {
        says: "plaintext instructions at most 0.75 × bare axum",
        ours: instructions("ours-tokio", false),
        other: instructions("axum", false),
        rule: Rule::AtMost(0.75),
    },
    Target {
        says: "with all stages at most 0.95 × bare axum",
        ours: instructions("ours-tokio", true),
        other: instructions("axum", false),
        rule: Rule::AtMost(0.95),
    },
    Target {
        says: "stages add no allocation (below 0.05 counts as none)",
        ours: allocs("ours-tokio", true),
        other: allocs("ours-tokio", false),
        // The counters are read around the requests; a stray timer is not a stage's allocation.
        rule: Rule::Above(0.05),
    },
    Target {
        says: "hello at most 6 allocations above raw hyper",
        ours: allocs("ours-tokio", false),
        other: allocs("hyper", false),
        rule: Rule::Above(6.05),
    },
    Target {
        says: "pipelined throughput at least 0.85 × raw hyper",
        ours: throughput("ours-tokio", Endpoint::Pipelined),
        other: throughput("hyper", Endpoint::Pipelined),
        rule: Rule::AtLeast(0.85),
    },
    Target {
        says: "pipelined throughput at least 0.85 × raw hyper (with `pipeline_flush`)",
        ours: throughput("ours-tokio", Endpoint::Pipelined),
        other: throughput("hyper-flush", Endpoint::Pipelined),
        rule: Rule::AtLeast(0.85),
    },
    Target {
        says: "async-std at least 0.75 × tokio in requests per CPU-second",
        ours: throughput("ours-async-std", Endpoint::Plaintext),
        other: throughput("ours-tokio", Endpoint::Plaintext),
        rule: Rule::AtLeast(0.75),
    },
    Target {
        says: "smol at least 0.75 × tokio in requests per CPU-second",
        ours: throughput("ours-smol", Endpoint::Plaintext),
        other: throughput("ours-tokio", Endpoint::Plaintext),
        rule: Rule::AtLeast(0.75),
    },
    Target {
        says: "memory per idle connection at most 1.1 × raw hyper",
        ours: rss("ours-tokio"),
        other: rss("hyper"),
        rule: Rule::AtMost(1.1),
    },
];

/// A table of the targets both sides of which were measured, `None` when there are none.
pub(super) fn verdicts(samples: &[Sample]) -> Option<String> {
    let rows: Vec<String> = TARGETS
        .iter()
        .filter_map(|target| verdict(target, samples))
        .collect();
    if rows.is_empty() {
        return None;
    }
    Some(format!(
        "| target | ours | other | verdict |\n|---|---:|---:|---|\n{}",
        rows.concat()
    ))
}

fn verdict(target: &Target, samples: &[Sample]) -> Option<String> {
    let (ours, other) = (
        median(target.ours, samples)?,
        median(target.other, samples)?,
    );
    let met = match target.rule {
        Rule::AtMost(factor) => ours <= factor * other,
        Rule::AtLeast(factor) => ours >= factor * other,
        Rule::Above(much) => ours <= other + much,
    };
    let word = if met { "met" } else { "**missed**" };
    let ratio = ours / other;
    Some(format!(
        "| {} | {} | {} | {word} ({ratio:.2} ×) |\n",
        target.says,
        number(ours),
        number(other)
    ))
}

fn median(cell: Cell, samples: &[Sample]) -> Option<f64> {
    let sample = samples.iter().find(|sample| {
        sample.kind == cell.kind
            && sample.what == cell.what
            && sample.variant.peer.name == cell.peer
            && sample.variant.all_stages == cell.all_stages
            && sample.endpoint == cell.endpoint
    })?;
    spread(&sample.values).map(|spread| spread.median)
}
