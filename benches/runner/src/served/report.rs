//! Tables of the queues on a server.

use super::options::Options;
use super::run::{self, Results, Runs, Which};
use super::{Store, targets};
use crate::table::{number, spread};
use crate::{machine, report};

/// Writes Markdown to standard output.
pub(crate) fn print(options: &Options, all: &[Results], skipped: &[String]) {
    println!("## Machine and versions\n");
    print!("{}", machine::description());
    let names = match options.store {
        Store::Redis => &[
            "apalis",
            "apalis-redis",
            "redis",
            "rusty-sidekiq",
            "tideway",
            "tokio",
        ][..],
        Store::Postgres => &[
            "apalis",
            "apalis-postgres",
            "graphile_worker",
            "sqlx",
            "tokio",
            "tokio-postgres",
        ],
    };
    println!(
        "- queues: {}, {}",
        report::versions(names),
        apart(options.store)
    );
    for reason in skipped {
        println!("- **skipped**: {reason}");
    }
    println!(
        "- {} rounds in turns; minimum – **median** – maximum; 1 KiB of JSON, a handler that does nothing",
        options.rounds
    );
    for results in all {
        println!("\n## {}: {}\n", results.version, results.keeping.words());
        for failure in &results.failures {
            println!("**FAILED**: {failure}\n");
        }
        one(options, results);
    }
}

/// The versions of those that are not in the workspace.
fn apart(store: Store) -> &'static str {
    match store {
        Store::Redis => "bullmq 6.7.0 (ioredis 5.11.1)",
        Store::Postgres => "fang 0.11.0 (sqlx 0.8)",
    }
}

fn one(options: &Options, results: &Results) {
    let batch = "jobs in batches, per second";
    table(
        results,
        Which::Batch,
        batch,
        Some(options),
        &[
            ("enqueue", "enqueue_per_s"),
            ("execute", "execute_per_s"),
            ("both", "both_per_s"),
        ],
    );
    let cpu = "µs of processor time per job, client and server";
    table(
        results,
        Which::Batch,
        cpu,
        None,
        &[
            ("enqueue: client", "enqueue_client_us"),
            ("server", "enqueue_server_us"),
            ("execute: client", "execute_client_us"),
            ("server", "execute_server_us"),
            ("both, all", "both_cpu_us"),
        ],
    );
    let asked =
        "per job: bytes both ways, commands or transactions, calls of our store, bytes of memory";
    table(
        results,
        Which::Batch,
        asked,
        None,
        &[
            ("bytes, enqueue", "enqueue_bytes"),
            ("bytes, execute", "execute_bytes"),
            ("commands, enqueue", "enqueue_commands"),
            ("commands, execute", "execute_commands"),
            ("transactions", "transactions"),
            ("calls, enqueue", "enqueue_calls"),
            ("calls, execute", "execute_calls"),
            ("memory", "memory"),
        ],
    );
    let single = "jobs enqueued one a call, per second";
    table(
        results,
        Which::Single,
        single,
        None,
        &[
            ("one caller", "one_per_s"),
            ("50 callers", "many_per_s"),
            ("µs of processor time, 50 callers", "many_cpu_us"),
        ],
    );
    for (which, title) in [
        (Which::Idle, "pickup in ms, a job every 50–100 ms"),
        (Which::Steady, "pickup in ms, 300 jobs/s"),
    ] {
        table(
            results,
            which,
            title,
            None,
            &[
                ("p50", "pickup_p50_ms"),
                ("p99", "pickup_p99_ms"),
                ("max", "pickup_max_ms"),
                ("p50 since the call", "since_call_p50_ms"),
                ("p99 since the call", "since_call_p99_ms"),
            ],
        );
    }
    let long = format!("claim in ms, {} jobs wait", number(options.backlog as f64));
    let short = format!("claim in ms, {} jobs wait", number(run::SHORT as f64));
    for (which, title) in [(Which::Short, &short), (Which::Long, &long)] {
        table(
            results,
            which,
            title,
            None,
            &[
                ("p50", "claim_p50_ms"),
                ("p99", "claim_p99_ms"),
                ("max", "claim_max_ms"),
            ],
        );
    }
    twice(results);
    println!("### targets\n\n| target | ours | other | verdict |\n|---|---:|---:|---|");
    for line in targets::lines(options, results) {
        println!("{line}");
    }
}

/// A row per program that ran `which`, with how many jobs it had if `jobs`; columns that none has are left out.
fn table(
    results: &Results,
    which: Which,
    title: &str,
    jobs: Option<&Options>,
    columns: &[(&str, &str)],
) {
    let rows = results.runs.iter();
    let rows: Vec<&Runs> = rows.filter(|runs| runs.which == which).collect();
    let has = |key: &str| rows.iter().any(|runs| !runs.numbers(key).is_empty());
    let columns: Vec<_> = columns.iter().filter(|(_, key)| has(key)).collect();
    if columns.is_empty() {
        return;
    }
    print!("### {title}\n\n| queue |");
    let heads = jobs.iter().map(|_| "jobs");
    for head in heads.chain(columns.iter().map(|(head, _)| *head)) {
        print!(" {head} |");
    }
    let count = columns.len() + usize::from(jobs.is_some());
    println!("\n|---|{}", "---:|".repeat(count));
    for runs in rows {
        print!("| {} |", runs.peer.label());
        if let Some(options) = jobs {
            print!(" {} |", number(run::jobs(options, runs.peer) as f64));
        }
        for (_, key) in &columns {
            print!(" {} |", cell(&runs.numbers(key)));
        }
        println!();
    }
    println!();
}

/// Jobs that ran more often than they were enqueued: those of queues that are wrong.
fn twice(results: &Results) {
    for runs in &results.runs {
        let more: f64 = runs.numbers("twice").iter().sum();
        if more > 0.0 {
            println!(
                "**{}** ran jobs it had run before: {} times in {} runs ({:?}).\n",
                runs.peer.label(),
                number(more),
                runs.lines.len(),
                runs.which,
            );
        }
    }
}

fn cell(values: &[f64]) -> String {
    match spread(values) {
        None => String::new(),
        Some(spread) if spread.min == spread.max => number(spread.median),
        Some(spread) => format!(
            "{} – **{}** – {}",
            number(spread.min),
            number(spread.median),
            number(spread.max)
        ),
    }
}
