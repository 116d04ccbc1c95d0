//! What a server can be told, with its defaults; and how the environment tells it.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use socket2::SockRef;
use tideway_engine::parse_duration;
use tideway_engine::wire::Limits;

use crate::Bound;

/// Caps and deadlines of a server. Every queue and buffer has one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Deadlines of a connection by name. Defaults at [`Limits`].
    pub limits: Limits,
    /// How long requests in flight may take to end after a stop. Default 10 s.
    pub drain: Duration,
    /// How long readiness is false before the listener closes, for load balancers that poll.
    /// Default 0.
    pub lame_duck: Duration,
    /// Connections open at once; more wait in the kernel's backlog. Default 16 384.
    pub max_connections: usize,
    /// Header fields of a request. Default 100; one more is answered with 431.
    pub max_headers: usize,
    /// Bytes of a request head, first line included. Default 64 KiB; more is answered with 431. At
    /// least 8 KiB.
    pub max_head: usize,
    /// Streams open at once on an HTTP/2 connection. Default 128.
    pub max_streams: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            drain: Duration::from_secs(10),
            lame_duck: Duration::ZERO,
            max_connections: 16_384,
            max_headers: 100,
            max_head: 64 * 1024,
            max_streams: 128,
        }
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listen {
    /// A TCP address; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A TCP host name and port, such as `localhost:8080`. It is looked up when it is bound; of several
    /// addresses the first that binds is taken.
    Name(String),
    /// A Unix socket; a stale file of that name is removed if nobody listens on it.
    Unix(PathBuf),
    /// A socket bound by a service manager (systemd's `LISTEN_FDS`), by descriptor.
    Inherited(RawFd),
}

impl Listen {
    /// Binds with std, so that it works before any runtime runs. Looking up a name may block for as long
    /// as the system's resolver takes.
    pub fn bind(&self) -> io::Result<Bound> {
        let wrong = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {self}: {error}"))
        };
        match self {
            Listen::Tcp(addr) => tcp(&[*addr]).map_err(wrong),
            Listen::Name(name) => {
                let addrs: Vec<SocketAddr> = name.to_socket_addrs().map_err(wrong)?.collect();
                tcp(&addrs).map_err(wrong)
            }
            Listen::Unix(path) => {
                if std::os::unix::net::UnixStream::connect(path)
                    .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
                {
                    std::fs::remove_file(path).map_err(wrong)?;
                }
                UnixListener::bind(path).map(Bound::Unix).map_err(wrong)
            }
            Listen::Inherited(fd) => inherited(*fd).map_err(wrong),
        }
    }
}

/// How many connections may wait to be accepted; the kernel caps it (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

fn tcp(addrs: &[SocketAddr]) -> io::Result<Bound> {
    // It tries them in turn.
    let listener = TcpListener::bind(addrs)?;
    // std asks for 128, which a burst of clients overflows; asking again raises it.
    SockRef::from(&listener).listen(BACKLOG)?;
    Ok(Bound::Tcp(listener))
}

fn inherited(fd: RawFd) -> io::Result<Bound> {
    // SAFETY: the service manager passed this descriptor to us alone, and `config` hands it out once.
    let listener = unsafe { UnixListener::from_raw_fd(fd) };
    // The family decides what it really is: a Unix listener has a Unix address.
    match listener.local_addr() {
        Ok(_) => Ok(Bound::Unix(listener)),
        Err(_) => {
            let fd = std::os::fd::OwnedFd::from(listener);
            let listener = TcpListener::from(fd);
            listener.local_addr()?;
            Ok(Bound::Tcp(listener))
        }
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Listen::Tcp(addr) => addr.fmt(f),
            Listen::Name(name) => name.fmt(f),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
            Listen::Inherited(fd) => write!(f, "fd:{fd}"),
        }
    }
}

impl std::str::FromStr for Listen {
    type Err = String;

    /// `ADDR:PORT`, `NAME:PORT`, `unix:PATH` or `fd:N`. No name is looked up here.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err("unix: needs a path, such as unix:/run/app.sock".into());
            }
            return Ok(Listen::Unix(path.into()));
        }
        if let Some(fd) = text.strip_prefix("fd:") {
            return match fd.parse() {
                Ok(fd) if fd > 2 => Ok(Listen::Inherited(fd)),
                _ => Err(format!(
                    "`{fd}` is no descriptor; inherited sockets start at fd:3"
                )),
            };
        }
        if let Ok(addr) = text.parse() {
            return Ok(Listen::Tcp(addr));
        }
        match text.split_once(':') {
            Some((name, port)) if is_host_name(name) && port.parse::<u16>().is_ok() => {
                Ok(Listen::Name(text.into()))
            }
            _ => Err(format!(
                "`{text}` is no address and port; \
                 write 127.0.0.1:8080, [::1]:8080, localhost:8080 or unix:PATH"
            )),
        }
    }
}

/// Letters, digits, hyphens and dots (RFC 1123 §2.1), and the underscore that container networks like.
/// What looks like an IPv4 address and is none is no name either.
fn is_host_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    text.chars().all(allowed) && text.contains(|c: char| c.is_ascii_alphabetic())
}

/// What the environment says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen. Default 127.0.0.1:8080.
    pub listen: Listen,
    /// Everything else.
    pub options: Options,
}

/// A variable that says something it must not. Nothing is replaced by a default in silence.
#[derive(Debug, thiserror::Error)]
#[error("{variable}={value:?}: {reason}")]
pub struct ConfigError {
    variable: &'static str,
    value: String,
    reason: String,
}

impl From<ConfigError> for io::Error {
    fn from(error: ConfigError) -> Self {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

/// Reads `TIDEWAY_LISTEN` (or systemd's `LISTEN_FDS`), `TIDEWAY_DRAIN`, `TIDEWAY_LAME_DUCK`,
/// `TIDEWAY_MAX_CONNECTIONS`, `TIDEWAY_KEEP_ALIVE`, `TIDEWAY_HEADER_TIMEOUT` through `env`.
pub fn config(env: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
    fn read<T>(
        env: &impl Fn(&str) -> Option<String>,
        variable: &'static str,
        into: &mut T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<(), ConfigError> {
        if let Some(value) = env(variable) {
            *into = parse(&value).map_err(|reason| ConfigError {
                variable,
                value: value.clone(),
                reason,
            })?;
        }
        Ok(())
    }
    let duration = |text: &str| parse_duration(text).map_err(|error| error.to_string());
    let mut listen = Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 8080)));
    let mut options = Options::default();
    read(&env, "LISTEN_FDS", &mut listen, |text| match text {
        // sd_listen_fds(3): descriptors start at 3.
        "1" => Ok(Listen::Inherited(3)),
        _ => Err("exactly one socket can be served; pass 1".into()),
    })?;
    read(&env, "TIDEWAY_LISTEN", &mut listen, str::parse)?;
    read(&env, "TIDEWAY_DRAIN", &mut options.drain, duration)?;
    read(&env, "TIDEWAY_LAME_DUCK", &mut options.lame_duck, duration)?;
    read(
        &env,
        "TIDEWAY_KEEP_ALIVE",
        &mut options.limits.keep_alive,
        duration,
    )?;
    read(
        &env,
        "TIDEWAY_HEADER_TIMEOUT",
        &mut options.limits.header,
        duration,
    )?;
    read(
        &env,
        "TIDEWAY_MAX_CONNECTIONS",
        &mut options.max_connections,
        |text| match text.parse() {
            Ok(0) | Err(_) => Err("write a whole number from 1 up".into()),
            Ok(count) => Ok(count),
        },
    )?;
    Ok(Config { listen, options })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_value_is_refused_by_name() {
        let one = |name: &'static str, value: &'static str| {
            config(move |asked| (asked == name).then(|| value.to_owned()))
        };
        for (name, bad) in [
            ("TIDEWAY_LISTEN", "80x"),
            ("TIDEWAY_LISTEN", "localhost"),
            ("TIDEWAY_LISTEN", "localhost:"),
            ("TIDEWAY_LISTEN", "localhost:99999"),
            ("TIDEWAY_LISTEN", ":8080"),
            ("TIDEWAY_LISTEN", "a b:8080"),
            ("TIDEWAY_LISTEN", "::1:8080"),
            ("TIDEWAY_LISTEN", "1.2.3:8080"),
            ("TIDEWAY_LISTEN", "http://localhost:8080"),
            ("TIDEWAY_LISTEN", "unix:"),
            ("TIDEWAY_LISTEN", "fd:1"),
            ("TIDEWAY_DRAIN", "5 apples"),
            ("TIDEWAY_DRAIN", ""),
            ("TIDEWAY_MAX_CONNECTIONS", "0"),
            ("TIDEWAY_MAX_CONNECTIONS", "-1"),
            ("LISTEN_FDS", "2"),
        ] {
            let error = one(name, bad).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
        let config = one("TIDEWAY_LISTEN", "[::1]:0").expect("a good address");
        assert_eq!(config.listen.to_string(), "[::1]:0");
        let config = one("TIDEWAY_LISTEN", "my_app.example:80").expect("a good name");
        assert_eq!(config.listen, Listen::Name("my_app.example:80".into()));
        assert_eq!(config.listen.to_string(), "my_app.example:80");
        let config = one("TIDEWAY_DRAIN", "250ms").expect("a good duration");
        assert_eq!(config.options.drain, Duration::from_millis(250));
    }

    #[test]
    fn a_name_is_looked_up_when_it_is_bound() {
        let bound = "localhost:0".parse::<Listen>().map(|listen| listen.bind());
        let Ok(Ok(Bound::Tcp(listener))) = bound else {
            panic!("{bound:?}");
        };
        let addr = listener.local_addr().expect("it is bound");
        assert!(addr.ip().is_loopback(), "{addr}");
        // RFC 6761 §6.4: this name is nobody's, ever.
        let listen: Listen = "nobody.invalid:80".parse().expect("a good name");
        let error = listen.bind().expect_err("it has no address").to_string();
        assert!(error.contains("nobody.invalid:80"), "{error}");
    }
}
