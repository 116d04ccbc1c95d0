//! A blocking HTTP/1.1 client of a few lines: it shares no code with the server.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use crate::server::LIMIT;

pub(crate) struct Client(BufReader<TcpStream>);

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of a header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Client {
    pub(crate) fn connect(addr: &str) -> Self {
        let stream = TcpStream::connect(addr).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a time-out");
        Self(BufReader::new(stream))
    }

    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        self.send(method, path, headers, Some(body.len()));
        self.0.get_mut().write_all(body).expect("it reads");
        let mut reply = self.head().expect("an answer");
        if method != "HEAD" {
            reply.body = self.rest(&reply).expect("a whole body");
        }
        reply
    }

    /// The head of a request; without a length its body is chunked.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: Option<usize>,
    ) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &match length {
            Some(0) => "\r\n".to_owned(),
            Some(length) => format!("content-length: {length}\r\n\r\n"),
            None => "transfer-encoding: chunked\r\n\r\n".to_owned(),
        };
        self.0
            .get_mut()
            .write_all(head.as_bytes())
            .expect("it reads");
    }

    /// One chunk of a chunked body; an empty one is its end.
    pub(crate) fn chunk(&mut self, bytes: &[u8]) {
        let head = format!("{:x}\r\n", bytes.len());
        let whole = [head.as_bytes(), bytes, b"\r\n"].concat();
        self.0.get_mut().write_all(&whole).expect("it reads");
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The head of an answer; its body is still to be read.
    pub(crate) fn head(&mut self) -> io::Result<Reply> {
        let line = self.line()?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let body = Vec::new();
        Ok(Reply {
            status,
            headers,
            body,
        })
    }

    /// What is left of the body behind `head`.
    pub(crate) fn rest(&mut self, head: &Reply) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if head.header("transfer-encoding") == "chunked" {
            while self.next_chunk(&mut body)? {}
        } else if !matches!(head.status, 204 | 304) {
            let length = head.header("content-length").parse().expect("a length");
            body.resize(length, 0);
            self.0.read_exact(&mut body)?;
        }
        Ok(body)
    }

    /// Appends the next chunk of a chunked body; false at its end. A cut body is an error.
    pub(crate) fn next_chunk(&mut self, into: &mut Vec<u8>) -> io::Result<bool> {
        let line = self.line()?;
        let length = usize::from_str_radix(&line, 16).expect("the length of a chunk");
        let begun = into.len();
        into.resize(begun + length, 0);
        self.0.read_exact(&mut into[begun..])?;
        self.line()?;
        Ok(length > 0)
    }
}
