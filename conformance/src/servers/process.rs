//! One server process: its directory, its port, its log, and two shells that end and clear away both when the
//! test process is gone, whether it returned, was killed or never ran its drops.
//!
//! Each shell reads a pipe that only this process holds open: its end of file is this process's end.

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take to start. Generous: another build may hold both cores.
pub(super) const START: Duration = Duration::from_secs(60);
/// How long a server may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);
/// Bytes of a log that an error shows.
const TAIL: u64 = 4096;
/// What a server says that could not have the port it was given.
const PORT_TAKEN: &str = "Address already in use";
/// What PostgreSQL says while a process of its killed predecessor still goes.
const OLD_GOES: &str = "pre-existing shared memory block";

/// Removes the directory when its standard input ends. A server that is ended by the same event may write
/// there a little longer, so it tries again.
const KEEPER: &str = r#"
cat >/dev/null
tries=0
until rm -rf "$1" 2>/dev/null || [ $tries -ge 100 ]; do tries=$((tries + 1)); sleep 0.1; done
"#;

/// Runs a server until it ends, sends it the signals named on standard input, and ends it when that ends.
/// The processes of a killed PostgreSQL are killed with it; stopped first, it cannot start more of them.
const SUPERVISOR: &str = r#"
log=$1 last=$2
shift 2
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
(
    while read -r signal; do
        if [ "$signal" = KILL ]; then
            kill -STOP $server
            kill -KILL $server $(cat /proc/$server/task/$server/children)
        else
            kill -"$signal" $server
        fi
    done
    kill -"$last" $server
    sleep 10
    kill -KILL $server
) <&3 2>/dev/null &
watcher=$!
wait $server
status=$?
kill $watcher
exit $status
"#;

/// Finds `program` in `PATH` and where Debian keeps servers; the error names the package.
pub(super) fn find(program: &str, package: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Debian puts PostgreSQL's programs, of several versions, outside PATH.
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    places.extend(versions.into_iter().map(|(_, bin)| bin));
    places.extend(["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"].map(PathBuf::from));
    let mut found = places.into_iter().map(|place| place.join(program));
    found.find(|file| file.is_file()).ok_or_else(|| {
        format!("`{program}` is missing; install it with: sudo apt-get install {package}")
    })
}

/// A user to run as.
#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// The user `postgres` if this process is root; else none, and programs run as who we are.
    pub(super) fn other_than_root() -> Result<Option<Self>, String> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let id = |of: &str| -> Option<u32> {
            let output = Command::new("id").args([of, "postgres"]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        match (id("-u"), id("-g")) {
            (Some(uid), Some(gid)) => Ok(Some(Self { uid, gid })),
            _ => Err(
                "this is root, and PostgreSQL and PgBouncer refuse to run as root; there is no user `postgres` \
                 to run them as: create it with `adduser --system --group postgres`, or run the tests as \
                 another user"
                    .to_owned(),
            ),
        }
    }
}

/// A directory of its own, removed when dropped or when this process ends.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    owner: Option<User>,
    keeper: Child,
}

impl Directory {
    pub(super) fn create(what: &str, owner: Option<User>) -> Result<Self, String> {
        let wrong = |error: io::Error| format!("cannot make a directory for {what}: {error}");
        let path = loop {
            let name = format!("tideway-{what}-{:08x}", random() as u32);
            let path = std::env::temp_dir().join(name);
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => break made.map(|()| path).map_err(wrong)?,
            }
        };
        // Before anything can fail: from here on it is removed.
        let keeper = shell(KEEPER)
            .arg(&path)
            .current_dir("/")
            .spawn()
            .map_err(wrong)?;
        let directory = Self {
            path,
            owner,
            keeper,
        };
        if let Some(user) = owner {
            chown(&directory.path, Some(user.uid), Some(user.gid)).map_err(wrong)?;
        }
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that the owner can read.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let file = self.path.join(name);
        fs::write(&file, text)
            .and_then(|()| match self.owner {
                Some(user) => chown(&file, Some(user.uid), Some(user.gid)),
                None => Ok(()),
            })
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        Ok(file)
    }

    /// Runs a program to its end as the owner, within [`START`], with `input` as its standard input.
    pub(super) fn run(&self, command: &mut Command, input: &str) -> Result<(), String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let wrong = |error: io::Error| format!("cannot run {name}: {error}");
        let input = self.write("input", input)?;
        let log = self.write("output", "")?;
        let said = fs::File::create(&log).map_err(wrong)?;
        command
            .stdin(fs::File::open(&input).map_err(wrong)?)
            .stdout(said.try_clone().map_err(wrong)?)
            .stderr(said);
        self.own(command);
        let mut child = command.spawn().map_err(wrong)?;
        match ended(&mut child, START) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("{name} failed, {status}:\n{}", tail(&log, 0))),
            None => {
                child.kill().and_then(|()| child.wait()).map_err(wrong)?;
                Err(format!(
                    "{name} took more than {START:?}:\n{}",
                    tail(&log, 0)
                ))
            }
        }
    }

    /// Has `command` run here, as the owner, and say what it says in English: some of it is looked for.
    fn own(&self, command: &mut Command) {
        command.current_dir(&self.path).env("LC_ALL", "C");
        if let Some(user) = self.owner {
            command.uid(user.uid).gid(user.gid);
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It gives up by itself.
        let _ = self.keeper.wait();
    }
}

/// How to run a server.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) args: Vec<String>,
    /// What it logs once it serves. Its log, not its port, is watched: another process's server may have
    /// taken the port a moment before.
    pub(super) ready: &'static str,
    /// The signal that stops it in order.
    pub(super) stop: &'static str,
    /// The signal that ends it at once and leaves nothing behind.
    pub(super) end: &'static str,
}

/// A server process and what it needs to be started again.
#[derive(Debug)]
pub(super) struct Server {
    program: Program,
    port: u16,
    // Before the directory, so that the server is gone when that is removed.
    running: Option<Running>,
    directory: Directory,
}

impl Server {
    /// Starts what `program` describes on a free port, and on another one if that was taken meanwhile.
    pub(super) fn start(
        what: &str,
        owner: Option<User>,
        mut program: impl FnMut(&Directory, u16) -> Result<Program, String>,
    ) -> Result<Self, String> {
        let until = Instant::now() + START;
        loop {
            let directory = Directory::create(what, owner)?;
            let port = free_port()?;
            let mut server = Self {
                program: program(&directory, port)?,
                port,
                running: None,
                directory,
            };
            match server.run() {
                Ok(()) => return Ok(server),
                Err(error) if error.contains(PORT_TAKEN) && Instant::now() < until => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn runs(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.signal("KILL");
            running.ended();
        }
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.signal(self.program.stop);
            running.ended();
        }
    }

    /// Starts it again on its port and data, stopping it first if it runs.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        self.stop();
        let until = Instant::now() + START;
        loop {
            match self.run() {
                Err(error)
                    if (error.contains(OLD_GOES) || error.contains(PORT_TAKEN))
                        && Instant::now() < until =>
                {
                    sleep(10 * POLL);
                }
                done => return done,
            }
        }
    }

    /// Starts the process and waits until it serves.
    fn run(&mut self) -> Result<(), String> {
        let program = &self.program;
        let name = program.path.display();
        let log = self.directory.path().join("log");
        let from = fs::metadata(&log).map_or(0, |log| log.len());
        let mut shell = shell(SUPERVISOR);
        shell.arg(&log).arg(program.end);
        shell.arg(&program.path).args(&program.args);
        self.directory.own(&mut shell);
        let child = shell
            .spawn()
            .map_err(|error| format!("cannot run {name}: {error}"))?;
        let mut running = Running {
            supervisor: child,
            end: program.end,
        };
        let until = Instant::now() + START;
        loop {
            // Asked first: what it said last is in the log by then.
            let over = ended(&mut running.supervisor, Duration::ZERO);
            if let Some(status) = over {
                let said = tail(&log, from);
                return Err(format!("{name} ended at its start, {status}:\n{said}"));
            }
            if read(&log, from).contains(program.ready) {
                self.running = Some(running);
                return Ok(());
            }
            if Instant::now() >= until {
                let said = tail(&log, from);
                return Err(format!("{name} does not serve after {START:?}:\n{said}"));
            }
            sleep(POLL);
        }
    }
}

/// A server that runs, ended when dropped.
#[derive(Debug)]
struct Running {
    supervisor: Child,
    end: &'static str,
}

impl Running {
    /// Has the supervisor send a signal; it is gone if the server is.
    fn signal(&mut self, signal: &str) {
        if let Some(pipe) = &mut self.supervisor.stdin {
            let _ = writeln!(pipe, "{signal}");
        }
    }

    /// Waits for the end, and brings it about when that takes too long.
    fn ended(&mut self) {
        if ended(&mut self.supervisor, STOP).is_none() {
            self.signal("KILL");
            ended(&mut self.supervisor, STOP);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if ended(&mut self.supervisor, Duration::ZERO).is_none() {
            self.signal(self.end);
            self.ended();
        }
    }
}

/// A shell in a process group of its own, so that Ctrl-C ends the tests first and it can clear away.
fn shell(script: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script, "sh"]).process_group(0);
    shell.stdin(Stdio::piped());
    shell.stdout(Stdio::null()).stderr(Stdio::null());
    shell
}

/// How `child` ended, if it does within `time`.
fn ended(child: &mut Child, time: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + time;
    loop {
        // A failure to ask is one to wait for what is gone.
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Err(_) => return Some(ExitStatus::default()),
            Ok(None) if Instant::now() >= until => return None,
            Ok(None) => sleep(POLL),
        }
    }
}

/// A port of the loopback that nobody listens on. Below those that outgoing connections are given, so that
/// none of these takes the port of a killed server before it is back.
pub(crate) fn free_port() -> Result<u16, String> {
    for _ in 0..1000 {
        let port = 16_384 + (random() % 16_000) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port between 16384 and 32383 of 127.0.0.1 is free".to_owned())
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// What is in `file` from byte `from` on.
fn read(file: &Path, from: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = fs::File::open(file)
        && file.seek(SeekFrom::Start(from)).is_ok()
    {
        // What cannot be read was not said.
        let _ = file.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The end of what is in `file` from byte `from` on.
fn tail(file: &Path, from: u64) -> String {
    let length = fs::metadata(file).map_or(0, |file| file.len());
    read(file, from.max(length.saturating_sub(TAIL)))
}
