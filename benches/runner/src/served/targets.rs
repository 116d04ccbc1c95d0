//! What ours shall reach, and whether it did.

use super::Store;
use super::options::Options;
use super::run::{Results, Runs, Which};
use crate::table::{number, spread};

/// Bytes of Redis per job of 1 KiB.
const MEMORY: f64 = 2200.0;
/// Milliseconds from a job's acceptance to its start.
const PICKUP: [(&str, f64); 2] = [("p50", 1.5), ("p99", 5.0)];

/// Whether the number of ours shall be large or small.
#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast,
    AtMost,
}

/// A row of the table per target whose numbers are there.
pub(crate) fn lines(options: &Options, results: &Results) -> Vec<String> {
    let mut lines = Lines {
        results,
        lines: Vec::new(),
    };
    let (faster, cheaper, rate) = match options.store {
        Store::Redis => (5.0, 0.3, 40_000.0),
        Store::Postgres => (4.0, 0.4, 20_000.0),
    };
    let best = "1000 slots";
    let mut settings = vec!["50 slots", best];
    if options.store == Store::Postgres {
        settings.push("1000 slots, deleted");
    }
    for setting in settings {
        let bare = setting.replace("slots", "a call");
        let ours = lines.of("ours", setting, Which::Batch, "both_per_s");
        let other = lines.of("bare", &bare, Which::Batch, "both_per_s");
        let target = format!("{setting}: end to end, at least 0.85 × bare, jobs/s");
        lines.add(&target, ours, Bound::AtLeast, 0.85, other);
        let ours = lines.of("ours", setting, Which::Batch, "execute_per_s");
        let other = lines.foreign("execute_per_s", f64::max);
        let target = format!("{setting}: execute, at least {faster} × the fastest other, jobs/s");
        lines.add(&target, ours, Bound::AtLeast, faster, other);
        let ours = lines.of("ours", setting, Which::Batch, "execute_cpu_us");
        let other = lines.foreign("execute_cpu_us", f64::min);
        let target =
            format!("{setting}: execute, at most {cheaper} × the cheapest other, µs per job");
        lines.add(&target, ours, Bound::AtMost, cheaper, other);
    }
    let ours = lines.of("ours", best, Which::Batch, "execute_per_s");
    lines.add(
        &format!("{best}: execute, at least {} jobs/s", number(rate)),
        ours,
        Bound::AtLeast,
        1.0,
        Some(rate),
    );
    let ours = lines.of("ours", best, Which::Batch, "enqueue_per_s");
    let other = lines.of("apalis", "50 slots", Which::Batch, "enqueue_per_s");
    lines.add(
        "enqueue in batches, at least 1.5 × apalis, jobs/s",
        ours,
        Bound::AtLeast,
        1.5,
        other,
    );
    for (which, when) in [(Which::Idle, "idle"), (Which::Steady, "300 jobs/s")] {
        for (part, most) in PICKUP {
            let ours = lines.of("ours", "50 slots", which, &format!("pickup_{part}_ms"));
            let target = format!("pickup, {when}: {part} at most {most} ms");
            lines.add(&target, ours, Bound::AtMost, 1.0, Some(most));
        }
    }
    for (part, factor) in [("p50", 2.0), ("p99", 3.0)] {
        let key = format!("claim_{part}_ms");
        let ours = lines.of("ours", "50 slots", Which::Long, &key);
        let other = lines.of("ours", "50 slots", Which::Short, &key);
        let target = format!("claim, {part}: at most {factor} × that of a short backlog, ms");
        lines.add(&target, ours, Bound::AtMost, factor, other);
    }
    if options.store == Store::Redis {
        let ours = lines.of("ours", "50 slots", Which::Batch, "memory");
        let target = format!("memory: at most {} bytes per job", number(MEMORY));
        lines.add(&target, ours, Bound::AtMost, 1.0, Some(MEMORY));
    }
    lines.lines
}

struct Lines<'a> {
    results: &'a Results,
    lines: Vec<String>,
}

impl Lines<'_> {
    /// The median of a number of one program.
    fn of(&self, name: &str, setting: &str, which: Which, key: &str) -> Option<f64> {
        let is = |runs: &&Runs| {
            runs.which == which && runs.peer.name == name && runs.peer.setting == setting
        };
        let runs = self.results.runs.iter().find(is)?;
        Some(spread(&runs.numbers(key))?.median)
    }

    /// The best median of the others' programs.
    fn foreign(&self, key: &str, better: fn(f64, f64) -> f64) -> Option<f64> {
        let runs = self.results.runs.iter();
        let runs = runs.filter(|runs| runs.which == Which::Batch && runs.peer.foreign());
        let medians = runs.filter_map(|runs| Some(spread(&runs.numbers(key))?.median));
        medians.reduce(better)
    }

    fn add(
        &mut self,
        target: &str,
        ours: Option<f64>,
        bound: Bound,
        factor: f64,
        other: Option<f64>,
    ) {
        if let (Some(ours), Some(other)) = (ours, other) {
            let verdict = verdict(ours, bound, factor * other);
            self.lines.push(format!(
                "| {target} | {} | {} | {verdict} ({:.2} ×) |",
                number(ours),
                number(other),
                ours / other
            ));
        }
    }
}

fn verdict(ours: f64, bound: Bound, limit: f64) -> &'static str {
    let met = match bound {
        Bound::AtLeast => ours >= limit,
        Bound::AtMost => ours <= limit,
    };
    if met { "met" } else { "**missed**" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_has_a_side() {
        assert_eq!(verdict(5.0, Bound::AtLeast, 5.0), "met");
        assert_eq!(verdict(4.9, Bound::AtLeast, 5.0), "**missed**");
        assert_eq!(verdict(5.1, Bound::AtMost, 5.0), "**missed**");
    }
}
