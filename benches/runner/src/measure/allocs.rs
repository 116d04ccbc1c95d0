//! Allocations and allocated bytes per request, from the counting allocator's side port.

use std::time::Duration;

use super::{Sample, cells, progress};
use crate::Outcome;
use crate::build::Flavour;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::options::{Kind, Options};
use crate::peer::Variant;
use crate::server::Start;

const WARM_UP: usize = 320;
const REQUESTS: usize = 1600;

pub(super) fn run(options: &Options, variants: &[Variant]) -> Outcome<Vec<Sample>> {
    let mut samples = Vec::new();
    for (endpoint, variant) in cells(options, variants) {
        progress("allocs", endpoint, variant);
        let [calls, bytes] = measure(variant, endpoint)?;
        for (what, value) in [
            ("allocations per request", calls),
            ("bytes per request", bytes),
        ] {
            let values = vec![value];
            samples.push(Sample {
                kind: Kind::Allocs,
                what,
                variant,
                endpoint,
                values,
            });
        }
    }
    Ok(samples)
}

fn measure(variant: Variant, endpoint: Endpoint) -> Outcome<[f64; 2]> {
    let server = Start {
        flavour: Flavour::Counted,
        ..Start::plain(variant)
    }
    .start()?;
    let mut client = Client::connect(server.at, Duration::from_secs(5))?;
    client.exchange(endpoint, WARM_UP)?;
    let before = server.counts()?;
    client.exchange(endpoint, REQUESTS)?;
    let after = server.counts()?;
    Ok([0, 1].map(|i| (after[i] - before[i]) / REQUESTS as f64))
}
