//! A program under test, as a child process on a free port. It never outlives its test.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Client, Reply};

/// Tells late from never; far above anything that is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    child: Child,
    pub(crate) addr: String,
    /// Kept open: some programs have a last word.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts `program` and waits for the line that says where it listens.
    pub(crate) fn start(program: &str, args: &[&str]) -> Self {
        Self::start_with(
            Command::new(program)
                .args(args)
                .args(["--listen", "127.0.0.1:0"]),
        )
    }

    pub(crate) fn start_with(command: &mut Command) -> Self {
        Self::start_logging(command, Stdio::null())
    }

    /// As `start_with`, its standard error kept.
    pub(crate) fn start_logging(command: &mut Command, log: Stdio) -> Self {
        let piped = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut server = Self::spawn(piped.env_remove("TIDEWAY_LISTEN"));
        let line = &server.addr;
        let addr = line.strip_prefix("listening on http://");
        let addr = addr.unwrap_or_else(|| panic!("first line {line:?}"));
        server.addr = addr.to_owned();
        server
    }

    /// A program that serves nothing: `addr` is its first line, whatever that says.
    pub(crate) fn background(command: &mut Command) -> Self {
        let quiet = command.stdin(Stdio::null()).stderr(Stdio::null());
        Self::spawn(quiet.stdout(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut line).expect("its first line");
        let addr = line.trim_end().to_owned();
        Self {
            child,
            addr,
            _stdout: stdout,
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.addr)
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        self.connect().ask(method, path, headers, body)
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], b"")
    }

    pub(crate) fn json(&self, method: &str, path: &str, body: &serde_json::Value) -> Reply {
        let body = body.to_string();
        self.ask(
            method,
            path,
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is running");
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM, and then it must end by itself and well.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "{status}");
    }

    /// The most memory it ever had resident, in KiB.
    pub(crate) fn peak_rss(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("/proc is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number
            .and_then(|number| number.parse().ok())
            .expect("VmHWM is there")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until `done` says so; a lost change is a failure, not a hang.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LIMIT, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
