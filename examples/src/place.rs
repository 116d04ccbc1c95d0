//! `--store`: which store, read from its URL.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use tideway::jobs::DynJobStore;
use tideway_driver::Net;
use tideway_memory::Memory;
use tideway_postgres::Postgres;
use tideway_redis::Redis;
use tideway_sqlite::Sqlite;

/// Where the jobs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this process, and gone with it.
    Memory,
    /// In this file.
    Sqlite(PathBuf),
    /// On this server: `postgres://user:password@host:port/database`.
    Postgres(String),
    /// On this server or cluster: `redis://:password@host:port`, `redis-cluster://host1:port,host2:port`.
    Redis(String),
}

/// How a server is used.
#[derive(Args, Clone, Debug, Default)]
pub struct Access {
    /// The schema on PostgreSQL or prefix on Redis, for several programs on one server; `tideway` unless set
    #[arg(long, global = true, value_name = "NAME")]
    pub space: Option<String>,
    /// The address is that of a pooler before PostgreSQL in transaction mode, as PgBouncer
    #[arg(long, global = true)]
    pub pooled: bool,
}

impl Place {
    /// Opens the store with the network of a runtime. What is not there yet (a file, a schema) is made only if
    /// `make` says so: a mistyped path is no empty store. Programs of different spaces on one server know nothing
    /// of each other.
    ///
    /// # Errors
    ///
    /// What is wrong with the file or server, for a person.
    pub async fn open(&self, net: Net, access: &Access, make: bool) -> io::Result<DynJobStore> {
        let Access { space, pooled } = access;
        match self {
            Self::Postgres(url) => {
                let mut options = tideway_postgres::Options::default()
                    .migrate(make)
                    .pooled(*pooled);
                if let Some(space) = space {
                    options = options.schema(space);
                }
                let store = Postgres::open(net, url, options).await;
                store
                    .map(DynJobStore::new)
                    .map_err(|error| self.failed(error))
            }
            _ if *pooled => Err(self.failed("`--pooled` is for PostgreSQL")),
            Self::Redis(url) => {
                let mut options = tideway_redis::Options::default();
                if let Some(space) = space {
                    options = options.prefix(space);
                }
                let store = Redis::open(net, url, options).await;
                store
                    .map(DynJobStore::new)
                    .map_err(|error| self.failed(error))
            }
            _ if space.is_some() => {
                Err(self.failed("`--space` is for a server: a file is one by itself"))
            }
            _ => self.open_here(make),
        }
    }

    /// Opens a store that needs no network, and so no runtime.
    ///
    /// # Errors
    ///
    /// As [`open`](Place::open), and that it is on a server.
    pub fn open_here(&self, make: bool) -> io::Result<DynJobStore> {
        match self {
            Self::Memory => Ok(DynJobStore::new(Memory::default())),
            Self::Sqlite(path) if !make && !path.exists() => {
                let what = format!("{self}: there is no such file; `enqueue` or `work` makes it");
                Err(io::Error::new(io::ErrorKind::NotFound, what))
            }
            Self::Sqlite(path) => Sqlite::open(path, tideway_sqlite::Options::default())
                .map(DynJobStore::new)
                .map_err(|error| self.failed(error)),
            Self::Postgres(_) | Self::Redis(_) => {
                Err(self.failed("this program keeps its jobs in sqlite:PATH or memory:"))
            }
        }
    }

    fn failed(&self, error: impl fmt::Display) -> io::Error {
        io::Error::other(format!("{self}: {error}"))
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("sqlite", _)) => Err("the path is missing: sqlite:PATH".to_owned()),
            Some(("postgres" | "postgresql", rest)) if named(rest) => Ok(Self::Postgres(url.into())),
            Some(("redis" | "redis-cluster", rest)) if named(rest) => Ok(Self::Redis(url.into())),
            Some((scheme @ ("postgres" | "postgresql" | "redis" | "redis-cluster"), _)) => {
                Err(format!("the server is missing: {scheme}://HOST:PORT"))
            }
            _ => Err(
                "no store of this program: write sqlite:PATH, postgres://HOST/DATABASE, redis://HOST, redis-cluster://HOST,HOST or memory:"
                    .to_owned(),
            ),
        }
    }
}

/// Whether a server is named after the scheme.
fn named(rest: &str) -> bool {
    rest.strip_prefix("//").is_some_and(|rest| !rest.is_empty())
}

impl fmt::Display for Place {
    /// Without the password, since it is shown and logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) | Self::Redis(url) => {
                let (scheme, rest) = url.split_once("//").unwrap_or(("", url));
                let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                write!(f, "{scheme}//{host}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_or_refused() {
        let read = |url: &str| url.parse::<Place>().ok().map(|place| place.to_string());
        for url in [
            "memory:",
            "sqlite:a.db",
            "sqlite:/tmp/a:b.db",
            "postgres://localhost/a",
            "redis://localhost:6379",
            "redis-cluster://a:1,b:2",
        ] {
            assert_eq!(read(url).as_deref(), Some(url));
        }
        for url in [
            "",
            "sqlite",
            "sqlite:",
            "memory",
            "memory:x",
            "redis:x",
            "redis://",
            "SQLITE:a",
            "mysql://a",
        ] {
            assert_eq!(read(url), None, "{url}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let place: Place = "postgres://me:secret@host:5432/db".parse().expect("a URL");
        assert_eq!(place.to_string(), "postgres://host:5432/db");
    }
}
