//! A server process: started on its core, perhaps under valgrind or strace, watched through
//! `/proc`, and always ended.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::build::{Flavour, program};
use crate::machine::{SERVER_CORE, pin};
use crate::peer::Variant;

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) at: SocketAddr,
}

/// How to start one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    pub(crate) variant: Variant,
    pub(crate) flavour: Flavour,
    /// A program and its arguments to run the server under; empty for none.
    pub(crate) under: &'a [&'a str],
    /// The request timeout, `None` for the server's default of 30 s.
    pub(crate) timeout: Option<Duration>,
}

impl Start<'_> {
    /// The usual way.
    pub(crate) fn plain(variant: Variant) -> Start<'static> {
        Start {
            variant,
            flavour: Flavour::Plain,
            under: &[],
            timeout: None,
        }
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(self) -> Outcome<Server> {
        let program = program(self.variant.peer, self.flavour);
        if !program.exists() {
            return Err(format!(
                "{} is not built: leave out --no-build",
                self.variant.peer.name
            ));
        }
        let at = free_address()?;
        let mut command = self.command(&program);
        command.args([
            "--listen",
            &at.to_string(),
            "--stages",
            self.variant.stages(),
        ]);
        command.args(self.variant.peer.arguments);
        // The executors of smol and async-std: one thread, as every other server has.
        command.envs([("SMOL_THREADS", "1"), ("ASYNC_STD_THREAD_COUNT", "1")]);
        if let Some(timeout) = self.timeout {
            command.args(["--timeout-ms", &timeout.as_millis().to_string()]);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: both calls are async-signal-safe and allocate nothing.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                pin(SERVER_CORE)
            });
        }
        let child = command
            .spawn()
            .map_err(|e| format!("starting {}: {e}", command.get_program().display()))?;
        let mut server = Server { child, at };
        server.wait_for_announcement(self.variant)?;
        Ok(server)
    }

    fn command(&self, program: &Path) -> Command {
        match self.under.split_first() {
            None => Command::new(program),
            Some((outer, arguments)) => {
                let mut command = Command::new(outer);
                command.args(arguments).arg(program);
                command
            }
        }
    }
}

impl Server {
    /// A benchmark once compared the baseline with itself: the server has to say who it is.
    fn wait_for_announcement(&mut self, variant: Variant) -> Outcome<()> {
        let stdout = self.child.stdout.as_mut().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .map_err(|e| format!("reading stdout: {e}"))?;
        let expected = format!(
            "listening on {} ({}, stages {})\n",
            self.at,
            variant.peer.announces,
            variant.stages()
        );
        if line == expected {
            return Ok(());
        }
        Err(format!(
            "{} said {line:?} instead of {expected:?}: {}",
            variant.label(),
            self.stop()
        ))
    }

    /// Processor time of the whole process so far.
    pub(crate) fn cpu_time(&self) -> Outcome<Duration> {
        let pid = self.child.id().cast_signed();
        // SAFETY: both calls only fill the variables they are given.
        let (result, time) = unsafe {
            let mut clock: libc::clockid_t = 0;
            let mut time: libc::timespec = std::mem::zeroed();
            let mut result = libc::clock_getcpuclockid(pid, &raw mut clock);
            if result == 0 {
                result = libc::clock_gettime(clock, &raw mut time);
            }
            (result, time)
        };
        if result != 0 {
            return Err(format!("the processor clock of {pid} cannot be read"));
        }
        let nanos = u32::try_from(time.tv_nsec).expect("below a second");
        Ok(Duration::new(time.tv_sec.cast_unsigned(), nanos))
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Outcome<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        text.lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok())
            .map(|kib| kib * 1024)
            .ok_or_else(|| format!("{path} has no VmRSS"))
    }

    /// `allocations bytes log-records` of a counted build.
    pub(crate) fn counts(&self) -> Outcome<[f64; 3]> {
        let side = SocketAddr::new(self.at.ip(), self.at.port() + 1);
        let mut text = String::new();
        std::net::TcpStream::connect(side)
            .and_then(|mut stream| stream.read_to_string(&mut text))
            .map_err(|e| format!("the side port {side}: {e}"))?;
        let numbers: Vec<f64> = text
            .split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect();
        numbers
            .try_into()
            .map_err(|_| format!("the side port said {text:?}"))
    }

    /// Ends it with SIGTERM, after five seconds with SIGKILL, and returns what it (or the program
    /// around it) wrote to stderr.
    pub(crate) fn stop(&mut self) -> String {
        let pid = self.child.id().cast_signed();
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // SAFETY: the child has not been waited for, so the id is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        let started = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if started.elapsed() > Duration::from_secs(5) {
                // It may be gone by now; then there is nothing to kill.
                let _ = self.child.kill();
                let _ = self.child.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            // What is not text is of no interest.
            let _ = stderr.read_to_string(&mut said);
        }
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A loopback address whose port and side port are free, below the range clients connect from:
/// thousands of closed connections may still hold ports of that range.
fn free_address() -> Outcome<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..1_000 {
        let port = 20_000 + NEXT.fetch_add(2, Ordering::Relaxed) % 10_000;
        let here = |port| SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(here(port)).is_ok() && TcpListener::bind(here(port + 1)).is_ok() {
            return Ok(here(port));
        }
    }
    Err("no two free ports in a row".to_owned())
}
