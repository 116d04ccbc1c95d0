//! The server's answer to a handshake, read from bytes as they come (RFC 9112): the head under its caps, and the
//! beginning of a refusal's body. It holds no more than the caps, and how the bytes were cut makes no difference.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

/// The largest head, in bytes, those of interim answers included.
pub(super) const MAX_HEAD: usize = 16 << 10;
/// The most headers in one head.
pub(super) const MAX_HEADERS: usize = 100;
/// How much of a refusal's body is kept, in bytes.
pub(super) const MAX_BODY: usize = 1 << 10;
/// How much of a body is read, with what is around its chunks.
const MAX_RAW: usize = 4 * MAX_BODY;

const VERSION: &[u8] = b"HTTP/1.1 ";

/// What a server said, as far as it came.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// What came and is not read yet.
    bytes: Vec<u8>,
    /// Where no head ends before.
    scanned: usize,
    /// Bytes of interim answers.
    interim: usize,
    refused: Option<Refused>,
}

/// An answer that opens no socket.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    headers: HeaderMap,
    framing: Framing,
}

/// Where a body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

/// What an answer turned out to be.
#[derive(Debug)]
pub(super) enum Read {
    /// More is to come.
    Partly,
    /// 101, and the bytes behind it.
    Switched(HeaderMap, Vec<u8>),
    /// Anything else.
    Refused(Response<Bytes>),
    /// Not the HTTP that a client takes.
    Bad(&'static str),
}

impl Answer {
    /// Whether a head is complete, so that only the body of a refusal is awaited.
    pub(super) fn is_refusal(&self) -> bool {
        self.refused.is_some()
    }

    /// Bytes came. Once it is not `Partly`, that is all.
    pub(super) fn handle_rx(&mut self, bytes: &[u8]) -> Read {
        self.bytes.extend_from_slice(bytes);
        loop {
            if self.refused.is_some() {
                return self.body(false);
            }
            let begun = VERSION.len().min(self.bytes.len());
            if self.bytes[..begun] != VERSION[..begun] {
                return Read::Bad("it does not begin as one of HTTP/1.1");
            }
            let most = MAX_HEAD - self.interim;
            let Some(end) = self.end().filter(|end| *end <= most) else {
                if self.bytes.len() >= most {
                    return Read::Bad("its head is over 16 KiB");
                }
                return Read::Partly;
            };
            let rest = self.bytes.split_off(end);
            let head = std::mem::replace(&mut self.bytes, rest);
            let (status, headers) = match parse(&head) {
                Ok(parsed) => parsed,
                Err(why) => return Read::Bad(why),
            };
            if status == StatusCode::SWITCHING_PROTOCOLS {
                return Read::Switched(headers, std::mem::take(&mut self.bytes));
            }
            self.scanned = 0;
            if status.is_informational() {
                // RFC 9110 §15.2: any number of them may come first.
                self.interim += end;
                continue;
            }
            let Ok(framing) = framing(status, &headers) else {
                return Read::Bad("the length of its body is malformed");
            };
            self.refused = Some(Refused {
                status,
                headers,
                framing,
            });
        }
    }

    /// No more will come, or is waited for: a refusal is one without the rest of its body.
    pub(super) fn handle_end(&mut self) -> Option<Response<Bytes>> {
        match self.body(true) {
            Read::Refused(answer) => Some(answer),
            _ => None,
        }
    }

    /// Where the head ends: behind an empty line.
    fn end(&mut self) -> Option<usize> {
        for at in self.scanned..self.bytes.len() {
            if self.bytes[at] == b'\n' {
                let line = self.bytes[..at].strip_suffix(b"\r");
                if line.unwrap_or(&self.bytes[..at]).ends_with(b"\n") {
                    return Some(at + 1);
                }
            }
        }
        self.scanned = self.bytes.len();
        None
    }

    fn body(&mut self, ended: bool) -> Read {
        let Some(refused) = &mut self.refused else {
            return Read::Partly;
        };
        self.bytes.truncate(MAX_RAW);
        let (body, complete) = match refused.framing {
            Framing::Length(len) => {
                let len = len.min(MAX_BODY);
                (
                    self.bytes[..len.min(self.bytes.len())].to_vec(),
                    self.bytes.len() >= len,
                )
            }
            Framing::Chunked => unchunked(&self.bytes),
            Framing::Close => {
                let here = self.bytes.len().min(MAX_BODY);
                (self.bytes[..here].to_vec(), here == MAX_BODY)
            }
        };
        if !(complete || ended || self.bytes.len() == MAX_RAW) {
            return Read::Partly;
        }
        let mut answer = Response::new(body.into());
        *answer.status_mut() = refused.status;
        *answer.headers_mut() = std::mem::take(&mut refused.headers);
        Read::Refused(answer)
    }
}

fn parse(head: &[u8]) -> Result<(StatusCode, HeaderMap), &'static str> {
    let mut parsed = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut parsed);
    let status = match answer.parse(head) {
        Ok(httparse::Status::Complete(_)) => answer.code.unwrap_or_default(),
        Err(httparse::Error::TooManyHeaders) => return Err("it has over 100 headers"),
        _ => return Err("its head is malformed"),
    };
    let status = StatusCode::from_u16(status).map_err(|_| "its status is none")?;
    let mut headers = HeaderMap::new();
    for line in answer.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes());
        let value = HeaderValue::from_bytes(line.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err("its head is malformed");
        };
        headers.append(name, value);
    }
    Ok((status, headers))
}

fn framing(status: StatusCode, headers: &HeaderMap) -> Result<Framing, ()> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Length(0));
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(Framing::Chunked);
    }
    let Some(length) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(Framing::Close);
    };
    let length = length.to_str().map_err(|_| ())?;
    Ok(Framing::Length(length.parse().map_err(|_| ())?))
}

/// What chunks hold (RFC 9112 §7.1), up to the cap, and whether that is all that is wanted.
fn unchunked(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete((start, size))) => (start, size),
            Ok(httparse::Status::Partial) => return (body, false),
            // A body is for people: what can be read of it will do.
            Err(_) => return (body, true),
        };
        let data = &bytes[start..];
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let wanted = size.min(MAX_BODY - body.len());
        body.extend_from_slice(&data[..wanted.min(data.len())]);
        if size == 0 || body.len() == MAX_BODY {
            return (body, true);
        }
        let Some(after) = data.get(size..) else {
            return (body, false);
        };
        match after {
            [b'\r', b'\n', rest @ ..] => bytes = rest,
            [] | [b'\r'] => return (body, false),
            _ => return (body, true),
        }
    }
}

#[cfg(test)]
mod tests;
