//! `--store`: which store, read from its URL.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use tideway::jobs::DynJobStore;
use tideway_memory::Memory;
use tideway_sqlite::{Options, Sqlite};

/// Where the jobs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this process, and gone with it.
    Memory,
    /// In this file.
    Sqlite(PathBuf),
}

impl Place {
    /// Opens the store. A file that is not there is made only if `make` says so: a mistyped path is no
    /// empty store.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, for a person.
    pub fn open(&self, make: bool) -> io::Result<DynJobStore> {
        match self {
            Self::Memory => Ok(DynJobStore::new(Memory::default())),
            Self::Sqlite(path) if !make && !path.exists() => {
                let what = format!("{self}: there is no such file; `enqueue` or `work` makes it");
                Err(io::Error::new(io::ErrorKind::NotFound, what))
            }
            Self::Sqlite(path) => match Sqlite::open(path, Options::default()) {
                Ok(store) => Ok(DynJobStore::new(store)),
                Err(error) => Err(io::Error::other(format!("{self}: {error}"))),
            },
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("sqlite", _)) => Err("the path is missing: sqlite:PATH".to_owned()),
            _ => Err("no store of this program: write sqlite:PATH or memory:".to_owned()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_or_refused() {
        let read = |url: &str| url.parse::<Place>().ok().map(|place| place.to_string());
        for url in ["memory:", "sqlite:a.db", "sqlite:/tmp/a:b.db"] {
            assert_eq!(read(url).as_deref(), Some(url));
        }
        for url in [
            "", "sqlite", "sqlite:", "memory", "memory:x", "redis:x", "SQLITE:a",
        ] {
            assert_eq!(read(url), None, "{url}");
        }
    }
}
