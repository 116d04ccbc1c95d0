//! User instructions per request, by callgrind: two runs that differ in the number of requests
//! only, so that start-up and connection set-up cancel out.

use std::time::Duration;

use super::{Sample, cells, progress};
use crate::Outcome;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::options::{Kind, Options};
use crate::peer::Variant;
use crate::server::Start;

const FEW: usize = 512;
const MANY: usize = 2560;
const CALLGRIND: [&str; 3] = [
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
];

pub(super) fn run(options: &Options, variants: &[Variant]) -> Outcome<Vec<Sample>> {
    cells(options, variants)
        .map(|(endpoint, variant)| {
            progress("instructions", endpoint, variant);
            let few = instructions(variant, endpoint, FEW)?;
            let many = instructions(variant, endpoint, MANY)?;
            let what = "user instructions per request";
            let values = vec![(many - few) / (MANY - FEW) as f64];
            Ok(Sample {
                kind: Kind::Instructions,
                what,
                variant,
                endpoint,
                values,
            })
        })
        .collect()
}

fn instructions(variant: Variant, endpoint: Endpoint, count: usize) -> Outcome<f64> {
    let start = Start {
        under: &CALLGRIND,
        ..Start::plain(variant)
    };
    let mut server = start
        .start()
        .map_err(|e| format!("{e}\n(callgrind comes with `apt-get install valgrind`)"))?;
    Client::connect(server.at, Duration::from_secs(10))?.exchange(endpoint, count)?;
    let said = server.stop();
    said.lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, number)| number.trim().parse().ok())
        .ok_or_else(|| format!("callgrind gave no total: {said}"))
}
