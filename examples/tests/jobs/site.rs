//! A store of its own for each test, and the processes around it. None outlives its test.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tideway_conformance::servers::{self, Persistence, RedisServer};

use crate::journal::{self, Life, Line};

/// Tells late from never; far above anything that is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const RUNTIMES: [&str; 3] = ["tokio", "smol", "async-std"];

/// Whether the sizes are those of the acceptance, not of an ordinary test run.
pub(crate) fn full() -> bool {
    std::env::var_os("TIDEWAY_TORTURE").is_some_and(|set| !set.is_empty() && set != "0")
}

/// What may take `time` on a quiet machine: on one with other work to do, it may take longer.
pub(crate) fn within(time: Duration) -> Duration {
    if full() { time } else { 10 * time }
}

/// Tests that load the machine run alone; those that measure run beside each other.
static LOAD: RwLock<()> = RwLock::new(());

pub(crate) fn measuring() -> RwLockReadGuard<'static, ()> {
    LOAD.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn loading() -> RwLockWriteGuard<'static, ()> {
    LOAD.write().unwrap_or_else(PoisonError::into_inner)
}

/// Asks until `done` says so.
#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LIMIT, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a test is run on, once on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Sqlite,
    Postgres,
    Redis,
}

/// The Redis of these tests, as its users would set it.
fn redis() -> &'static RedisServer {
    static REDIS: LazyLock<RedisServer> =
        LazyLock::new(|| RedisServer::start(Persistence::EverySecond).expect("Redis"));
    &REDIS
}

/// One `#[test]` per store for each of these functions, which take a [`Store`].
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        $(
            mod $test {
                #[test]
                fn on_sqlite() {
                    super::$test(crate::site::Store::Sqlite);
                }

                #[test]
                fn on_postgres() {
                    super::$test(crate::site::Store::Postgres);
                }

                #[test]
                fn on_redis() {
                    super::$test(crate::site::Store::Redis);
                }
            }
        )+
    };
}

pub(crate) use on_every_store;

/// A store of its own, and a directory for what its workers write.
pub(crate) struct Site {
    dir: TempDir,
    place: Vec<String>,
}

impl Site {
    pub(crate) fn new(store: Store) -> Self {
        match store {
            Store::Sqlite => Self::at("sqlite:jobs.db", false),
            Store::Postgres => Self::at(&servers::postgres().expect("PostgreSQL").url(), true),
            Store::Redis => Self::at(&redis().url(), true),
        }
    }

    /// On this store, in a space of its own if others use it too.
    pub(crate) fn at(url: &str, shared: bool) -> Self {
        static SPACES: AtomicU32 = AtomicU32::new(0);
        let mut place = vec!["--store".to_owned(), url.to_owned()];
        if shared {
            let space = SPACES.fetch_add(1, Ordering::Relaxed);
            place.extend(["--space".to_owned(), format!("site_{space}")]);
        }
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            place,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program, told where the store is.
    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobs"));
        command
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .args(&self.place);
        command
    }

    pub(crate) fn output(&self, args: &[&str]) -> Output {
        self.program()
            .args(args)
            .output()
            .expect("the program starts")
    }

    /// What a command answers in JSON. It must succeed.
    #[track_caller]
    pub(crate) fn ask(&self, args: &[&str]) -> Value {
        let out = self.output(&[args, &["--json"]].concat());
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{args:?}: {}: {errors}", out.status);
        serde_json::from_slice(&out.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}"))
    }

    /// Enqueues; the ids.
    pub(crate) fn enqueue(&self, args: &[&str]) -> Vec<String> {
        let ids = self.ask(&[&["enqueue"], args].concat());
        serde_json::from_value(ids).expect("a list of ids")
    }

    /// How many jobs are (pending, running, succeeded, dead, cancelled).
    pub(crate) fn stats(&self) -> [u64; 5] {
        let stats = self.ask(&["stats"]);
        let of = |state: &str| stats[state].as_u64().expect("a count");
        ["pending", "running", "succeeded", "dead", "cancelled"].map(of)
    }

    pub(crate) fn list(&self, args: &[&str]) -> Vec<Value> {
        let list = self.ask(&[&["list"], args].concat());
        serde_json::from_value(list).expect("a list of jobs")
    }

    /// The one job there is.
    pub(crate) fn job(&self) -> Value {
        let mut jobs = self.list(&[]);
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.remove(0)
    }

    /// Waits until every job has ended.
    #[track_caller]
    pub(crate) fn drained(&self) {
        let mut last = (self.stats(), Instant::now());
        while last.0[0] + last.0[1] > 0 {
            assert!(last.1.elapsed() < LIMIT, "stuck at {:?}", last.0);
            thread::sleep(Duration::from_millis(100));
            let stats = self.stats();
            if stats != last.0 {
                last = (stats, Instant::now());
            }
        }
    }

    pub(crate) fn sound(&self) {
        let report = self.ask(&["audit"]);
        assert_eq!(report["flaws"], Value::Array(Vec::new()));
    }

    /// A worker with a journal of its own, called `name`; it is ready.
    pub(crate) fn work(&self, name: &str, runtime: &str, args: &[&str]) -> Worker {
        let journal = self.path(&format!("{name}.journal"));
        let log = self.path(&format!("{name}.log"));
        let mut command = self.program();
        command
            .args(["--runtime", runtime, "work", "--journal"])
            .arg(&journal)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log"));
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("it is piped");
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        let ready = line.starts_with("working with ");
        assert!(
            ready,
            "{read:?}: {line:?}: {:?}",
            std::fs::read_to_string(&log)
        );
        Worker {
            child,
            journal,
            log,
            _stdout: stdout,
            killed: false,
        }
    }
}

/// A worker under test.
pub(crate) struct Worker {
    child: Child,
    journal: PathBuf,
    log: PathBuf,
    /// Kept open: it prints a last line.
    _stdout: BufReader<std::process::ChildStdout>,
    killed: bool,
}

impl Worker {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is running");
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.killed = true;
        self.child.kill().expect("it is running");
        self.child.wait().expect("it is our child");
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// SIGTERM, and then it must end by itself and well; how long that took.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> Duration {
        let begun = Instant::now();
        self.signal(Signal::TERM);
        let mut status = None;
        until("the worker ends", || {
            status = self.ended();
            status.is_some()
        });
        let took = begun.elapsed();
        assert!(
            status.is_some_and(|status| status.success()),
            "{status:?}: {}",
            self.log()
        );
        took
    }

    pub(crate) fn journal(&self) -> Vec<Line> {
        journal::read(&self.journal)
    }

    pub(crate) fn journal_len(&self) -> u64 {
        std::fs::metadata(&self.journal).map_or(0, |file| file.len())
    }

    pub(crate) fn starts(&self) -> usize {
        self.journal().iter().filter(|line| line.is_start()).count()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// What it did, after its end.
    pub(crate) fn life(&self) -> Life {
        Life {
            killed: self.killed,
            lines: self.journal(),
        }
    }

    /// Counts a death by its own doing as a kill.
    pub(crate) fn died(&mut self) {
        self.killed = true;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
