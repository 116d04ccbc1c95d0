//! What the layout promises, checked: who depends on whom, what the pure crates never name, and how
//! large things are.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{Metadata, MetadataCommand};

/// Runtimes, sockets, HTTP, entropy: what nothing pure may reach.
const IMPURE: [&str; 13] = [
    "tokio",
    "async-std",
    "smol",
    "async-io",
    "async-executor",
    "mio",
    "polling",
    "socket2",
    "hyper",
    "h2",
    "rustls",
    "getrandom",
    "rand",
];

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("this package is in a workspace")
        .to_owned()
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).arg("--offline");
    cargo
}

/// The packages that `package` needs to run, each with its features, as they are without the rest of
/// the workspace: `cargo metadata` would add what others turn on.
fn closure(package: &str) -> BTreeMap<String, BTreeSet<String>> {
    let args = [
        "tree", "-p", package, "-e", "normal", "--prefix", "none", "-f", "{p}|{f}",
    ];
    let output = cargo().args(args).output().expect("cargo runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "cargo tree -p {package}: {error}");
    let text = String::from_utf8(output.stdout).expect("names are text");
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        let Some((package, features)) = line.split_once('|') else {
            continue;
        };
        let name = package.split(' ').next().unwrap_or_default().to_owned();
        let features = features
            .trim_end_matches(" (*)")
            .split(',')
            .filter(|name| !name.is_empty());
        packages
            .entry(name)
            .or_default()
            .extend(features.map(str::to_owned));
    }
    assert!(packages.contains_key(package), "{packages:?}");
    packages
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .current_dir(root())
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo metadata runs")
}

/// All Rust files of the repository, by path from its root.
fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, into: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(dir)
            .expect("a directory of ours")
            .flatten()
        {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                walk(&path, into);
            } else if name.ends_with(".rs") {
                let shown = path
                    .strip_prefix(root())
                    .unwrap_or(&path)
                    .display()
                    .to_string();
                into.push((shown, std::fs::read_to_string(&path).expect("text")));
            }
        }
    }
    let mut files = Vec::new();
    walk(&root(), &mut files);
    files.sort();
    assert!(files.len() > 50, "{} files", files.len());
    files
}

#[track_caller]
fn none(wrong: Vec<String>, what: &str) {
    assert!(wrong.is_empty(), "{what}:\n  {}", wrong.join("\n  "));
}

#[test]
fn the_core_reaches_no_runtime_no_socket_and_no_entropy() {
    for package in ["tideway-engine", "tideway"] {
        let closure = closure(package);
        let reached = IMPURE.iter().filter(|name| closure.contains_key(**name));
        let reached = reached
            .map(|name| format!("{package} needs {name}"))
            .collect();
        none(reached, "`cargo tree -i` says through whom");
    }
}

#[test]
fn no_tokio_runtime_stands_behind_the_other_adapters() {
    // hyper uses tokio's channels, and nothing else of it while HTTP/2 is left out.
    let channels = BTreeSet::from(["default".to_owned(), "sync".to_owned()]);
    for package in [
        "tideway-driver",
        "tideway-async-io",
        "tideway-async-std",
        "tideway-smol",
        "tideway-sim",
    ] {
        let closure = closure(package);
        assert_eq!(
            closure.get("tokio"),
            Some(&channels),
            "{package} turns on more of tokio than its channels"
        );
        assert!(!closure.contains_key("mio"), "{package} needs mio");
    }
}

#[test]
fn no_store_brings_a_runtime_of_tokio() {
    for (package, features) in [
        ("tideway-memory", None),
        ("tideway-sqlite", None),
        ("tideway-redis", Some("default,sync")),
        ("tideway-postgres", Some("bytes,default,io-util,sync")),
    ] {
        let closure = closure(package);
        let found = closure.get("tokio").cloned().unwrap_or_default();
        let known = features.iter().flat_map(|all| all.split(','));
        assert_eq!(found, known.map(str::to_owned).collect(), "{package}");
        assert!(!closure.contains_key("mio"), "{package} needs mio");
    }
}

#[test]
fn dependencies_point_one_way() {
    let layer = |manifest: &str| {
        let path = manifest
            .strip_prefix(root().to_str().unwrap_or_default())
            .unwrap_or(manifest);
        match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
            ["core", "engine", ..] => 0,
            ["core", ..] => 1,
            ["adapters", "driver", ..] => 2,
            ["adapters" | "backends", ..] => 3,
            _ => 4,
        }
    };
    let metadata = metadata();
    let packages: BTreeMap<&str, (i32, &cargo_metadata::Package)> = metadata
        .packages
        .iter()
        .map(|package| {
            (
                package.name.as_str(),
                (layer(package.manifest_path.as_str()), package),
            )
        })
        .collect();
    let mut wrong = Vec::new();
    for (name, (from, package)) in &packages {
        for dependency in &package.dependencies {
            let Some((to, _)) = packages.get(dependency.name.as_str()) else {
                continue;
            };
            // async-io is no runtime: it is what two of the adapters share.
            let shared = dependency.name == "tideway-async-io";
            let tests = dependency.kind == cargo_metadata::DependencyKind::Development;
            // Tests of a store compare it with the executable specification of all of them.
            let specification = tests && dependency.name == "tideway-memory";
            let allowed = to < from
                || shared
                || specification
                || *from == 4
                || (*from == 1 && *to == 1)
                || (tests && to <= from && *from < 3);
            if !allowed {
                wrong.push(format!("{name} names {}", dependency.name));
            }
        }
    }
    none(
        wrong,
        "engine ← tideway ← driver ← adapters and backends, which never name each other",
    );
}

#[test]
fn the_engine_knows_no_futures() {
    const WORDS: [&str; 5] = ["async", "await", "Future", "Waker", "Poll"];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !path.starts_with("core/engine/src") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            if let Some(word) = words.find(|word| WORDS.contains(word)) {
                wrong.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    none(wrong, "a machine is driven, it waits for nothing");
}

#[test]
fn every_file_says_what_it_is_and_fits_into_a_head() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !text.starts_with("//!") {
            wrong.push(format!("{path} does not open with `//!`"));
        }
        let lines = text.lines().count();
        if lines > 700 {
            wrong.push(format!("{path} has {lines} lines; split it at 700"));
        }
    }
    none(wrong, "files");
}

#[test]
fn adapters_are_small() {
    let mut wrong = Vec::new();
    for (adapter, most) in [("tokio", 400), ("async-std", 120), ("smol", 120)] {
        let own = format!("adapters/{adapter}/src/");
        let files = sources();
        let lines: usize = files
            .iter()
            .filter(|(path, _)| path.starts_with(&own))
            .map(|(_, text)| text.lines().count())
            .sum();
        if !(1..most).contains(&lines) {
            wrong.push(format!(
                "{own} has {lines} lines, fewer than {most} are allowed"
            ));
        }
    }
    none(wrong, "what is common to runtimes belongs into the driver");
}

#[test]
fn decisions_are_numbered_and_have_a_title() {
    let dir = root().join("docs/decisions");
    let mut names: Vec<String> = std::fs::read_dir(&dir)
        .expect("there are decisions")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut wrong = Vec::new();
    for (name, number) in names.iter().zip(1..) {
        if !name.starts_with(&format!("{number:03}-")) || !name.ends_with(".md") {
            wrong.push(format!("{name} should be {number:03}-….md"));
        }
        let text = std::fs::read_to_string(dir.join(name)).unwrap_or_default();
        if !text.starts_with("# ") {
            wrong.push(format!("{name} does not open with its title"));
        }
    }
    none(wrong, "docs/decisions");
}

#[test]
fn the_engine_compiles_without_an_operating_system() {
    const TARGET: &str = "wasm32-unknown-unknown";
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libs = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    let libs = libs.expect("rustc runs").stdout;
    let libs = String::from_utf8(libs).expect("a path");
    if !Path::new(libs.trim()).is_dir() {
        // Past the capture of the test runner, so that it is seen.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: tideway-engine was not checked for {TARGET}; `rustup target add {TARGET}` installs it"
        );
        return;
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tidy");
    let mut check = cargo();
    check.args(["check", "-q", "-p", "tideway-engine", "--target", TARGET]);
    let status = check.arg("--target-dir").arg(dir).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "tideway-engine needs an operating system"
    );
}
