//! Prints what the adapter suites found as a Markdown table: a row per guarantee, a column per runtime.
//!
//! `matrix [DIRECTORY [RUNTIME…]]`: by default `conformance` in Cargo's target directory, and the
//! runtimes that Tideway brings. Exits with 1 if a guarantee is broken on one of them, or was not tried.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use tideway_conformance::suite::CASES;
use tideway_conformance::suite::results::{Line, Verdict, read};

const RUNTIMES: [&str; 4] = ["tokio_multi", "tokio_current", "async_std", "smol"];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let directory = args.next().map_or_else(default_directory, PathBuf::from);
    let mut runtimes: Vec<String> = args.collect();
    if runtimes.is_empty() {
        runtimes = RUNTIMES.map(str::to_owned).into();
    }
    let results: Vec<(String, BTreeMap<String, Line>)> = runtimes
        .into_iter()
        .map(|runtime| {
            let lines = read(&directory.join(format!("{runtime}.tsv")));
            (runtime, lines)
        })
        .collect();
    let wrong = print(&results);
    if wrong == 0 {
        println!(
            "\n{} guarantees on {} runtimes: all kept.",
            CASES.len(),
            results.len()
        );
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

/// Prints the table; returns how many cells are wrong.
fn print(results: &[(String, BTreeMap<String, Line>)]) -> usize {
    let names: Vec<&str> = results
        .iter()
        .map(|(runtime, _)| runtime.as_str())
        .collect();
    println!("| guarantee | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    let mut wrong = 0;
    let mut chapter = "";
    for (module, case) in CASES {
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
    wrong
}

fn cell(line: Option<&Line>, wrong: &mut usize) -> String {
    let Some(Line { verdict, note }) = line else {
        *wrong += 1;
        return "**not tried**".into();
    };
    let text = match verdict {
        Verdict::Kept(took) => format!("{} ms", took.as_millis()),
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
