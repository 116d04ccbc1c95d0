//! What nodes say to each other, as bytes, and the names of the channels they say it on. Pure: it knows no
//! broker, and makes no frame that is not there. Sizes are in bytes.
//!
//! | Bytes | What |
//! |---|---|
//! | 1 | the format, [`VERSION`] |
//! | 1 | the body: 0 binary message, 1 text message, 2 digest, 3 state, 4 diff, 5 question to all, 6 to one |
//! | 16 | who says it, most significant byte first |
//! | number | the `seq` |
//! | … | message: a number, the key, then the payload up to the end. Digest: a number, the version, then a byte, 1 if empty. State: a number, the version, then a list. Diff: two numbers, base and version, then two lists, who came and who went. Question to one: 16 bytes, whom |
//!
//! A number is seven bits a byte, least first, in as few bytes as it needs. A list is a number, how many, then for each
//! name a byte, its length, and its text. The topic is not said again: the channel is the topic's own.
//!
//! What is decoded encodes to the same bytes, so no two nodes read one announcement differently.

mod channels;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use channels::{Channels, PrefixError};

use super::{Announce, Body, Incarnation, Topic};
use crate::jobs::Name;
use crate::ws::Encoded;

/// The format written here, and the only one read.
pub const VERSION: u8 = 1;
/// The largest announcement.
pub const MAX: usize = 64 << 20;
/// The most names in a list: what 65 536 names cost in memory is bearable, what fits [`MAX`] would not be.
pub const NAMES: usize = 1 << 16;

const BINARY: u8 = 0;
const TEXT: u8 = 1;
const DIGEST: u8 = 2;
const STATE: u8 = 3;
const DIFF: u8 = 4;
const ASK_ALL: u8 = 5;
const ASK_ONE: u8 = 6;
/// Format, body, sender, and the two longest numbers.
const HEAD: usize = 1 + 1 + 16 + 2 * 10;

/// Why bytes are no announcement, or an announcement no bytes. It is skipped and counted; nothing else is
/// wrong because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// Another release wrote it.
    #[error(
        "an announcement has format {0}, this release reads {VERSION}: run one release on all nodes"
    )]
    Version(u8),
    /// A later release may have written it.
    #[error("an announcement has the unknown body {0}: run one release on all nodes")]
    Body(u8),
    /// It ends too early.
    #[error("an announcement ends too early: does another program publish on these channels?")]
    Short,
    /// It is none: what stands at this byte cannot be.
    #[error(
        "an announcement is damaged at byte {0}: does another program publish on these channels?"
    )]
    Damaged(usize),
    /// It is larger than [`MAX`].
    #[error("an announcement of {0} bytes is too large, {MAX} is the most: send less")]
    TooLarge(usize),
    /// A list has more names than [`NAMES`].
    #[error("{0} users are too many to announce, {NAMES} is the most: lower `Config::present`")]
    TooMany(u64),
}

/// The bytes of `announce`, but for its topic, which the channel tells.
///
/// # Errors
///
/// [`WireError::TooLarge`], [`WireError::TooMany`]: nothing is made that [`decode`] would refuse.
pub fn encode(announce: &Announce<Encoded>) -> Result<Bytes, WireError> {
    let mut out = Vec::with_capacity(HEAD + size(&announce.body)?);
    let kind = match &announce.body {
        Body::Message { frame, .. } if frame.is_text() => TEXT,
        Body::Message { .. } => BINARY,
        Body::Digest { .. } => DIGEST,
        Body::State { .. } => STATE,
        Body::Diff { .. } => DIFF,
        Body::Ask { of: None } => ASK_ALL,
        Body::Ask { of: Some(_) } => ASK_ONE,
    };
    out.extend_from_slice(&[VERSION, kind]);
    out.extend_from_slice(&announce.from.0.to_be_bytes());
    number(&mut out, announce.seq);
    match &announce.body {
        Body::Message { frame, key } => {
            number(&mut out, *key);
            out.extend_from_slice(frame.payload());
        }
        Body::Digest { version, empty } => {
            number(&mut out, *version);
            out.push(u8::from(*empty));
        }
        Body::State { version, users } => {
            number(&mut out, *version);
            names(&mut out, users);
        }
        Body::Diff {
            base,
            version,
            came,
            went,
        } => {
            number(&mut out, *base);
            number(&mut out, *version);
            names(&mut out, came);
            names(&mut out, went);
        }
        Body::Ask { of } => {
            if let Some(of) = of {
                out.extend_from_slice(&of.0.to_be_bytes());
            }
        }
    }
    if out.len() > MAX {
        return Err(WireError::TooLarge(out.len()));
    }
    Ok(out.into())
}

/// What `bytes` say, which came on the channel of `topic`. A large binary payload is not copied.
///
/// # Errors
///
/// Any [`WireError`].
pub fn decode(topic: Topic, bytes: &Bytes) -> Result<Announce<Encoded>, WireError> {
    if bytes.len() > MAX {
        return Err(WireError::TooLarge(bytes.len()));
    }
    let mut from = Reader { bytes, at: 0 };
    let version = from.byte()?;
    if version != VERSION {
        return Err(WireError::Version(version));
    }
    let kind = from.byte()?;
    let node = from.node()?;
    let seq = from.number()?;
    let body = match kind {
        BINARY | TEXT => {
            let key = from.number()?;
            let frame = from.frame(kind == TEXT)?;
            Body::Message { frame, key }
        }
        DIGEST => Body::Digest {
            version: from.number()?,
            empty: from.flag()?,
        },
        STATE => Body::State {
            version: from.number()?,
            users: from.names()?,
        },
        DIFF => Body::Diff {
            base: from.number()?,
            version: from.number()?,
            came: from.names()?,
            went: from.names()?,
        },
        ASK_ALL => Body::Ask { of: None },
        ASK_ONE => Body::Ask {
            of: Some(from.node()?),
        },
        other => return Err(WireError::Body(other)),
    };
    from.end()?;
    Ok(Announce {
        from: node,
        topic,
        seq,
        body,
    })
}

/// What a body takes, and the two numbers in [`HEAD`] not counted.
fn size(body: &Body<Encoded>) -> Result<usize, WireError> {
    let list = |names: &[Name]| {
        if names.len() > NAMES {
            return Err(WireError::TooMany(names.len() as u64));
        }
        Ok(10 + names.iter().map(|name| 1 + name.len()).sum::<usize>())
    };
    let size = match body {
        Body::Message { frame, .. } => frame.payload().len(),
        Body::Digest { .. } => 1,
        Body::State { users, .. } => list(users)?,
        Body::Diff { came, went, .. } => 10 + list(came)? + list(went)?,
        Body::Ask { .. } => 16,
    };
    if size > MAX {
        return Err(WireError::TooLarge(size));
    }
    Ok(size)
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn names(out: &mut Vec<u8>, names: &[Name]) {
    const { assert!(Name::MAX <= u8::MAX as usize) }
    number(out, names.len() as u64);
    for name in names {
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
    }
}

/// Looks at each byte once, and never past the end.
struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or(WireError::Short)?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        Ok(self.take(1)?[0])
    }

    fn flag(&mut self) -> Result<bool, WireError> {
        let at = self.at;
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Damaged(at)),
        }
    }

    fn node(&mut self) -> Result<Incarnation, WireError> {
        let bytes = self.take(16)?;
        let number = bytes
            .iter()
            .fold(0, |all, byte| all << 8 | u128::from(*byte));
        Ok(Incarnation(number))
    }

    fn number(&mut self) -> Result<u64, WireError> {
        let begun = self.at;
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // More than 64 bits, or a last byte that says nothing.
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return Err(WireError::Damaged(begun));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(WireError::Damaged(begun))
    }

    fn names(&mut self) -> Result<Vec<Name>, WireError> {
        let count = self.number()?;
        let most = usize::try_from(count).ok().filter(|count| *count <= NAMES);
        let most = most.ok_or(WireError::TooMany(count))?;
        // Each takes two bytes at least, whatever their number is said to be.
        let mut names = Vec::with_capacity(most.min((self.bytes.len() - self.at) / 2));
        for _ in 0..most {
            let length = usize::from(self.byte()?);
            let at = self.at;
            let text = std::str::from_utf8(self.take(length)?);
            let name = text.ok().and_then(|text| Name::new(text).ok());
            names.push(name.ok_or(WireError::Damaged(at))?);
        }
        Ok(names)
    }

    /// All that is left. Whoever compresses it does so for all members.
    fn frame(&mut self, text: bool) -> Result<Encoded, WireError> {
        let at = std::mem::replace(&mut self.at, self.bytes.len());
        let payload = self.bytes.slice(at..);
        if !text {
            return Ok(Encoded::from_bytes(payload).shared());
        }
        match std::str::from_utf8(&payload) {
            Ok(text) => Ok(Encoded::text(text).shared()),
            Err(error) => Err(WireError::Damaged(at + error.valid_up_to())),
        }
    }

    fn end(&self) -> Result<(), WireError> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(WireError::Damaged(self.at))
        }
    }
}
