//! What a case of the list is: frames that are sent, and what an echo answers. Frames are put together by hand.

/// FIN, RSV and opcode, and the payload as it is meant.
pub(crate) type Frame = (u8, Vec<u8>);

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;
pub(crate) const CLOSE: u8 = 0x88;
/// The first byte of a fragment that does not end its message.
pub(crate) const MORE: u8 = 0x00;
/// The first byte of the last fragment.
pub(crate) const LAST: u8 = 0x80;
/// The first byte of a text that goes on in fragments.
pub(crate) const TEXT_PART: u8 = 0x01;

/// How the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// It stays open; whoever runs the case closes it.
    Not,
    /// A Close without a code.
    Empty,
    /// A Close with this code.
    With(u16),
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// In the public list.
    pub(crate) number: String,
    pub(crate) sends: Vec<Frame>,
    /// But for the Close, in order.
    pub(crate) answers: Vec<Frame>,
    pub(crate) ends: Ends,
}

pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Frame {
    (first, payload.as_ref().to_vec())
}

/// All are answered, and nothing ends.
pub(crate) fn answers(number: impl Into<String>, sends: &[Frame], answers: &[Frame]) -> Case {
    ends(number, sends, answers, Ends::Not)
}

/// What is sent comes back as it is.
pub(crate) fn echoes(number: impl Into<String>, sends: &[Frame]) -> Case {
    answers(number, sends, sends)
}

/// After `answers` the connection ends with a Close of this code.
pub(crate) fn fails(
    number: impl Into<String>,
    sends: &[Frame],
    answers: &[Frame],
    code: u16,
) -> Case {
    ends(number, sends, answers, Ends::With(code))
}

pub(crate) fn ends(
    number: impl Into<String>,
    sends: &[Frame],
    answers: &[Frame],
    ends: Ends,
) -> Case {
    Case {
        number: number.into(),
        sends: sends.to_vec(),
        answers: answers.to_vec(),
        ends,
    }
}

/// `data` in fragments of `size` bytes.
pub(crate) fn fragments(first: u8, data: &[u8], size: usize) -> Vec<Frame> {
    let count = data.len().div_ceil(size);
    let parts = data.chunks(size).enumerate();
    let parts = parts.map(|(at, part)| {
        let opcode = if at == 0 { first & 0x0f } else { 0 };
        (u8::from(at + 1 == count) << 7 | opcode, part.to_vec())
    });
    parts.collect()
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The bytes of frames, as a client sends them if `masked`.
pub(crate) fn bytes(frames: &[Frame], masked: bool) -> Vec<u8> {
    let (mut bytes, bit) = (Vec::new(), u8::from(masked) << 7);
    for (first, payload) in frames {
        bytes.push(*first);
        match payload.len() {
            len @ ..126 => bytes.push(bit | len as u8),
            len @ ..0x1_0000 => {
                bytes.push(bit | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            len => {
                bytes.push(bit | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        let key = if masked { KEY } else { [0; 4] };
        bytes.extend(key.iter().filter(|_| masked));
        bytes.extend(payload.iter().zip(0..).map(|(byte, i)| byte ^ key[i % 4]));
    }
    bytes
}

/// The frames of `bytes`, unmasked, and how many bytes they take: the last may have come in part.
pub(crate) fn read(bytes: &[u8]) -> (Vec<Frame>, usize) {
    let (mut frames, mut at) = (Vec::new(), 0);
    while let Some((frame, size)) = read_one(&bytes[at..]) {
        frames.push(frame);
        at += size;
    }
    (frames, at)
}

fn read_one(bytes: &[u8]) -> Option<(Frame, usize)> {
    let &[first, second, ref rest @ ..] = bytes else {
        return None;
    };
    let (len, head) = match second & 0x7f {
        126 => (u16::from_be_bytes(*rest.first_chunk()?) as usize, 4),
        127 => (u64::from_be_bytes(*rest.first_chunk()?) as usize, 10),
        short => (usize::from(short), 2),
    };
    let (key, head) = if second & 0x80 == 0 {
        ([0; 4], head)
    } else {
        (*bytes.get(head..)?.first_chunk()?, head + 4)
    };
    let payload = bytes.get(head..head + len)?.iter().zip(0..);
    let payload = payload.map(|(byte, i): (_, usize)| byte ^ key[i % 4]);
    Some(((first, payload.collect()), head + len))
}

/// The payload of a Close.
pub(crate) fn close(code: u16, reason: impl AsRef<[u8]>) -> Frame {
    (CLOSE, [&code.to_be_bytes()[..], reason.as_ref()].concat())
}
