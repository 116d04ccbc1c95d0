//! The server that all queues share, and how it is emptied between them.

/// The servers of the tests, without the rest of their crate.
#[path = "../../../../conformance/src/servers"]
#[allow(dead_code)]
mod servers {
    pub(super) mod postgres;
    mod process;
    pub(super) mod redis;
}

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use servers::postgres::PostgresServer;
use servers::redis::{Persistence, RedisServer};

use super::peer::Store;
use crate::Outcome;

/// How long emptying may take.
const LONGEST: Duration = Duration::from_secs(60);

/// What the server promises of that which it accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// Redis, append-only file synced every second.
    Aof,
    /// Redis, nothing on disk.
    Memory,
    /// PostgreSQL, all synced before the answer.
    Synced,
}

impl Keeping {
    pub(crate) fn of(store: Store) -> &'static [Keeping] {
        match store {
            Store::Redis => &[Keeping::Aof, Keeping::Memory],
            Store::Postgres => &[Keeping::Synced],
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Keeping::Aof => "aof",
            Keeping::Memory => "memory",
            Keeping::Synced => "synced",
        }
    }

    /// For the report.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Keeping::Aof => {
                "Redis, `appendonly yes`, `appendfsync everysec`, no rewrite of the file during a run"
            }
            Keeping::Memory => "Redis, `appendonly no`, no snapshots",
            Keeping::Synced => {
                "PostgreSQL, `fsync on`, `synchronous_commit on`, `shared_buffers 256MB`"
            }
        }
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) enum Server {
    Redis(RedisServer, Keeping),
    Postgres(PostgresServer),
}

impl Server {
    pub(crate) fn start(keeping: Keeping) -> Outcome<Self> {
        let redis = |persistence| {
            // A rewrite would fall into whichever run comes when the file is large enough.
            let settings = [("auto-aof-rewrite-percentage", "0")];
            let server = RedisServer::start_with(persistence, &settings)?;
            Ok(Server::Redis(server, keeping))
        };
        match keeping {
            Keeping::Aof => redis(Persistence::EverySecond),
            Keeping::Memory => redis(Persistence::None),
            Keeping::Synced => {
                let settings = [("shared_buffers", "256MB")];
                PostgresServer::start_with(&settings).map(Server::Postgres)
            }
        }
    }

    /// Where the queues go.
    pub(crate) fn url(&self) -> String {
        match self {
            Server::Redis(server, _) => server.url(),
            Server::Postgres(server) => {
                format!("postgres://postgres@127.0.0.1:{}/bench", server.port())
            }
        }
    }

    /// The first of its processes.
    pub(crate) fn pid(&self) -> Outcome<u32> {
        let text = match self {
            Server::Redis(server, _) => info(server, "server", "process_id")?,
            Server::Postgres(server) => {
                let file = server.directory().join("data/postmaster.pid");
                std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?
            }
        };
        let line = text.lines().next().unwrap_or_default();
        let pid = line.trim().parse();
        pid.map_err(|e| format!("the server's process `{line}`: {e}"))
    }

    /// Its version.
    pub(crate) fn version(&self) -> Outcome<String> {
        match self {
            Server::Redis(server, _) => Ok(format!(
                "Redis {}",
                info(server, "server", "redis_version")?
            )),
            Server::Postgres(server) => Ok(format!(
                "PostgreSQL {}",
                psql(server, "SHOW server_version")?
            )),
        }
    }

    /// Empties it, and has it write down what it owes the disk, so that no run pays for another's.
    pub(crate) fn empty(&self) -> Outcome<()> {
        match self {
            Server::Redis(server, keeping) => {
                ask(server, "FLUSHALL SYNC")?;
                if *keeping == Keeping::Aof {
                    ask(server, "BGREWRITEAOF")?;
                    let until = Instant::now() + LONGEST;
                    while info(server, "persistence", "aof_rewrite_in_progress")? != "0"
                        || info(server, "persistence", "aof_rewrite_scheduled")? != "0"
                    {
                        if Instant::now() > until {
                            return Err("Redis does not end rewriting its file".to_owned());
                        }
                        sleep(Duration::from_millis(50));
                    }
                }
            }
            Server::Postgres(server) => {
                for statement in [
                    "DROP DATABASE IF EXISTS bench WITH (FORCE)",
                    "CREATE DATABASE bench",
                    "CHECKPOINT",
                ] {
                    psql(server, statement)?;
                }
            }
        }
        Ok(())
    }

    /// Transactions since [`Server::empty`]; `None` of Redis.
    pub(crate) fn transactions(&self) -> Outcome<Option<f64>> {
        let Server::Postgres(server) = self else {
            return Ok(None);
        };
        // A session that ended tells its counts as it ends.
        sleep(Duration::from_millis(300));
        let counted = psql(
            server,
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'bench'",
        )?;
        let counted = counted.parse().map_err(|e| format!("`{counted}`: {e}"))?;
        Ok(Some(counted))
    }
}

fn psql(server: &PostgresServer, statement: &str) -> Outcome<String> {
    let out = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["--set", "ON_ERROR_STOP=1", "--command", statement])
        .arg(server.url())
        .output()
        .map_err(|e| format!("cannot start psql (package postgresql-client): {e}"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        return Err(format!("psql: {statement}: {said}"));
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

fn info(server: &RedisServer, section: &str, key: &str) -> Outcome<String> {
    let text = ask(server, &format!("INFO {section}"))?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| *name == key);
    let (_, value) = found.ok_or_else(|| format!("Redis tells no {key}"))?;
    Ok(value.trim().to_owned())
}

/// One command without spaces in its arguments.
fn ask(server: &RedisServer, command: &str) -> Outcome<String> {
    let told = |e: std::io::Error| format!("Redis did not answer {command}: {e}");
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).map_err(told)?;
    stream.set_read_timeout(Some(LONGEST)).map_err(told)?;
    let mut stream = BufReader::new(stream);
    write!(stream.get_mut(), "{command}\r\n").map_err(told)?;
    let mut answer = String::new();
    stream.read_line(&mut answer).map_err(told)?;
    if answer.starts_with('-') {
        return Err(format!("Redis answered {command}: {answer}"));
    }
    let length = answer.trim_end().strip_prefix('$');
    if let Some(length) = length.and_then(|length| length.parse().ok()) {
        answer.clear();
        stream
            .take(length)
            .read_to_string(&mut answer)
            .map_err(told)?;
    }
    Ok(answer)
}
