//! The measurements, one module each, and what they hand to the report.

mod allocs;
mod check;
mod instructions;
mod rss;
mod syscalls;
mod throughput;

use crate::Outcome;
use crate::build::{self, Flavour};
use crate::endpoint::Endpoint;
use crate::options::{Kind, Options};
use crate::peer::Variant;

/// One measured cell: several samples of a variant on an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) kind: Kind,
    /// What is counted, when a kind counts several things.
    pub(crate) what: &'static str,
    pub(crate) variant: Variant,
    pub(crate) endpoint: Endpoint,
    pub(crate) values: Vec<f64>,
}

/// Builds what is needed and runs the chosen measurements in order.
pub(crate) fn all(options: &Options) -> Outcome<Vec<Sample>> {
    let peers = build::present(&options.peers)?;
    if options.build {
        for (at, peer) in peers.iter().enumerate() {
            if peers[..at]
                .iter()
                .any(|earlier| earlier.package == peer.package)
            {
                continue;
            }
            if options
                .kinds
                .iter()
                .any(|kind| matches!(kind, Kind::Allocs | Kind::Check))
            {
                build::build(peer, Flavour::Counted)?;
            }
            build::build(peer, Flavour::Plain)?;
        }
    }
    let variants = crate::peer::variants(&peers);
    let mut samples = Vec::new();
    for kind in &options.kinds {
        samples.extend(match kind {
            Kind::Check => check::run(&variants)?,
            Kind::Throughput => throughput::run(options, &variants)?,
            Kind::Instructions => instructions::run(options, &variants)?,
            Kind::Allocs => allocs::run(options, &variants)?,
            Kind::Syscalls => syscalls::run(options, &variants)?,
            Kind::Rss => rss::run(options, &variants)?,
        });
    }
    Ok(samples)
}

/// The cells to fill: every variant on every endpoint, as far as the pair makes sense.
fn cells<'a>(
    options: &'a Options,
    variants: &'a [Variant],
) -> impl Iterator<Item = (Endpoint, Variant)> + 'a {
    let pairs = options
        .endpoints
        .iter()
        .flat_map(|&e| variants.iter().map(move |&v| (e, v)));
    pairs.filter(|(endpoint, variant)| {
        !variant.peer.pipelined_only || *endpoint == Endpoint::Pipelined
    })
}

/// A name for progress lines.
fn progress(kind: &str, endpoint: Endpoint, variant: Variant) {
    eprintln!("{kind}: {} on {}", variant.label(), endpoint.name());
}
