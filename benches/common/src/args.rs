//! The command line every server understands, and the line it prints once it listens.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// Which stages a server runs around its handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stages {
    /// Nothing but routing.
    None,
    /// Request id, access log, timeout and body limit.
    All,
}

/// A parsed command line.
#[derive(Debug, Clone)]
pub struct Args {
    /// Where to listen; always a loopback address.
    pub listen: SocketAddr,
    /// Which stages to run.
    pub stages: Stages,
    /// The request timeout of `--stages all`; 30 s unless given.
    pub timeout: Duration,
    /// Whether raw hyper runs with its `pipeline_flush(true)`; other servers ignore it.
    pub pipeline_flush: bool,
    /// Whether sockets compress; servers that cannot ignore it.
    pub deflate: bool,
}

/// Parses the command line and prepares the process: the log sink when stages are on, and the
/// side port of counted builds. Ends the program with a message when an argument is wrong.
#[must_use]
pub fn args() -> Args {
    let parsed = parse(std::env::args().skip(1)).unwrap_or_else(|wrong| {
        eprintln!("{wrong}");
        eprintln!("usage: --listen 127.0.0.1:PORT --stages none|all [--timeout-ms N]");
        std::process::exit(2)
    });
    if parsed.stages == Stages::All {
        crate::logs::install();
    }
    crate::alloc::serve_counts(parsed.listen);
    parsed
}

/// Prints the line the runner waits for. The name lets it see that it talks to whom it meant.
pub fn announce(name: &str, args: &Args) {
    let stages = match args.stages {
        Stages::None => "none",
        Stages::All => "all",
    };
    let mut out = std::io::stdout();
    let line = format!("listening on {} ({name}, stages {stages})\n", args.listen);
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .expect("stdout is open");
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut listen = None;
    let mut stages = Stages::None;
    let mut timeout = Duration::from_secs(30);
    let mut pipeline_flush = false;
    let mut deflate = false;
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{word} needs a value"))?;
        match (word.as_str(), value.as_str()) {
            ("--listen", at) => {
                let at: SocketAddr = at.parse().map_err(|e| format!("--listen {at}: {e}"))?;
                if !at.ip().is_loopback() {
                    return Err(format!("--listen {at}: only loopback addresses"));
                }
                listen = Some(at);
            }
            ("--stages", "none") => stages = Stages::None,
            ("--stages", "all") => stages = Stages::All,
            ("--timeout-ms", ms) => {
                let ms = ms.parse().map_err(|e| format!("--timeout-ms {ms}: {e}"))?;
                timeout = Duration::from_millis(ms);
            }
            ("--pipeline-flush", "on") => pipeline_flush = true,
            ("--deflate", "on") => deflate = true,
            (word, value) => return Err(format!("unknown argument: {word} {value}")),
        }
    }
    let listen = listen.ok_or("--listen is missing")?;
    Ok(Args {
        listen,
        stages,
        timeout,
        pipeline_flush,
        deflate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Args, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_full_line_is_understood() {
        let args = words("--listen 127.0.0.1:80 --stages all --timeout-ms 200").unwrap();
        assert_eq!(args.stages, Stages::All);
        assert_eq!(args.timeout, Duration::from_millis(200));
    }

    #[test]
    fn only_loopback_is_served() {
        assert!(words("--listen 0.0.0.0:80").is_err());
    }
}
