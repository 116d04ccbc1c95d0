//! The protocol engines alone, in memory: instructions per masked frame, 8 KiB of frames per read.

use std::process::Command;

use super::instructions::{CALLGRIND, collected};
use super::options::Options;
use crate::table::number;
use crate::{Outcome, build};

const PACKAGE: &str = "socket-engines";
const ENGINES: [&str; 3] = ["ours", "tungstenite", "fastwebsockets"];
const FRAMES: [(&str, &str, usize); 6] = [
    ("binary 20 B", "binary", 20),
    ("binary 64 B", "binary", 64),
    ("binary 1 KiB", "binary", 1 << 10),
    ("binary 16 KiB", "binary", 16 << 10),
    ("text 20 B", "text", 20),
    ("text 1 KiB", "text", 1 << 10),
];
/// Reads of one run; the other has twice as many.
const READS: usize = 200;

pub(crate) fn run(options: &Options) -> Outcome<String> {
    if options.build {
        build::cargo(&["build", "--release", "--quiet", "-p", PACKAGE])?;
    }
    let mut out = "\n#### instructions per frame, the engines alone\n\n| engine |".to_owned();
    FRAMES
        .iter()
        .for_each(|(name, ..)| out.push_str(&format!(" {name} |")));
    out.push_str(&format!("\n|---|{}\n", "---:|".repeat(FRAMES.len())));
    for engine in ENGINES {
        out.push_str(&format!("| {engine} |"));
        for (name, kind, size) in FRAMES {
            eprintln!("engine: {engine}, {name}");
            let (once, frames) = measure(engine, kind, size, READS)?;
            let (twice, more) = measure(engine, kind, size, 2 * READS)?;
            let each = (twice - once) / (more - frames);
            out.push_str(&format!(" {} |", number(each)));
        }
        out.push('\n');
    }
    Ok(out)
}

/// Instructions, and how many frames were taken in.
fn measure(engine: &str, kind: &str, size: usize, reads: usize) -> Outcome<(f64, f64)> {
    let program = build::root().join("target/release").join(PACKAGE);
    let out = Command::new(CALLGRIND[0])
        .args(&CALLGRIND[1..])
        .arg(program)
        .args([engine, kind, &size.to_string(), &reads.to_string()])
        .output()
        .map_err(|e| format!("valgrind: {e}"))?;
    let said = String::from_utf8_lossy(&out.stderr);
    let frames = String::from_utf8_lossy(&out.stdout).trim().parse();
    let frames = frames.map_err(|_| format!("{engine} failed: {said}"))?;
    Ok((collected(&said)?, frames))
}
