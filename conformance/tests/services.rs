//! `scripts/services` starts servers that answer at the URLs it prints, and stops them again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/services");
/// The ports it uses, counted from the first.
const PORTS: [u16; 9] = [32, 33, 79, 80, 81, 82, 90, 91, 92];

/// Services apart from those of whoever works here; stopped when this test ends, however it does.
struct Services {
    base: u16,
    dir: tempfile::TempDir,
    keeper: Child,
}

impl Services {
    fn new() -> Self {
        let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        // Below the ports of other tests' servers.
        let base = (0..50_u32)
            .map(|n| 10_000 + ((std::process::id() + n) % 50 * 100) as u16)
            .find(|base| PORTS.iter().all(|port| free(base + port)))
            .expect("free ports");
        let dir = tempfile::tempdir().expect("a directory");
        // PostgreSQL runs as a user of its own if this is root.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).expect("ours");
        let keeper = Command::new("/bin/sh")
            .args(["-c", "cat >/dev/null; exec \"$0\" stop all", SCRIPT])
            .env("TIDEWAY_SERVICES", dir.path())
            .env("TIDEWAY_SERVICES_PORT", base.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell");
        Self { base, dir, keeper }
    }

    /// Whether a command of the script succeeded, and what it said.
    fn run(&self, args: &str) -> (bool, String) {
        let mut command = Command::new(SCRIPT);
        command.args(args.split(' ')).stdin(Stdio::null());
        command.env("TIDEWAY_SERVICES", self.dir.path());
        command.env("TIDEWAY_SERVICES_PORT", self.base.to_string());
        let (done, wait) = channel();
        std::thread::spawn(move || done.send(command.output()));
        // A server that kept its output would keep whoever reads it.
        let output = wait.recv_timeout(Duration::from_secs(300));
        let output = output.expect("it ends").expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&output.stderr);
        if !wrong.is_empty() {
            println!("scripts/services {args}: {wrong}");
        }
        (output.status.success(), said)
    }

    fn connect(&self, port: u16) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.base + port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(stream)
    }

    /// The first line of the answer of a Redis server.
    fn redis(&self, port: u16, command: &str) -> String {
        let mut stream = BufReader::new(self.connect(port).expect("it serves"));
        write!(stream.get_mut(), "{command}\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_line(&mut answer).expect("it answers");
        answer.trim_end().to_owned()
    }

    /// The letter of the first message of a PostgreSQL server: `R` lets `postgres` in.
    fn postgres(&self, port: u16) -> char {
        let mut stream = BufReader::new(self.connect(port).expect("it serves"));
        let startup = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        stream.get_mut().write_all(startup).expect("it reads");
        let answer = stream.fill_buf().expect("it answers");
        answer.first().copied().map_or(' ', char::from)
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It stops what still runs; its waits are bounded.
        let _ = self.keeper.wait();
    }
}

#[test]
fn services_start_answer_keep_their_data_and_stop() {
    let services = Services::new();
    let base = services.base;
    for round in 0..2 {
        let (started, said) = services.run("start all");
        assert!(started, "{said}");
        for url in [
            format!("redis://127.0.0.1:{}\n", base + 79),
            format!("redis-cluster://127.0.0.1:{}\n", base + 80),
            format!("postgres://postgres@127.0.0.1:{}/postgres\n", base + 32),
            format!("postgres://postgres@127.0.0.1:{}/postgres\n", base + 33),
        ] {
            assert!(said.contains(&url), "no {url} in {said}");
        }
        if round == 0 {
            assert_eq!(services.redis(79, "SET a b"), "+OK");
            // In slot 12182, the third master's.
            assert_eq!(services.redis(82, "SET foo bar"), "+OK");
        }
        assert_eq!(services.redis(79, "STRLEN a"), ":1");
        assert_eq!(services.redis(82, "STRLEN foo"), ":3");
        let moved = format!("-MOVED 12182 127.0.0.1:{}", base + 82);
        assert_eq!(services.redis(80, "GET foo"), moved);
        assert_eq!((services.postgres(32), services.postgres(33)), ('R', 'R'));
        let (running, said) = services.run("status");
        assert!(running && !said.contains("stopped"), "{said}");
        assert!(services.run("start redis").0, "what runs is left as it is");
        let (stopped, said) = services.run("stop all");
        assert!(stopped, "{said}");
        for port in PORTS {
            assert!(services.connect(port).is_err(), "{port} still serves");
        }
        assert!(!services.run("status").0);
    }
    assert!(!services.run("start nothing").0);
}
