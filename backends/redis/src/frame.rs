//! Where a reply ends in bytes that come piece by piece (RESP3). Counts bytes, looks at each once, keeps none.

use std::io;

/// The longest line of a length or a number; texts on a line may be longer.
const LINE: usize = 64 * 1024;

/// How far one reply was looked at.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Where the next value begins.
    at: usize,
    /// Values that are still to come.
    left: usize,
}

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}

impl Frame {
    /// Of a value that begins at the first byte.
    pub(crate) const fn new() -> Self {
        Self { at: 0, left: 1 }
    }

    /// The length of the reply if `bytes` has all of it; else more bytes are needed, behind these.
    pub(crate) fn end(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        while self.left > 0 {
            let Some(rest) = bytes.get(self.at..).filter(|rest| !rest.is_empty()) else {
                return Ok(None);
            };
            let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
                return if rest.len() > LINE {
                    Err(garbage())
                } else {
                    Ok(None)
                };
            };
            let (kind, number) = (rest[0], rest.get(1..line).unwrap_or_default());
            let (mut size, mut more) = (line + 2, 0);
            match kind {
                b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
                b'$' | b'=' | b'!' => {
                    if let Some(length) = count(number)? {
                        size += length + 2;
                    }
                }
                b'*' | b'~' | b'>' => more = count(number)?.unwrap_or_default(),
                b'%' => more = 2 * count(number)?.unwrap_or_default(),
                // Attributes stand before the value they describe.
                b'|' => more = 2 * count(number)?.unwrap_or_default() + 1,
                _ => return Err(garbage()),
            }
            if rest.len() < size {
                return Ok(None);
            }
            self.at += size;
            self.left = self.left - 1 + more;
        }
        Ok(Some(self.at))
    }
}

/// A length; `None` for -1, nothing.
fn count(digits: &[u8]) -> io::Result<Option<usize>> {
    if digits == b"-1" {
        return Ok(None);
    }
    let text = std::str::from_utf8(digits).ok();
    // No reply is nearly as long as this: 512 MiB is the most Redis sends in one value.
    let count = text
        .and_then(|text| text.parse().ok())
        .filter(|n| *n < 1 << 30);
    count.map(Some).ok_or_else(garbage)
}

fn garbage() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the peer does not speak the protocol of Redis",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLIES: [&[u8]; 6] = [
        b"+OK\r\n",
        b"$5\r\nab\r\nc\r\n",
        b"*3\r\n:1\r\n$-1\r\n*1\r\n_\r\n",
        b"%1\r\n+a\r\n*2\r\n,1.5\r\n#t\r\n",
        b">2\r\n$1\r\na\r\n$0\r\n\r\n",
        b"*0\r\n",
    ];

    #[test]
    fn a_reply_ends_where_it_ends_however_it_is_cut() {
        for reply in REPLIES {
            let mut bytes = reply.to_vec();
            bytes.extend_from_slice(b"+next\r\n");
            let mut frame = Frame::new();
            for cut in 0..reply.len() {
                assert_eq!(frame.end(&bytes[..cut]).expect("a reply"), None, "{cut}");
            }
            assert_eq!(frame.end(&bytes).expect("a reply"), Some(reply.len()));
        }
    }

    #[test]
    fn garbage_is_refused() {
        for bad in [&b"HTTP/1.1 400\r\n"[..], b"$x\r\n", b"*99999999999\r\n"] {
            assert!(Frame::new().end(bad).is_err());
        }
        assert!(Frame::new().end(&[b'+'; LINE + 2]).is_err());
    }
}
