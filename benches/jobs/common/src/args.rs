//! The command line every queue understands.

use std::path::PathBuf;

/// A parsed command line. What a queue has no use for, it ignores.
#[derive(Debug, Clone)]
pub struct Args {
    /// `memory`, or `sqlite-` with what is flushed when: `full`, `normal`, `off`.
    pub store: String,
    /// How many jobs.
    pub jobs: usize,
    /// Jobs per enqueue, and per claim where that is a setting of its own.
    pub batch: usize,
    /// Jobs that run at once.
    pub slots: usize,
    /// Threads of the runtime; 1 is a current-thread one.
    pub threads: usize,
    /// Where database files go.
    pub dir: PathBuf,
}

/// Parses the command line; ends the program with a message when it is wrong.
#[must_use]
pub fn args() -> Args {
    parse(std::env::args().skip(1)).unwrap_or_else(|wrong| {
        eprintln!("{wrong}");
        eprintln!(
            "usage: --store memory|sqlite-full|sqlite-normal|sqlite-off [--jobs N] [--batch N] [--slots N] \
             [--threads N] [--dir PATH]"
        );
        std::process::exit(2)
    })
}

impl Args {
    /// A fresh path for a database file; what an earlier run left there is removed.
    #[must_use]
    pub fn fresh(&self, peer: &str) -> PathBuf {
        std::fs::create_dir_all(&self.dir).expect("the directory can be made");
        let path = self.dir.join(format!("{peer}-{}.db", self.store));
        for end in ["", "-wal", "-shm", "-journal"] {
            let mut name = path.clone().into_os_string();
            name.push(end);
            // Mostly it is not there.
            let _ = std::fs::remove_file(name);
        }
        path
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args = Args {
        store: String::new(),
        jobs: 100_000,
        batch: 1000,
        slots: 1000,
        threads: 1,
        dir: "target/jobs".into(),
    };
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{word} needs a value"))?;
        let number = || match value.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{word} {value}: a number above 0")),
        };
        match word.as_str() {
            "--store" => args.store.clone_from(&value),
            "--jobs" => args.jobs = number()?,
            "--batch" => args.batch = number()?,
            "--slots" => args.slots = number()?,
            "--threads" => args.threads = number()?,
            "--dir" => args.dir = value.into(),
            _ => return Err(format!("unknown argument: {word} {value}")),
        }
    }
    if args.store.is_empty() {
        return Err("--store is missing".to_owned());
    }
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Args, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_full_line_is_understood() {
        let args = words("--store memory --jobs 5 --slots 7").unwrap();
        assert_eq!(
            (args.store.as_str(), args.jobs, args.slots),
            ("memory", 5, 7)
        );
    }

    #[test]
    fn nothing_of_zero_runs() {
        assert!(words("--store memory --jobs 0").is_err());
        assert!(words("--jobs 5").is_err());
    }
}
