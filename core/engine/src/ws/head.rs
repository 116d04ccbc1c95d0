//! Frame heads (RFC 6455 §5.2): reading them under the rules of a role and a state, writing them.

use super::end::Violation;

/// The longest head: two bytes, eight of length, four of key.
pub(super) const MAX: usize = 14;

pub(super) const FIN: u8 = 0x80;
/// RSV1: the message is compressed (RFC 7692 §6).
pub(super) const DEFLATED: u8 = 0x40;
const MASKED: u8 = 0x80;

/// The four bits that say what a frame is.
pub(super) mod opcode {
    pub(in super::super) const CONTINUE: u8 = 0x0;
    pub(in super::super) const TEXT: u8 = 0x1;
    pub(in super::super) const BINARY: u8 = 0x2;
    pub(in super::super) const CLOSE: u8 = 0x8;
    pub(in super::super) const PING: u8 = 0x9;
    pub(in super::super) const PONG: u8 = 0xa;
}

/// What a frame must obey now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Frames are masked: they come from a client.
    pub(super) masked: bool,
    /// RSV1 has a meaning.
    pub(super) deflate: bool,
    /// A message is unfinished.
    pub(super) within: bool,
    /// The longest payload of a data frame; that of a control frame is fixed.
    pub(super) longest: u64,
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// FIN, RSV1 and the opcode, as sent.
    pub(super) first: u8,
    /// The head's own size in bytes.
    pub(super) size: usize,
    /// Bytes of payload.
    pub(super) len: u64,
    /// Zero if not masked.
    pub(super) key: [u8; 4],
}

impl Head {
    #[inline]
    pub(super) fn opcode(&self) -> u8 {
        self.first & 0xf
    }

    #[inline]
    pub(super) fn is_control(&self) -> bool {
        self.first & 0x8 != 0
    }

    #[inline]
    pub(super) fn is_final(&self) -> bool {
        self.first & FIN != 0
    }

    #[inline]
    pub(super) fn is_deflated(&self) -> bool {
        self.first & DEFLATED != 0
    }
}

/// The head at the start of `bytes`; `None` if more of it must come. A rule counts as broken as soon
/// as the bytes show it, each byte before the next.
#[inline]
pub(super) fn parse(bytes: &[u8], rules: &Rules) -> Result<Option<Head>, Violation> {
    let &[first, second, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    check_first(first, rules)?;
    let control = first & 0x8 != 0;
    if (second & MASKED != 0) != rules.masked {
        return Err(if rules.masked {
            Violation::Unmasked
        } else {
            Violation::Masked
        });
    }
    let short = second & 0x7f;
    let (len, extra) = match short {
        0..=125 => (u64::from(short), 0),
        _ if control => return Err(Violation::ControlLength),
        126 => {
            let Some(len) = rest.first_chunk() else {
                return Ok(None);
            };
            let len = u16::from_be_bytes(*len);
            if len < 126 {
                return Err(Violation::Length);
            }
            (u64::from(len), 2)
        }
        _ => {
            let Some(len) = rest.first_chunk() else {
                return Ok(None);
            };
            let len = u64::from_be_bytes(*len);
            if len <= 0xffff || len >> 63 != 0 {
                return Err(Violation::Length);
            }
            (len, 8)
        }
    };
    if len > rules.longest && !control {
        return Err(Violation::TooBig);
    }
    let (key, size) = if rules.masked {
        let Some(key) = rest.get(extra..).and_then(|rest| rest.first_chunk()) else {
            return Ok(None);
        };
        (*key, 2 + extra + 4)
    } else {
        ([0; 4], 2 + extra)
    };
    Ok(Some(Head {
        first,
        size,
        len,
        key,
    }))
}

#[inline]
fn check_first(first: u8, rules: &Rules) -> Result<(), Violation> {
    use opcode::{BINARY, CLOSE, CONTINUE, PONG, TEXT};

    let code = first & 0xf;
    let reserved = first & 0x70;
    // RFC 7692 §6: RSV1 only on the first frame of a message.
    if reserved != 0 && !(reserved == DEFLATED && rules.deflate && matches!(code, TEXT | BINARY)) {
        return Err(Violation::Reserved);
    }
    match code {
        TEXT | BINARY if rules.within => Err(Violation::Unfinished),
        CONTINUE if !rules.within => Err(Violation::NothingToContinue),
        CONTINUE | TEXT | BINARY => Ok(()),
        CLOSE..=PONG if first & FIN == 0 => Err(Violation::ControlFragment),
        CLOSE..=PONG => Ok(()),
        _ => Err(Violation::Opcode),
    }
}

/// How many bytes of head there are for certain, given `bytes` of it: what may be copied before
/// `parse` is asked again.
#[inline]
pub(super) fn wanted(bytes: &[u8]) -> usize {
    let &[_, second, ..] = bytes else {
        return 2;
    };
    let extra = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    // Length first: it may break a rule before the key is here.
    let key = if second & MASKED != 0 { 4 } else { 0 };
    if bytes.len() < 2 + extra {
        2 + extra
    } else {
        2 + extra + key
    }
}

/// Writes the head of a frame; the bytes and how many.
#[inline]
pub(super) fn write(first: u8, len: usize, key: Option<[u8; 4]>) -> ([u8; MAX], usize) {
    let mut head = [0; MAX];
    head[0] = first;
    let masked = if key.is_some() { MASKED } else { 0 };
    let mut size = match len {
        0..=125 => {
            head[1] = len as u8;
            2
        }
        126..=0xffff => {
            head[1] = 126;
            head[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            4
        }
        _ => {
            head[1] = 127;
            head[2..10].copy_from_slice(&(len as u64).to_be_bytes());
            10
        }
    };
    head[1] |= masked;
    if let Some(key) = key {
        head[size..size + 4].copy_from_slice(&key);
        size += 4;
    }
    (head, size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_takes_the_fewest_bytes() {
        let rules = Rules {
            masked: false,
            deflate: false,
            within: false,
            longest: u64::MAX,
        };
        let parsed = |bytes: &[u8]| parse(bytes, &rules).map(|head| head.map(|head| head.len));
        assert_eq!(parsed(&[0x82, 126, 0, 125]), Err(Violation::Length));
        assert_eq!(parsed(&[0x82, 126, 0, 126]), Ok(Some(126)));
        let long = |len: u64| [&[0x82, 127], &len.to_be_bytes()[..]].concat();
        assert_eq!(parsed(&long(0xffff)), Err(Violation::Length));
        assert_eq!(parsed(&long(0x1_0000)), Ok(Some(0x1_0000)));
        assert_eq!(parsed(&long(1 << 63)), Err(Violation::Length));
        assert_eq!(parsed(&long((1 << 63) - 1)), Ok(Some((1 << 63) - 1)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(len in prop_oneof![0..200_usize, 65_000..66_000_usize, 0..1_usize << 40], key: Option<[u8; 4]>) {
            let (bytes, size) = write(FIN | opcode::BINARY, len, key);
            let rules = Rules { masked: key.is_some(), deflate: false, within: false, longest: u64::MAX };
            for cut in 0..size {
                prop_assert_eq!(parse(&bytes[..cut], &rules), Ok(None));
                prop_assert!(wanted(&bytes[..cut]) > cut);
            }
            let head = parse(&bytes, &rules).unwrap().unwrap();
            prop_assert_eq!(head, Head { first: 0x82, size, len: len as u64, key: key.unwrap_or_default() });
        }
    }
}
