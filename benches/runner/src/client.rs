//! A blocking HTTP/1.1 client of the smallest kind: it sends prepared bytes and reads answers
//! that carry a `Content-Length`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::Outcome;
use crate::endpoint::Endpoint;

/// Where an answer in a buffer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) status: u16,
    pub(crate) head: usize,
    pub(crate) total: usize,
}

/// Finds the first complete answer's frame, `None` while its head is incomplete.
/// The body may still be missing: compare `total` with the buffer.
pub(crate) fn frame(buffer: &[u8]) -> Outcome<Option<Frame>> {
    let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&buffer[..end]).map_err(|e| format!("an answer's head: {e}"))?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|line| line.get(..3)?.parse().ok())
        .ok_or_else(|| format!("not an HTTP/1.1 answer: {text}"))?;
    let length: usize = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or_else(|| format!("an answer without Content-Length: {text}"))?;
    Ok(Some(Frame {
        status,
        head: end + 4,
        total: end + 4 + length,
    }))
}

/// One answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A keep-alive connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects; every later read gives up after `patience`.
    pub(crate) fn connect(at: SocketAddr, patience: Duration) -> Outcome<Client> {
        let stream = TcpStream::connect(at)
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .and_then(|stream| stream.set_read_timeout(Some(patience)).map(|()| stream))
            .map_err(|e| format!("connecting to {at}: {e}"))?;
        Ok(Client {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Makes closing send a reset, so that thousands of connections leave nothing behind.
    pub(crate) fn reset_on_close(&self) -> Outcome<()> {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        // SAFETY: the descriptor is open, the option outlives the call and has the size given.
        let result = unsafe {
            libc::setsockopt(
                self.stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                size_of::<libc::linger>() as libc::socklen_t,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err("SO_LINGER was refused".to_owned())
        }
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.stream
            .write_all(bytes)
            .map_err(|e| format!("sending: {e}"))
    }

    /// Reads the next answer.
    pub(crate) fn answer(&mut self) -> Outcome<Answer> {
        loop {
            if let Some(frame) = frame(&self.buffer)?
                && self.buffer.len() >= frame.total
            {
                let rest = self.buffer.split_off(frame.total);
                let whole = std::mem::replace(&mut self.buffer, rest);
                return Ok(Answer {
                    status: frame.status,
                    head: String::from_utf8_lossy(&whole[..frame.head]).into_owned(),
                    body: whole[frame.head..].to_vec(),
                });
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("the server closed the connection".to_owned()),
                Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
                Err(e) => return Err(format!("reading: {e}")),
            }
        }
    }

    /// Exchanges `count` requests of an endpoint, `depth` at a time, and checks every body.
    pub(crate) fn exchange(&mut self, endpoint: Endpoint, count: usize) -> Outcome<()> {
        let batch = endpoint.request().repeat(endpoint.depth());
        let expected = endpoint.body();
        for _ in 0..count / endpoint.depth() {
            self.send(&batch)?;
            for _ in 0..endpoint.depth() {
                let answer = self.answer()?;
                if answer.status != 200 || answer.body != expected {
                    return Err(format!("{}: wrong answer {}", endpoint.name(), answer.head));
                }
            }
        }
        Ok(())
    }

    /// Whether the server still holds the connection open.
    pub(crate) fn is_open(&self) -> bool {
        let would_block = |e: &std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
        self.stream.set_nonblocking(true).is_ok()
            && self.stream.peek(&mut [0]).is_err_and(|e| would_block(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_head_and_body() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 2\r\n\r\nhiHTTP";
        assert_eq!(
            frame(text).unwrap(),
            Some(Frame {
                status: 200,
                head: 38,
                total: 40
            })
        );
        assert_eq!(frame(&text[..30]).unwrap(), None);
    }
}
