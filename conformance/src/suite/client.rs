//! A plain blocking HTTP/1 client over std's sockets: it does exactly what it is told, faults
//! included, and waits for nothing longer than [`LIMIT`].

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::claim::{LIMIT, fail};
use super::receives;
use super::reply::Reply;

/// One connection.
#[derive(Debug)]
pub struct Client<S = TcpStream> {
    stream: S,
    /// Received and not yet asked for.
    buf: Vec<u8>,
}

/// How what a connection sends came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server closed.
    Closed,
    /// The server reset.
    Reset,
    /// Nothing more came within the time allowed.
    Open,
}

impl Client<TcpStream> {
    /// Connects over TCP.
    #[must_use]
    #[track_caller]
    pub fn connect(addr: SocketAddr) -> Self {
        match TcpStream::connect_timeout(&addr, LIMIT) {
            Ok(stream) => {
                stream
                    .set_read_timeout(Some(LIMIT))
                    .expect("a limit above zero");
                stream
                    .set_write_timeout(Some(LIMIT))
                    .expect("a limit above zero");
                // Pieces are sent as they are told to be.
                stream.set_nodelay(true).expect("a connected socket");
                Self::new(stream)
            }
            Err(error) => fail(
                format!("a connection to {addr}"),
                error.to_string(),
                "a listening server accepts",
            ),
        }
    }

    /// Connects with a receive buffer of `bytes` or thereabouts, so that not reading is soon felt.
    #[must_use]
    #[track_caller]
    pub fn connect_narrow(addr: SocketAddr, bytes: usize) -> Self {
        let client = Self::connect(addr);
        rustix::net::sockopt::set_socket_recv_buffer_size(&client.stream, bytes)
            .expect("a receive buffer can be set");
        client
    }

    /// Ends our half of the connection.
    pub fn half_close(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Waits `within` for the end; `Open` if it does not come. What arrives is kept.
    pub fn ending(&mut self, within: Duration) -> Ending {
        let begun = Instant::now();
        loop {
            let left = within
                .saturating_sub(begun.elapsed())
                .max(Duration::from_millis(1));
            self.stream
                .set_read_timeout(Some(left))
                .expect("a limit above zero");
            let read = self.fill();
            self.stream
                .set_read_timeout(Some(LIMIT))
                .expect("a limit above zero");
            match read {
                Ok(0) => return Ending::Closed,
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ending::Open,
                    _ => return Ending::Reset,
                },
            }
            if begun.elapsed() >= within {
                return Ending::Open;
            }
        }
    }

    /// Fails unless the server ends the connection; returns how.
    #[track_caller]
    pub fn ends(&mut self, why: &str) -> Ending {
        match self.ending(LIMIT) {
            Ending::Open => fail(
                format!("the connection ends within {LIMIT:?}"),
                format!("it is open; unread: {:?}", self.seen()),
                why,
            ),
            ended => ended,
        }
    }

    /// Fails if anything comes, or the connection ends, within `time`.
    #[track_caller]
    pub fn hears_nothing(&mut self, time: Duration, why: &str) {
        let before = self.buf.len();
        let ended = self.ending(time);
        if ended != Ending::Open || self.buf.len() > before {
            fail(
                "no byte, and an open connection",
                format!("{ended:?}, {:?}", self.seen()),
                why,
            );
        }
    }
}

impl<S: Read + Write> Client<S> {
    /// A client on a connected stream.
    pub fn new(stream: S) -> Self {
        receives::exclude_this_thread();
        Self {
            stream,
            buf: Vec::new(),
        }
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(error) = self.try_send(bytes) {
            fail(
                "the server takes what we send",
                error.to_string(),
                "it has no reason not to",
            );
        }
    }

    /// Sends bytes to a server that may have closed.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends a GET, returns its response.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Reply {
        self.send(get(path));
        self.reply()
    }

    /// Sends a request with a body of known length, returns the response.
    #[track_caller]
    pub fn post(&mut self, path: &str, body: &[u8]) -> Reply {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: suite\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.send([head.as_bytes(), body].concat());
        self.reply()
    }

    /// The next response.
    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        self.reply_by(|bytes| Reply::whole(bytes, false))
    }

    /// The next response, which answers a HEAD.
    #[track_caller]
    pub fn reply_to_head(&mut self) -> Reply {
        self.reply_by(|bytes| Reply::whole(bytes, true))
    }

    /// The next response head; its body, if any, stays to be read.
    #[track_caller]
    pub fn head(&mut self) -> Reply {
        self.reply_by(Reply::head)
    }

    /// The next `count` bytes, which are no HTTP.
    #[track_caller]
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buf.len() < count {
            match self.fill() {
                Ok(0) => fail(
                    format!("{count} bytes"),
                    format!("the end, after {:?}", self.seen()),
                    "an open socket goes on",
                ),
                Ok(_) => {}
                Err(error) => fail(format!("{count} bytes"), error.to_string(), "it is awaited"),
            }
        }
        self.buf.drain(..count).collect()
    }

    #[track_caller]
    fn reply_by(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<Option<(Reply, usize)>, String>,
    ) -> Reply {
        const WHY: &str = "every request that was read is answered";
        loop {
            match parse(&self.buf) {
                Ok(Some((reply, len))) => {
                    self.buf.drain(..len);
                    return reply;
                }
                Ok(None) => {}
                Err(wrong) => fail("a well-formed response", wrong, WHY),
            }
            match self.fill() {
                Ok(0) => fail(
                    "a response",
                    format!("the end, after {:?}", self.seen()),
                    WHY,
                ),
                Ok(_) => {}
                Err(error) => fail(
                    "a response",
                    format!("{error}, after {:?}", self.seen()),
                    WHY,
                ),
            }
        }
    }

    /// Receives at least one byte more, unless that is the end.
    ///
    /// # Errors
    ///
    /// The socket's; a time-out after [`LIMIT`].
    pub fn fill(&mut self) -> std::io::Result<usize> {
        let old = self.buf.len();
        self.buf.resize(old + 64 * 1024, 0);
        let read = loop {
            match self.stream.read(&mut self.buf[old..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buf.truncate(old + *read.as_ref().unwrap_or(&0));
        read
    }

    /// What has come and was not asked for.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.buf
    }

    /// Forgets what has come; returns how many bytes that were.
    pub fn forget(&mut self) -> usize {
        let len = self.buf.len();
        self.buf.clear();
        len
    }

    /// The same, short, for a failure.
    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.buf[..self.buf.len().min(300)]).into_owned()
    }
}

/// A GET of `path`, as bytes.
#[must_use]
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: suite\r\n\r\n")
}
