//! System calls per request, by `strace -c`: two runs that differ in the number of requests only.

use std::time::Duration;

use super::{Sample, cells, progress};
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::options::{Kind, Options};
use crate::peer::Variant;
use crate::server::Start;
use crate::{Outcome, build};

const FEW: usize = 160;
const MANY: usize = 1760;

pub(super) fn run(options: &Options, variants: &[Variant]) -> Outcome<Vec<Sample>> {
    cells(options, variants)
        .map(|(endpoint, variant)| {
            progress("syscalls", endpoint, variant);
            let few = calls(variant, endpoint, FEW)?;
            let many = calls(variant, endpoint, MANY)?;
            let what = "system calls per request";
            let values = vec![(many - few) / (MANY - FEW) as f64];
            Ok(Sample {
                kind: Kind::Syscalls,
                what,
                variant,
                endpoint,
                values,
            })
        })
        .collect()
}

fn calls(variant: Variant, endpoint: Endpoint, count: usize) -> Outcome<f64> {
    let file = build::root().join("target/servers/strace.txt");
    let file = file.to_str().ok_or("the path of target/ is not text")?;
    // `-D` keeps the server our own child, so that it is the one to be stopped.
    let under = ["strace", "-D", "-f", "-c", "-o", file];
    let mut server = Start {
        under: &under,
        ..Start::plain(variant)
    }
    .start()
    .map_err(|e| format!("{e}\n(strace comes with `apt-get install strace`)"))?;
    Client::connect(server.at, Duration::from_secs(10))?.exchange(endpoint, count)?;
    // Returns once strace has closed stderr too, so the table is complete.
    server.stop();
    let table = std::fs::read_to_string(file).map_err(|e| format!("strace's table: {e}"))?;
    total(&table).ok_or_else(|| format!("strace gave no total: {table}"))
}

/// The `calls` column of the last line: `100.00 0.01 3 1234 [errors] total`.
fn total(table: &str) -> Option<f64> {
    let line = table
        .lines()
        .rev()
        .find(|line| line.trim_end().ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_total_is_found_with_and_without_errors() {
        assert_eq!(
            super::total("100.00    0.01   3   1234   56 total\n"),
            Some(1234.0)
        );
        assert_eq!(
            super::total("100.00    0.01   3   1234      total\n"),
            Some(1234.0)
        );
    }
}
