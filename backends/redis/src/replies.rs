//! Replies out of bytes that come piece by piece. A long array is taken value by value, so that of what a claim brings
//! no more is kept as bytes than what was read at once. What is not plain is left to [`Frame`] and the crate `redis`.

use std::io;

use redis::Value;

use crate::frame::Frame;

/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// Room that grew beyond this for a value is given back.
const KEPT: usize = 1 << 20;

/// Room for this many values is made at once; an array may say it had more than there are.
const VALUES: usize = 8 * 1024;

/// Bytes that have come and were not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    /// Where those not taken begin and end.
    from: usize,
    to: usize,
}

impl Input {
    pub(crate) fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// Where more are to be put; never empty.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.is_empty() {
            (self.from, self.to) = (0, 0);
            if self.bytes.len() > KEPT {
                self.bytes = Vec::new();
            }
        }
        if self.bytes.len() - self.to < PIECE / 2 {
            if self.from > self.bytes.len() / 2 {
                self.bytes.copy_within(self.from..self.to, 0);
                (self.from, self.to) = (0, self.to - self.from);
            } else {
                let more = self.bytes.len().max(PIECE);
                self.bytes.resize(self.bytes.len() + more, 0);
            }
        }
        &mut self.bytes[self.to..]
    }

    /// So many were put there.
    pub(crate) fn came(&mut self, count: usize) {
        self.to += count;
    }

    fn unread(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }
}

/// The next reply, as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Coming {
    /// The values of an array and how many are to come.
    array: Option<(Vec<Value>, usize)>,
    /// Of the value that comes next.
    frame: Frame,
}

impl Coming {
    /// Takes what it can of `input`; the reply if that is all of it, and begins the next. Else more bytes are needed.
    pub(crate) fn take(&mut self, input: &mut Input) -> io::Result<Option<Value>> {
        if self.array.is_none()
            && let Some((b'*', number, length)) = line(input.unread())
            && let Ok(count) = usize::try_from(number)
            && count < 1 << 30
        {
            input.from += length;
            self.array = Some((Vec::with_capacity(count.min(VALUES)), count));
        }
        let Some((values, left)) = &mut self.array else {
            return value(&mut self.frame, input);
        };
        while *left > 0 {
            let Some(next) = value(&mut self.frame, input)? else {
                return Ok(None);
            };
            values.push(next);
            *left -= 1;
        }
        Ok(self.array.take().map(|(values, _)| Value::Array(values)))
    }
}

/// The value that `input` begins with, if all of it is there.
fn value(frame: &mut Frame, input: &mut Input) -> io::Result<Option<Value>> {
    if let Some((value, length)) = plain(input.unread()) {
        input.from += length;
        *frame = Frame::new();
        return Ok(Some(value));
    }
    let Some(length) = frame.end(input.unread())? else {
        return Ok(None);
    };
    let value = redis::parse_redis_value(&input.unread()[..length]);
    input.from += length;
    *frame = Frame::new();
    let wrong = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    value.map(Some).map_err(wrong)
}

/// A number or bytes, of which nearly all is that scripts say, and the length. `None` if it is something else, or not
/// all there.
fn plain(bytes: &[u8]) -> Option<(Value, usize)> {
    match line(bytes)? {
        (b':', number, length) => Some((Value::Int(number), length)),
        (b'$', size, from) => {
            let to = from.checked_add(usize::try_from(size).ok()?)?;
            let text = bytes.get(from..to)?;
            let over = bytes[to..].starts_with(b"\r\n");
            over.then(|| (Value::BulkString(text.to_vec()), to + 2))
        }
        _ => None,
    }
}

/// The first byte, the number behind it that is not negative, and the length of the line. A number of 19 digits is not
/// read here: it might be too great.
fn line(bytes: &[u8]) -> Option<(u8, i64, usize)> {
    let (kind, rest) = bytes.split_first()?;
    let mut number = 0;
    for (at, byte) in rest.iter().enumerate().take(19) {
        match byte {
            b'0'..=b'9' if at < 18 => number = 10 * number + i64::from(byte - b'0'),
            b'\r' if at > 0 && rest.get(at + 1) == Some(&b'\n') => {
                return Some((*kind, number, at + 3));
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLIES: [&[u8]; 9] = [
        b"+OK\r\n",
        b"$5\r\nab\r\nc\r\n",
        b":-7\r\n",
        b":9223372036854775807\r\n",
        b"*0\r\n",
        b"*5\r\n:1\r\n$-1\r\n*1\r\n_\r\n$0\r\n\r\n-ERR no\r\n",
        b"%1\r\n+a\r\n*2\r\n,1.5\r\n#t\r\n",
        b">2\r\n$1\r\na\r\n$0\r\n\r\n",
        b"*2\r\n*2\r\n:12\r\n$1\r\na\r\n:3\r\n",
    ];

    fn put(input: &mut Input, bytes: &[u8]) {
        for byte in bytes {
            input.room()[0] = *byte;
            input.came(1);
        }
    }

    #[test]
    fn replies_are_those_of_the_crate_however_they_are_cut() {
        for reply in REPLIES {
            let meant = redis::parse_redis_value(reply).expect("a reply");
            for cut in 0..=reply.len() {
                let (mut input, mut coming) = (Input::default(), Coming::default());
                put(&mut input, &reply[..cut]);
                let early = coming.take(&mut input).expect("a reply");
                assert_eq!(early.is_some(), cut == reply.len(), "{cut}");
                put(&mut input, &reply[cut..]);
                put(&mut input, b":1\r\n");
                let whole = match early {
                    None => coming.take(&mut input).expect("a reply"),
                    early => early,
                };
                assert_eq!(whole, Some(meant.clone()), "{cut}");
                let next = Coming::default().take(&mut input).expect("a reply");
                assert_eq!(next, Some(Value::Int(1)));
                assert!(input.is_empty());
            }
        }
    }

    #[test]
    fn garbage_is_refused() {
        for bad in [
            &b"HTTP/1.1 400\r\n"[..],
            b"$x\r\n",
            b"*1\r\nno\r\n",
            b"*99999999999\r\n",
        ] {
            let mut input = Input::default();
            put(&mut input, bad);
            assert!(Coming::default().take(&mut input).is_err());
        }
    }

    #[test]
    fn of_a_long_array_one_piece_is_kept() {
        let (mut input, mut coming) = (Input::default(), Coming::default());
        let mut reply = b"*1000\r\n".to_vec();
        for _ in 0..1000 {
            reply.extend_from_slice(b"$1024\r\n");
            reply.extend_from_slice(&[b'x'; 1024]);
            reply.extend_from_slice(b"\r\n");
        }
        let mut rest = &reply[..];
        let value = loop {
            if let Some(value) = coming.take(&mut input).expect("a reply") {
                break value;
            }
            let room = input.room();
            let (now, later) = rest.split_at(room.len().min(rest.len()));
            room[..now.len()].copy_from_slice(now);
            input.came(now.len());
            rest = later;
        };
        assert!(matches!(value, Value::Array(values) if values.len() == 1000));
        assert!(input.is_empty() && input.bytes.len() <= 2 * PIECE);
    }
}
