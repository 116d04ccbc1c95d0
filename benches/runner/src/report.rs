//! The whole report: machine, versions, tables, and the verdict on every target.

mod targets;

use crate::measure::Sample;
use crate::options::{Kind, Options};
use crate::{build, machine, table};

/// Writes Markdown to standard output.
pub(crate) fn print(options: &Options, samples: &[Sample]) {
    println!("## Machine and versions\n");
    print!("{}", machine::description());
    println!("- servers: {}\n", versions(&SERVERS));
    if options.kinds.contains(&Kind::Throughput) {
        println!(
            "{} rounds of {} s, {} connections; minimum – **median** – maximum.\n",
            options.rounds,
            options.seconds,
            crate::load::CONNECTIONS
        );
    }
    println!("## Results\n");
    let tables = [
        (Kind::Instructions, "user instructions per request"),
        (Kind::Allocs, "allocations per request"),
        (Kind::Allocs, "bytes per request"),
        (Kind::Syscalls, "system calls per request"),
        (Kind::Rss, "bytes per idle connection"),
        (Kind::Throughput, "requests per server-CPU-second"),
    ];
    for (kind, what) in tables {
        if let Some(table) = table::table(samples, kind, what) {
            println!("{table}");
        }
    }
    if let Some(verdicts) = targets::verdicts(samples) {
        println!("## Targets\n\n{verdicts}");
    }
}

/// The servers whose versions are told.
const SERVERS: [&str; 9] = [
    "hyper",
    "axum",
    "tower-http",
    "actix-web",
    "ntex",
    "tideway",
    "tokio",
    "async-std",
    "smol",
];

/// The versions the lock file gives these packages.
pub(crate) fn versions(names: &[&str]) -> String {
    let lock = std::fs::read_to_string(build::root().join("Cargo.lock")).unwrap_or_default();
    let mut found = Vec::new();
    for package in lock.split("[[package]]") {
        let field = |key: &str| {
            package
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_suffix('"'))
        };
        if let (Some(name), Some(version)) = (field("name = \""), field("version = \""))
            && names.contains(&name)
        {
            let ours = name == "tideway" && !package.contains("source = ");
            found.push(format!(
                "{name} {version}{}",
                if ours { " (ours)" } else { "" }
            ));
        }
    }
    found.join(", ")
}
