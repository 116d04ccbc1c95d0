//! What the server spent: processor time of all its processes, commands and bytes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A running server, looked at from outside.
#[derive(Debug, Clone)]
pub struct Server {
    pid: u32,
    /// Where Redis is asked for its own counts.
    redis: Option<String>,
    port: u16,
}

/// What there was so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    /// On all processors, in the kernel too, of all its processes.
    pub cpu: Duration,
    /// To the server and from it.
    pub bytes: u64,
    /// Commands, of Redis only.
    pub commands: u64,
}

impl Server {
    /// The one at `url` whose first process is `pid`.
    ///
    /// # Panics
    /// If the URL has no port.
    #[must_use]
    pub fn new(url: &str, pid: u32) -> Self {
        let place = url.split("://").nth(1).expect("a URL");
        let place = place.rsplit('@').next().expect("a place");
        let place = place.split('/').next().expect("a place");
        let port = place.rsplit(':').next().and_then(|port| port.parse().ok());
        Self {
            pid,
            redis: url.starts_with("redis:").then(|| place.to_owned()),
            port: port.expect("the URL has a port"),
        }
    }

    /// What it has spent so far. Bytes are of Redis's own count, else those of the sockets that this process
    /// has open to it.
    ///
    /// # Panics
    /// If the server is gone.
    #[must_use]
    pub fn spent(&self) -> Spent {
        let cpu = processes(self.pid);
        if self.redis.is_none() {
            return Spent {
                cpu,
                bytes: sockets(self.port),
                commands: 0,
            };
        }
        let info = self.info("stats").expect("Redis tells");
        let count = |key| number(&info, key).expect("Redis counts");
        Spent {
            cpu,
            bytes: count("total_net_input_bytes") + count("total_net_output_bytes"),
            commands: count("total_commands_processed"),
        }
    }

    /// Bytes that Redis holds; `None` of another server.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        number(&self.info("memory")?, "used_memory")
    }

    fn info(&self, section: &str) -> Option<String> {
        let mut stream = BufReader::new(TcpStream::connect(self.redis.as_ref()?).ok()?);
        write!(stream.get_mut(), "INFO {section}\r\n").ok()?;
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let length = line.trim_end().strip_prefix('$')?.parse().ok()?;
        let mut text = String::new();
        stream.take(length).read_to_string(&mut text).ok()?;
        Some(text)
    }
}

fn number(info: &str, key: &str) -> Option<u64> {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| *name == key)?.1.trim().parse().ok()
}

/// Processor time of `pid` and its children, those that have ended too.
fn processes(pid: u32) -> Duration {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let live = children.split_whitespace().filter_map(ticks);
    let (own, ended) = ticks(&pid.to_string()).expect("the server runs");
    let ticks = own + ended + live.map(|(own, ended)| own + ended).sum::<u64>();
    // SAFETY: the call reads a constant of the system.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as u64;
    Duration::from_nanos(ticks * 1_000_000_000 / per_second)
}

/// Of the process, and of its children that have ended and were waited for.
fn ticks(pid: &str) -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may have spaces; after it comes field 3.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some((field(14)? + field(15)?, field(16)? + field(17)?))
}

/// Bytes acknowledged and received by the sockets that this process has connected to `port`.
fn sockets(port: u16) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
    {
        let fd = entry.file_name();
        if let Some(fd) = fd.to_str().and_then(|fd| fd.parse().ok()) {
            bytes += socket(fd, port).unwrap_or(0);
        }
    }
    bytes
}

fn socket(fd: i32, port: u16) -> Option<u64> {
    // Where the kernel's `struct tcp_info` has `tcpi_bytes_acked` and, after it, `tcpi_bytes_received`.
    const ACKED: usize = 120;
    let mut info = [0_u8; 136];
    // SAFETY: each call writes at most the length it is given into the struct it is given; a descriptor that
    // is no connected TCP socket is refused.
    unsafe {
        let mut peer: libc::sockaddr_in = std::mem::zeroed();
        let mut length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        let peer_at = (&raw mut peer).cast();
        if libc::getpeername(fd, peer_at, &raw mut length) != 0
            || i32::from(peer.sin_family) != libc::AF_INET
            || u16::from_be(peer.sin_port) != port
        {
            return None;
        }
        let mut length = info.len() as libc::socklen_t;
        let (level, name) = (libc::IPPROTO_TCP, libc::TCP_INFO);
        let told = libc::getsockopt(fd, level, name, (&raw mut info).cast(), &raw mut length);
        if told != 0 || (length as usize) < info.len() {
            return None;
        }
    }
    let count = |at: usize| u64::from_ne_bytes(info[at..at + 8].try_into().expect("8 bytes"));
    Some(count(ACKED) + count(ACKED + 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_in_a_url() {
        let server = Server::new("postgres://postgres@127.0.0.1:5433/bench", 1);
        assert_eq!((server.port, server.redis), (5433, None));
        let server = Server::new("redis://127.0.0.1:7000", 1);
        assert_eq!(server.redis.as_deref(), Some("127.0.0.1:7000"));
    }

    #[test]
    fn own_bytes_are_counted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(&[7; 1000]).unwrap();
        server.read_exact(&mut [0; 1000]).unwrap();
        server.write_all(&[7; 500]).unwrap();
        client.read_exact(&mut [0; 500]).unwrap();
        // The kernel counts the handshake's byte as acknowledged.
        assert!((1500..=1501).contains(&sockets(port)));
    }

    #[test]
    fn own_processor_time_is_counted() {
        let busy = std::time::Instant::now();
        while busy.elapsed() < Duration::from_millis(200) {}
        assert!(processes(std::process::id()) > Duration::ZERO);
    }
}
