//! Prints what the suites found as Markdown tables, a row per guarantee: adapter suites with a column per
//! runtime, suites of job stores and of brokers with a column per backend and runtime.
//!
//! `matrix [DIRECTORY [NAME…]]`: by default `conformance` in Cargo's target directory, and the runtimes, stores
//! and brokers that Tideway brings. Exits with 1 if a guarantee is broken on one of them, or was not tried.
//! One that was skipped, since the store does not declare it, is no fault.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use tideway_conformance::suite::results::{Line, Verdict, read};
use tideway_conformance::{jobs, pubsub, suite};

const RUNTIMES: [&str; 4] = ["tokio_multi", "tokio_current", "async_std", "smol"];
const STORES: [&str; 19] = [
    "memory_tokio",
    "memory_tokio_multi",
    "memory_async_std",
    "memory_smol",
    "memory_waiting",
    "sqlite_tokio",
    "sqlite_tokio_multi",
    "sqlite_async_std",
    "sqlite_smol",
    "postgres_tokio",
    "postgres_async_std",
    "postgres_smol",
    "postgres_pgbouncer",
    "postgres_bad_link",
    "redis_tokio",
    "redis_async_std",
    "redis_smol",
    "redis_cluster",
    "redis_bad_link",
];
const BROKERS: [&str; 8] = [
    "memory_tokio",
    "memory_async_std",
    "memory_smol",
    "redis_tokio",
    "redis_async_std",
    "redis_smol",
    "redis_bad_link",
    "redis_cluster",
];

/// Results by suite, each by case.
type Results = Vec<(String, BTreeMap<String, Line>)>;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let directory = args.next().map_or_else(default_directory, PathBuf::from);
    let named: Vec<String> = args.collect();
    let file = |name: &str| directory.join(format!("{name}.tsv"));
    let there = |under: &str, all: &[&str]| -> Vec<String> {
        if named.is_empty() {
            return all.iter().map(|name| (*name).to_owned()).collect();
        }
        let is = |name: &&String| file(&format!("{under}{name}")).exists();
        named.iter().filter(is).cloned().collect()
    };
    let (stores, brokers) = (there("jobs/", &STORES), there("pubsub/", &BROKERS));
    let runtimes: Vec<String> = if named.is_empty() {
        RUNTIMES.map(str::to_owned).into()
    } else {
        // One that nothing is known of is shown as a runtime that was not tried.
        let known = |name: &String| stores.contains(name) || brokers.contains(name);
        named.iter().filter(|name| !known(name)).cloned().collect()
    };
    let results = |names: Vec<String>, under: &str| -> Results {
        let read = |name: String| {
            let lines = read(&file(&format!("{under}{name}")));
            (name, lines)
        };
        names.into_iter().map(read).collect()
    };
    let stored: Vec<_> = jobs::CASES
        .iter()
        .map(|case| (case.chapter, case.name))
        .collect();
    let carried: Vec<_> = pubsub::CASES
        .iter()
        .map(|case| (case.chapter, case.name))
        .collect();
    let wrong = print("runtimes", suite::CASES, &results(runtimes, ""))
        + print("stores", &stored, &results(stores, "jobs/"))
        + print("brokers", &carried, &results(brokers, "pubsub/"));
    if wrong == 0 {
        return ExitCode::SUCCESS;
    }
    println!(
        "\n{wrong} not kept or not tried (results in {}).",
        directory.display()
    );
    println!(
        "Run `cargo test -p tideway-conformance` first; a suite writes down every case it runs."
    );
    ExitCode::FAILURE
}

fn default_directory() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    PathBuf::from(target).join("conformance")
}

/// Prints a table; returns how many cells are wrong.
fn print(what: &str, cases: &[(&str, &str)], results: &Results) -> usize {
    if results.is_empty() {
        return 0;
    }
    let names: Vec<&str> = results.iter().map(|(name, _)| name.as_str()).collect();
    println!("| guarantee | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    let mut wrong = 0;
    let mut chapter = "";
    for (module, case) in cases {
        if *module != chapter {
            chapter = module;
            println!("| **{chapter}** |{}", " |".repeat(names.len()));
        }
        let cells = results
            .iter()
            .map(|(_, lines)| cell(lines.get(*case), &mut wrong));
        let cells: Vec<String> = cells.collect();
        println!("| {} | {} |", case.replace('_', " "), cells.join(" | "));
    }
    let verdict = if wrong == 0 {
        "all kept"
    } else {
        "not all kept"
    };
    println!(
        "\n{} guarantees on {} {what}: {verdict}.\n",
        cases.len(),
        names.len()
    );
    wrong
}

fn cell(line: Option<&Line>, wrong: &mut usize) -> String {
    let Some(Line { verdict, note }) = line else {
        *wrong += 1;
        return "**not tried**".into();
    };
    let text = match verdict {
        Verdict::Kept(took) => format!("{} ms", took.as_millis()),
        Verdict::Skipped => "skipped".into(),
        Verdict::Broken(_) => {
            *wrong += 1;
            "**broken**".into()
        }
        Verdict::Died => {
            *wrong += 1;
            "**died**".into()
        }
    };
    if note.is_empty() {
        text
    } else {
        format!("{text}: {note}")
    }
}
