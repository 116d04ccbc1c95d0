//! A Redis server of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::process::{Program, Server, find};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// What a Redis server writes to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing: a restart finds it empty.
    None,
    /// All, synced once a second: a lost machine loses about two seconds. So does a killed process while a sync
    /// is slow, since Redis then answers before it writes.
    EverySecond,
    /// All, synced before the answer.
    Always,
}

/// A running Redis server: on 127.0.0.1, with `maxmemory-policy noeviction` and no snapshots.
#[derive(Debug)]
pub struct RedisServer {
    server: Server,
    password: Option<String>,
}

impl RedisServer {
    /// Starts one.
    ///
    /// # Errors
    /// What kept it from starting: the package to install, or the end of its log.
    pub fn start(persistence: Persistence) -> Result<Self, String> {
        Self::start_with(persistence, &[])
    }

    /// Starts one with settings as in `redis.conf`, such as `("maxmemory", "64mb")` or
    /// `("requirepass", "secret")`, which override ours.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn start_with(persistence: Persistence, settings: &[(&str, &str)]) -> Result<Self, String> {
        Self::launch(persistence, settings, |_| Ok(Vec::new()))
    }

    /// Starts one, with settings that `more` makes up for every try.
    pub(super) fn launch(
        persistence: Persistence,
        settings: &[(&str, &str)],
        more: impl Fn(u16) -> Result<Vec<(&'static str, String)>, String>,
    ) -> Result<Self, String> {
        let path = find("redis-server", "redis-server")?;
        let (kept, synced) = match persistence {
            Persistence::None => ("no", "no"),
            Persistence::EverySecond => ("yes", "everysec"),
            Persistence::Always => ("yes", "always"),
        };
        let server = Server::start("redis", None, |directory, port| {
            let mut config = format!(
                "bind 127.0.0.1\n\
                 port {port}\n\
                 dir \"{}\"\n\
                 save \"\"\n\
                 maxmemory-policy noeviction\n\
                 appendonly {kept}\n\
                 appendfsync {synced}\n",
                directory.path().display(),
            );
            for (name, value) in more(port)? {
                config += &format!("{name} {value}\n");
            }
            for (name, value) in settings {
                config += &format!("{name} {value}\n");
            }
            let config = directory.write("redis.conf", &config)?;
            Ok(Program {
                path: path.clone(),
                args: vec![config.display().to_string()],
                ready: "Ready to accept connections",
                stop: "TERM",
                end: "KILL",
            })
        })?;
        let password = settings.iter().rfind(|(name, _)| *name == "requirepass");
        let password = password.map(|(_, value)| value.trim_matches('"').to_owned());
        Ok(Self { server, password })
    }

    /// Its URL, with the password if one was set.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}", self.port()),
            None => format!("redis://127.0.0.1:{}", self.port()),
        }
    }

    /// Its port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Its directory, with its log and its data.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.server.directory()
    }

    /// Kills it (`SIGKILL`), and waits until it is gone.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Stops it in order: what it persists is synced.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts it again on the same port and data, after stopping it if it runs.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn restart(&mut self) -> Result<(), String> {
        self.server.restart()
    }

    /// Whether it was neither killed nor stopped.
    pub(super) fn runs(&self) -> bool {
        self.server.runs()
    }

    /// The answer to a command without spaces in its arguments: `+OK`, a number, or the text itself.
    pub(super) fn ask(&self, command: &str) -> Result<String, String> {
        let told =
            |error: std::io::Error| format!("{} did not answer {command}: {error}", self.url());
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port())).map_err(told)?;
        stream.set_read_timeout(Some(ANSWER)).map_err(told)?;
        stream.set_write_timeout(Some(ANSWER)).map_err(told)?;
        let mut stream = BufReader::new(stream);
        let mut answer = String::new();
        let password = self.password.iter().map(|word| format!("AUTH {word}"));
        for line in password.chain([command.to_owned()]) {
            answer.clear();
            write!(stream.get_mut(), "{line}\r\n").map_err(told)?;
            stream.read_line(&mut answer).map_err(told)?;
            if answer.starts_with('-') {
                return Err(format!("{} answered {line}: {answer}", self.url()));
            }
        }
        let answer = answer.trim_end();
        let Some(length) = answer.strip_prefix('$').and_then(|n| n.parse().ok()) else {
            return Ok(answer.to_owned());
        };
        let mut text = String::new();
        stream
            .take(length)
            .read_to_string(&mut text)
            .map_err(told)?;
        Ok(text)
    }
}
