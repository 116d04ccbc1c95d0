//! Tables and verdicts of the job queues.

use serde_json::Value;

use super::options::Options;
use super::peer::Peer;
use super::run::Runs;
use crate::table::{number, spread};
use crate::{machine, report};

/// Writes Markdown to standard output.
pub(crate) fn print(
    options: &Options,
    core: &[Value],
    runs: &[Runs],
    counted: &[Runs],
    instructions: &[(&'static Peer, f64)],
) {
    println!("## Machine and versions\n");
    print!("{}", machine::description());
    println!("- load at the end: {}", load());
    let names = [
        "apalis",
        "apalis-sqlite",
        "libsqlite3-sys",
        "rusqlite",
        "sqlx",
        "tideway",
        "tokio",
    ];
    println!("- queues: {}\n", report::versions(&names));
    println!(
        "{} rounds in turns; minimum – **median** – maximum.\n",
        options.rounds
    );
    print_core(core);
    for (title, keys) in [
        (
            "jobs per processor second",
            ["enqueue_per_cpu_s", "execute_per_cpu_s", "total_per_cpu_s"],
        ),
        (
            "jobs per second",
            ["enqueue_per_s", "execute_per_s", "total_per_s"],
        ),
    ] {
        println!(
            "### {title}\n\n| queue | jobs | enqueue | execute | both |\n|---|---:|---:|---:|---:|"
        );
        for one in runs {
            print!(
                "| {} | {} |",
                label(one.peer),
                number(options.jobs(one.peer) as f64)
            );
            for key in keys {
                print!(" {} |", cell(&one.numbers(key)));
            }
            println!();
        }
        println!();
    }
    print_counts(counted, instructions);
    println!("### targets\n\n| target | ours | other | verdict |\n|---|---:|---:|---|");
    for line in targets(core, runs) {
        println!("{line}");
    }
}

fn print_core(core: &[Value]) {
    println!(
        "### the core alone\n\n| part | transitions per processor second | ns each | allocations each |\n|---|---:|---:|---:|"
    );
    for line in core {
        let get = |key: &str| line.get(key).and_then(Value::as_f64);
        if let (Some(rate), Some(ns), Some(allocations)) =
            (get("transitions_per_cpu_s"), get("ns"), get("allocations"))
        {
            let part = line["part"].as_str().unwrap_or_default();
            println!("| {part} | {} | {ns:.0} | {allocations:.3} |", number(rate));
        }
    }
    println!();
}

fn print_counts(counted: &[Runs], instructions: &[(&'static Peer, f64)]) {
    println!(
        "### per job of ours\n\n| queue | store calls, enqueue | store calls, execute | allocations, enqueue | \
         allocations, execute |\n|---|---:|---:|---:|---:|"
    );
    for one in counted {
        print!("| {} |", label(one.peer));
        for (key, digits) in [
            ("enqueue_calls", 4),
            ("execute_calls", 4),
            ("enqueue_allocations", 1),
            ("execute_allocations", 1),
        ] {
            print!(
                " {:.digits$} |",
                one.numbers(key).first().copied().unwrap_or_default()
            );
        }
        println!();
    }
    println!();
    if !instructions.is_empty() {
        println!("### user instructions per job, both phases\n\n| queue | |\n|---|---:|");
        for (peer, count) in instructions {
            println!("| {} | {} |", label(peer), number(*count));
        }
        println!();
    }
}

fn targets(core: &[Value], runs: &[Runs]) -> Vec<String> {
    let part = |part: &str, key: &str| {
        let line = core.iter().find(|line| line["part"] == part)?;
        line.get(key)?.as_f64()
    };
    let both = |name: &str, store: &str| {
        let mut found = runs
            .iter()
            .filter(|one| one.peer.name == name && one.peer.store == store);
        Some(spread(&found.next()?.numbers("total_per_cpu_s"))?.median)
    };
    let mut lines = Vec::new();
    let mut verdict = |target: String, ours: f64, other: f64, met: bool| {
        let verdict = if met { "met" } else { "**missed**" };
        let times = match other {
            0.0 => String::new(),
            other => format!(" ({:.2} ×)", ours / other),
        };
        lines.push(format!(
            "| {target} | {} | {} | {verdict}{times} |",
            number(ours),
            number(other)
        ));
    };
    for name in ["step", "pool"] {
        if let Some(rate) = part(name, "transitions_per_cpu_s") {
            let target = format!("core, {name}: at least 2 M transitions/s");
            verdict(target, rate, 2e6, rate >= 2e6);
        }
        if let Some(allocations) = part(name, "allocations") {
            let target = format!("core, {name}: no allocation (below 0.05 counts as none)");
            verdict(target, allocations, 0.0, allocations < 0.05);
        }
    }
    for (name, store, factor) in [
        ("apalis", "sqlite-full", 3.0),
        ("apalis", "sqlite-normal", 3.0),
        ("bare", "sqlite-full", 0.85),
        ("bare", "sqlite-normal", 0.85),
        ("apalis", "memory", 1.5),
        ("published", "memory", 1.5),
    ] {
        if let (Some(ours), Some(other)) = (both("ours", store), both(name, store)) {
            let target = format!("{store}: at least {factor} × {name}, jobs per processor second");
            verdict(target, ours, other, ours >= factor * other);
        }
    }
    if let Some(calls) = part("idle", "calls_per_s") {
        let target = "an idle worker: at most 0.5 store calls/s".to_owned();
        verdict(target, calls, 0.5, calls <= 0.5);
    }
    lines
}

fn cell(values: &[f64]) -> String {
    spread(values).map_or_else(String::new, |spread| {
        format!(
            "{} – **{}** – {}",
            number(spread.min),
            number(spread.median),
            number(spread.max)
        )
    })
}

fn label(peer: &Peer) -> String {
    format!("{}, {}", peer.name, peer.store)
}

/// How busy the machine was besides.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}
