//! The command line every queue on a server understands.

use std::time::Duration;

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Jobs in batches, then a worker.
    Batch,
    /// One job a call: by one caller, then by many.
    Single,
    /// A worker waits, and a job comes now and then.
    Pickup,
    /// Claims before a backlog. Only ours.
    Claim,
}

/// A parsed command line. What a queue has no use for, it ignores.
#[derive(Debug, Clone)]
pub struct Args {
    /// What to measure.
    pub mode: Mode,
    /// Where the server is; the database is empty.
    pub url: String,
    /// The server's (first) process, for its processor time.
    pub pid: u32,
    /// How many jobs.
    pub jobs: usize,
    /// Jobs per enqueue, and per claim where that is a setting of its own.
    pub batch: usize,
    /// Jobs that run at once.
    pub slots: usize,
    /// Threads of the runtime; 1 is a current-thread one.
    pub threads: usize,
    /// Connections to the server, where that is a setting.
    pub connections: usize,
    /// Between two jobs of [`Mode::Pickup`]; zero is 50 to 100 ms, unevenly.
    pub gap: Duration,
    /// A choice of the queue's own; empty is its usual one.
    pub setting: String,
}

const USAGE: &str = "usage: --url URL --server-pid PID [--mode batch|single|pickup|claim] [--jobs N] [--batch N] \
    [--slots N] [--threads N] [--connections N] [--gap-us N] [--setting NAME]";

/// Parses the command line; ends the program with a message when it is wrong.
#[must_use]
pub fn args() -> Args {
    parse(std::env::args().skip(1)).unwrap_or_else(|wrong| {
        eprintln!("{wrong}\n{USAGE}");
        std::process::exit(2)
    })
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args = Args {
        mode: Mode::Batch,
        url: String::new(),
        pid: 0,
        jobs: 20_000,
        batch: 1000,
        slots: 50,
        threads: 1,
        connections: 10,
        gap: Duration::ZERO,
        setting: String::new(),
    };
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{word} needs a value"))?;
        let number = || match value.parse::<usize>() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{word} {value}: a number above 0")),
        };
        match word.as_str() {
            "--mode" => args.mode = mode(&value)?,
            "--url" => args.url.clone_from(&value),
            "--server-pid" => {
                args.pid = number()?
                    .try_into()
                    .map_err(|_| format!("{value} is no process"))?;
            }
            "--jobs" => args.jobs = number()?,
            "--batch" => args.batch = number()?,
            "--slots" => args.slots = number()?,
            "--threads" => args.threads = number()?,
            "--connections" => args.connections = number()?,
            "--gap-us" => args.gap = Duration::from_micros(number()? as u64),
            "--setting" => args.setting.clone_from(&value),
            _ => return Err(format!("unknown argument: {word} {value}")),
        }
    }
    if args.url.is_empty() || args.pid == 0 {
        return Err("--url or --server-pid is missing".to_owned());
    }
    Ok(args)
}

fn mode(name: &str) -> Result<Mode, String> {
    match name {
        "batch" => Ok(Mode::Batch),
        "single" => Ok(Mode::Single),
        "pickup" => Ok(Mode::Pickup),
        "claim" => Ok(Mode::Claim),
        other => Err(format!("no mode {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Args, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_full_line_is_understood() {
        let args = words("--url redis://x --server-pid 7 --mode pickup --gap-us 3333").unwrap();
        assert_eq!((args.mode, args.pid), (Mode::Pickup, 7));
        assert_eq!(args.gap, Duration::from_micros(3333));
    }

    #[test]
    fn a_server_is_needed() {
        assert!(words("--url redis://x").is_err());
        assert!(words("--url redis://x --server-pid 7 --mode all").is_err());
    }
}
