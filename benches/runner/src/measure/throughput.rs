//! Requests per second of server processor time, peers alternating within every round.

use std::time::Duration;

use super::{Sample, cells, progress};
use crate::Outcome;
use crate::endpoint::Endpoint;
use crate::load::Load;
use crate::options::{Kind, Options};
use crate::peer::Variant;
use crate::server::Start;

const WARM_UP: Duration = Duration::from_millis(200);

pub(super) fn run(options: &Options, variants: &[Variant]) -> Outcome<Vec<Sample>> {
    let mut samples: Vec<Sample> = cells(options, variants)
        .map(|(endpoint, variant)| Sample {
            kind: Kind::Throughput,
            what: "requests per server-CPU-second",
            variant,
            endpoint,
            values: Vec::new(),
        })
        .collect();
    for round in 1..=options.rounds {
        eprintln!("throughput: round {round} of {}", options.rounds);
        for sample in &mut samples {
            progress("throughput", sample.endpoint, sample.variant);
            let value = measure(sample.variant, sample.endpoint, options.seconds)
                .map_err(|e| format!("{}: {e}", sample.variant.label()))?;
            sample.values.push(value);
        }
    }
    Ok(samples)
}

fn measure(variant: Variant, endpoint: Endpoint, seconds: f64) -> Outcome<f64> {
    let server = Start::plain(variant).start()?;
    let mut load = Load::connect(server.at, endpoint)?;
    load.run(WARM_UP)?;
    let before = server.cpu_time()?;
    let answers = load.run(Duration::from_secs_f64(seconds))?;
    let spent = server.cpu_time()? - before;
    Ok(answers as f64 / spent.as_secs_f64())
}
