//! The README does what it says: its curl lines answer what is printed below them, and its program is
//! the one that is tested here. Ids and times differ from run to run and are compared by shape.

use std::process::Command;

use crate::server::{Server, until};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");

fn readme() -> String {
    std::fs::read_to_string(README)
        .unwrap_or_else(|error| panic!("README.md at the root of the workspace: {error}"))
}

/// The fenced blocks of one language, and the line that each begins at.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut inside: Option<bool> = None;
    for (at, line) in text.lines().enumerate() {
        match (inside, line.strip_prefix("```")) {
            (None, Some(info)) => {
                let ours = info.split(',').next() == Some(language);
                inside = Some(ours);
                if ours {
                    blocks.push((at + 2, String::new()));
                }
            }
            (Some(_), Some(_)) => inside = None,
            (Some(true), None) => {
                if let Some((_, block)) = blocks.last_mut() {
                    *block += line;
                    *block += "\n";
                }
            }
            _ => {}
        }
    }
    blocks
}

/// A command of a console block, and the lines printed below it.
#[derive(Debug, PartialEq)]
struct Step {
    line: usize,
    command: String,
    output: String,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (first, block) in blocks(text, "console") {
        let mut open = false;
        for (at, line) in block.lines().enumerate() {
            if open {
                // A command goes on behind a backslash.
                let step = steps.last_mut().expect("a command is open");
                step.command += "\n";
                step.command += line;
                open = line.ends_with('\\');
            } else if let Some(command) = line.strip_prefix("$ ") {
                open = command.ends_with('\\');
                steps.push(Step {
                    line: first + at,
                    command: command.to_owned(),
                    output: String::new(),
                });
            } else if let Some(step) = steps.last_mut().filter(|step| step.line >= first) {
                step.output += line;
                step.output += "\n";
            }
        }
    }
    steps
}

/// `text` with request ids, RFC 3339 times and milliseconds since 1970 replaced by what they are.
fn shape(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.');
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(word) {
        let (before, from) = rest.split_at(begin);
        let end = from.find(|c| !word(c)).unwrap_or(from.len());
        let (token, after) = from.split_at(end);
        let pattern: String = token
            .chars()
            .map(|c| if c.is_ascii_hexdigit() { 'h' } else { c })
            .collect();
        let digits: String = token
            .chars()
            .map(|c| if c.is_ascii_digit() { 'd' } else { c })
            .collect();
        out += before;
        out += match (pattern.as_str(), digits.as_str()) {
            ("hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", _) => "<uuid>",
            (_, "dddd-dd-ddTdd:dd:dd.dddZ") => "<time>",
            // `"created":1763…` is one token with its colon.
            (_, ":ddddddddddddd") => ":<ms>",
            _ => token,
        };
        rest = after;
    }
    out + rest
}

/// Line ends and blanks at the end of a line are not shown in a README.
fn lines(text: &str) -> Vec<String> {
    let shaped = shape(text);
    let lines = shaped
        .trim_end()
        .lines()
        .map(|line| line.trim_end().to_owned());
    lines.collect()
}

#[test]
fn the_curl_lines_answer_what_is_printed() {
    assert!(
        Command::new("curl").arg("--version").output().is_ok(),
        "curl is missing; install it: sudo apt-get install curl"
    );
    let steps = steps(&readme());
    let server = Server::start(env!("CARGO_BIN_EXE_quickstart"), &[]);
    let mut asked = 0;
    for step in steps
        .iter()
        .filter(|step| step.command.starts_with("curl "))
    {
        let at = format!("README.md:{}: {}", step.line, step.command);
        let mut command = step.command.clone();
        for local in ["localhost:8080", "127.0.0.1:8080"] {
            command = command.replace(local, &server.addr);
        }
        let run = Command::new("sh")
            .args(["-c", &command])
            .output()
            .expect("sh is there");
        let errors = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{at}\n{errors}");
        let answer = String::from_utf8_lossy(&run.stdout);
        assert_eq!(
            lines(&answer),
            lines(&step.output),
            "{at}\nanswered:\n{answer}"
        );
        asked += 1;
    }
    assert!(
        asked >= 4,
        "README.md has {asked} curl lines in its console blocks"
    );
    server.stop();
}

#[test]
fn the_jobs_lines_print_what_is_printed() {
    const PROGRAM: &str = "cargo run --bin jobs -- ";
    let dir = tempfile::tempdir().expect("a directory");
    let jobs = |args: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobs"));
        command
            .current_dir(dir.path())
            .args(args.split_whitespace());
        command
    };
    let mut workers = Vec::new();
    let mut asked = 0;
    for step in steps(&readme()) {
        let Some(args) = step.command.strip_prefix(PROGRAM) else {
            continue;
        };
        let at = format!("README.md:{}: {}", step.line, step.command);
        asked += 1;
        if let Some(args) = args.strip_suffix(" &") {
            let worker = Server::background(&mut jobs(args));
            assert_eq!(lines(&worker.addr), lines(&step.output), "{at}");
            workers.push(worker);
            // What a person types next comes later than this.
            until("all jobs have ended", || {
                let stats = jobs("--store sqlite:jobs.db stats")
                    .output()
                    .expect("it starts");
                stats.stdout.starts_with(b"0 pending, 0 running")
            });
            continue;
        }
        let run = jobs(args).output().expect("it starts");
        let errors = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{at}\n{errors}");
        let answer = String::from_utf8_lossy(&run.stdout);
        assert_eq!(
            lines(&answer),
            lines(&step.output),
            "{at}\nprinted:\n{answer}"
        );
    }
    assert!(
        asked >= 6,
        "README.md has {asked} lines of `jobs` in its console blocks"
    );
    assert_eq!(workers.len(), 1, "one of them works");
    workers.into_iter().for_each(Server::stop);
}

#[test]
fn the_first_program_is_the_one_that_is_tested() {
    let blocks = blocks(&readme(), "rust");
    let (_, first) = blocks.first().expect("README.md has a Rust program");
    let source = include_str!("../../src/bin/ten_lines.rs");
    let code: Vec<_> = source
        .lines()
        .skip_while(|line| line.starts_with("//!") || line.is_empty())
        .collect();
    assert_eq!(first.trim_end(), code.join("\n").trim_end());
}

#[test]
fn a_console_block_is_taken_apart() {
    let text = "```console\n$ cargo run\nlistening\n$ curl -d '{\n\n```\n```sh\n$ no\n```\n```console\nloose\n$ curl \\\n  -s x\na\n\nb\n```\n";
    let step = |line, command: &str, output: &str| Step {
        line,
        command: command.to_owned(),
        output: output.to_owned(),
    };
    assert_eq!(
        steps(text),
        [
            step(2, "cargo run", "listening\n"),
            step(4, "curl -d '{", "\n"),
            step(12, "curl \\\n  -s x", "a\n\nb\n"),
        ]
    );
    assert_eq!(
        shape(r#"{"created":1763860000000,"id":"01a20644-3435-777d-afd8-976e43cfd018","n":12}"#),
        r#"{"created":<ms>,"id":"<uuid>","n":12}"#
    );
    assert_eq!(shape("1,2026-11-23T02:37:44.770Z,x"), "1,<time>,x");
}
