//! HTTP/1 responses as a client reads them: a pure parser of bytes that have come so far.

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header fields, in order.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

/// How the body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Empty,
    Length(usize),
    Chunked,
    /// The connection's end is the body's; no answer of ours is framed so.
    Close,
}

impl Reply {
    /// The first field of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |(field, _): &&(String, String)| field.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(named)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether it says that the connection will be closed.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// One line for a failure: status, fields, body.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = self.text();
        text.truncate(300);
        format!("{} {:?} {text:?}", self.status, self.headers)
    }

    /// The head at the start of `bytes` and its length; `None` if more must come.
    ///
    /// # Errors
    ///
    /// Says what is wrong with bytes that can never become a response.
    pub fn head(bytes: &[u8]) -> Result<Option<(Reply, usize)>, String> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut fields);
        let len = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => {
                let start = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
                return Err(format!("{error}: {start:?}"));
            }
        };
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = parsed.headers.iter();
        let reply = Reply {
            status: parsed.code.unwrap_or(0),
            headers: headers
                .map(|field| (field.name.to_owned(), text(field.value)))
                .collect(),
            body: Vec::new(),
        };
        Ok(Some((reply, len)))
    }

    /// The whole response at the start of `bytes` and its length; `None` if more must come.
    /// The answer to HEAD has no body whatever its fields say.
    ///
    /// # Errors
    ///
    /// Says what is wrong with bytes that can never become a response.
    pub fn whole(bytes: &[u8], to_head: bool) -> Result<Option<(Reply, usize)>, String> {
        let Some((mut reply, head)) = Self::head(bytes)? else {
            return Ok(None);
        };
        let rest = &bytes[head..];
        match reply.framing(to_head)? {
            Framing::Empty => Ok(Some((reply, head))),
            Framing::Length(len) if rest.len() < len => Ok(None),
            Framing::Length(len) => {
                reply.body = rest[..len].to_vec();
                Ok(Some((reply, head + len)))
            }
            Framing::Chunked => Ok(unchunk(rest)?.map(|(body, len)| {
                reply.body = body;
                (reply, head + len)
            })),
            Framing::Close => Err(format!("a body without framing: {:?}", reply.headers)),
        }
    }

    fn framing(&self, to_head: bool) -> Result<Framing, String> {
        if to_head || matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(Framing::Empty);
        }
        match (
            self.header("transfer-encoding"),
            self.header("content-length"),
        ) {
            (Some(_), Some(_)) => Err("both Transfer-Encoding and Content-Length".into()),
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
            (Some(coding), None) => Err(format!("the unknown transfer coding {coding:?}")),
            (None, Some(len)) => {
                let wrong = |_| format!("Content-Length: {len:?}");
                len.parse().map(Framing::Length).map_err(wrong)
            }
            (None, None) => Ok(Framing::Close),
        }
    }
}

/// A chunked body (RFC 9112 §7.1) and how many bytes it takes; `None` if more must come.
fn unchunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let (start, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete((len, size))) => (at + len, size as usize),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(format!("no chunk size at byte {at} of the body")),
        };
        let end = start + size;
        let Some(tail) = bytes.get(end..end + 2) else {
            return Ok(None);
        };
        if tail != b"\r\n" {
            return Err(format!(
                "the chunk at byte {at} of the body does not end with CRLF"
            ));
        }
        if size == 0 {
            return Ok(Some((body, end + 2)));
        }
        body.extend_from_slice(&bytes[start..end]);
        at = end + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_of_a_response_waits_for_more() {
        let whole = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(Reply::whole(&whole[..end], false), Ok(None), "{end}");
        }
        let (reply, len) = Reply::whole(whole, false)
            .expect("well-formed")
            .expect("complete");
        assert_eq!((reply.text().as_str(), len), ("abcde", whole.len()));
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHTTP/1.1";
        let (reply, len) = Reply::whole(head, true)
            .expect("well-formed")
            .expect("complete");
        assert_eq!((reply.body.len(), len), (0, 38));
    }
}
