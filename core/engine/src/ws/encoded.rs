//! Messages as they are sent: made once, shared by reference between all who receive them. No queue and
//! no connection here.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::codecs::Codecs;
use super::head::{self, DEFLATED, FIN, opcode};

/// Up to this size, in bytes, a frame is one piece; above, its payload is not copied.
const CONTIGUOUS: usize = 16 << 10;
/// Shorter payloads are sent as they are: their compressed form is hardly ever shorter.
pub(super) const MIN_DEFLATE: usize = 64;

/// One message, encoded as a server sends it; a client's connection masks it on the way. A clone is
/// another reference.
///
/// ```
/// use tideway_engine::ws::Encoded;
///
/// let hello = Encoded::text("Hello");
/// assert_eq!(hello.payload(), b"Hello");
/// assert_eq!(hello.len(), 7);
/// ```
#[derive(Clone, Debug)]
pub struct Encoded {
    frame: Frame,
    deflated: Option<Arc<Deflated>>,
}

/// A compressed frame for each window from 9 to 15 bits, once somebody wanted it; `None` where that is
/// no smaller.
type Deflated = [OnceLock<Option<Frame>>; 7];

/// A frame in one piece, or in two above [`CONTIGUOUS`].
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) front: Bytes,
    pub(super) rest: Option<Bytes>,
}

impl Frame {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.front.len() + self.rest.as_ref().map_or(0, Bytes::len)
    }

    /// Of a frame that is not masked and whose length stands in the fewest bytes.
    pub(super) fn payload(&self) -> &[u8] {
        if let Some(rest) = &self.rest {
            return rest;
        }
        let head = if self.front.len() <= 2 + 125 { 2 } else { 4 };
        &self.front[head..]
    }

    /// Copies `payload`.
    fn copied(first: u8, payload: &[u8]) -> Self {
        let (head, size) = head::write(first, payload.len(), None);
        if payload.len() > CONTIGUOUS {
            return Self {
                front: Bytes::copy_from_slice(&head[..size]),
                rest: Some(Bytes::copy_from_slice(payload)),
            };
        }
        let mut front = Vec::with_capacity(size + payload.len());
        front.extend_from_slice(&head[..size]);
        front.extend_from_slice(payload);
        Self {
            front: front.into(),
            rest: None,
        }
    }

    /// Keeps `payload` if it is large.
    fn owned(first: u8, payload: Bytes) -> Self {
        if payload.len() <= CONTIGUOUS {
            return Self::copied(first, &payload);
        }
        let (head, size) = head::write(first, payload.len(), None);
        Self {
            front: Bytes::copy_from_slice(&head[..size]),
            rest: Some(payload),
        }
    }

    /// A client's frame: a copy, masked with `key`.
    pub(super) fn masked(first: u8, payload: &[u8], key: [u8; 4]) -> Self {
        Self {
            front: masked(first, payload, key).into(),
            rest: None,
        }
    }

    pub(super) fn deflated(opcode: u8, payload: &[u8]) -> Self {
        Self::copied(FIN | DEFLATED | opcode, payload)
    }
}

/// Fills the first `SIZE` bytes of a frame in.
#[inline]
fn put_head<const SIZE: usize>(frame: &mut [u8]) {
    let (room, payload) = frame.split_at_mut(SIZE);
    let (head, _) = head::write(FIN | opcode::BINARY, payload.len(), None);
    room.copy_from_slice(&head[..SIZE]);
}

/// A whole frame, masked.
pub(super) fn masked(first: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let (head, size) = head::write(first, payload.len(), Some(key));
    let mut frame = Vec::with_capacity(size + payload.len());
    frame.extend_from_slice(&head[..size]);
    frame.extend_from_slice(payload);
    super::mask::mask(&mut frame[size..], key);
    frame
}

impl Encoded {
    /// A text message.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(Frame::copied(FIN | opcode::TEXT, text.as_bytes()))
    }

    /// A binary message.
    #[must_use]
    pub fn binary(data: &[u8]) -> Self {
        Self::new(Frame::copied(FIN | opcode::BINARY, data))
    }

    /// A text message that takes over `text`: above 16 KiB it is not copied.
    #[must_use]
    pub fn from_string(text: String) -> Self {
        Self::new(Frame::owned(FIN | opcode::TEXT, text.into()))
    }

    /// A binary message that takes over `data`: above 16 KiB it is not copied.
    #[must_use]
    pub fn from_bytes(data: Bytes) -> Self {
        Self::new(Frame::owned(FIN | opcode::BINARY, data))
    }

    /// How many bytes [`binary_within`](Self::binary_within) wants ahead of a payload of `len` bytes; `None` if one of that
    /// size goes better by itself.
    #[must_use]
    pub const fn head_len(len: usize) -> Option<usize> {
        match len {
            0..=125 => Some(2),
            126..=CONTIGUOUS => Some(4),
            _ => None,
        }
    }

    /// A binary message whose payload lies in `frame` already, behind exactly [`head_len`](Self::head_len) bytes for its
    /// head.
    ///
    /// # Panics
    ///
    /// There is no room for a head.
    #[inline]
    #[must_use]
    pub fn binary_within(mut frame: Vec<u8>) -> Self {
        if frame.len() <= 2 + 125 {
            put_head::<2>(&mut frame);
        } else {
            put_head::<4>(&mut frame);
        }
        Self::new(Frame {
            front: frame.into(),
            rest: None,
        })
    }

    fn new(frame: Frame) -> Self {
        Self {
            frame,
            deflated: None,
        }
    }

    /// The same message with a place to keep its compressed forms, which all clones made after this share:
    /// for broadcasts.
    #[must_use]
    pub fn shared(mut self) -> Self {
        if self.deflated.is_none() && self.payload().len() >= MIN_DEFLATE {
            self.deflated = Some(Arc::new([const { OnceLock::new() }; 7]));
        }
        self
    }

    /// Makes the compressed form for receivers that agreed to a window of `bits`, unless it is made. The
    /// publisher does this before it takes any lock; otherwise the first such receiver does.
    pub fn deflate(&self, bits: u8, codecs: &mut Codecs) {
        let _ = self.with_deflated(bits, codecs, |_| ());
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.frame.payload()
    }

    /// Whether it is text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.opcode() == opcode::TEXT
    }

    /// Its size as a frame that is neither compressed nor masked, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a frame has at least a head")]
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    pub(super) fn opcode(&self) -> u8 {
        self.frame.front[0] & 0xf
    }

    #[inline]
    pub(super) fn into_frame(self) -> Frame {
        self.frame
    }

    /// Appends the frame to `to`.
    pub(super) fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.frame.front);
        if let Some(rest) = &self.frame.rest {
            to.extend_from_slice(rest);
        }
    }

    /// The same message, if `frame` is a copy of its whole frame.
    pub(super) fn lying_in(&self, frame: Bytes) -> Self {
        Self {
            frame: Frame {
                front: frame,
                rest: None,
            },
            deflated: self.deflated.clone(),
        }
    }

    /// Looks at the compressed frame for a window of `bits`; `None` if it is no smaller than the plain one.
    pub(super) fn with_deflated<T>(
        &self,
        bits: u8,
        codecs: &mut Codecs,
        look: impl FnOnce(&Frame) -> T,
    ) -> Option<T> {
        let make = |codecs: &mut Codecs| {
            let deflated = codecs.deflate(bits, self.payload())?;
            Some(Frame::deflated(self.opcode(), deflated))
        };
        let kept = self.deflated.as_ref();
        match kept.and_then(|kept| kept.get(usize::from(bits).checked_sub(9)?)) {
            Some(kept) => kept.get_or_init(|| make(codecs)).as_ref().map(look),
            None => make(codecs).as_ref().map(look),
        }
    }
}

/// A text message.
impl From<&str> for Encoded {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

/// A text message.
impl From<String> for Encoded {
    fn from(text: String) -> Self {
        Self::from_string(text)
    }
}

/// A binary message.
impl From<&[u8]> for Encoded {
    fn from(data: &[u8]) -> Self {
        Self::binary(data)
    }
}

/// A binary message.
impl From<Vec<u8>> for Encoded {
    fn from(data: Vec<u8>) -> Self {
        Self::from_bytes(data.into())
    }
}

/// A binary message.
impl From<Bytes> for Encoded {
    fn from(data: Bytes) -> Self {
        Self::from_bytes(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_shares_its_bytes_and_its_compressed_form() {
        let text = "a broadcast is encoded once ".repeat(10);
        let message = Encoded::text(&text).shared();
        let clone = message.clone();
        assert_eq!(message.payload().as_ptr(), clone.payload().as_ptr());
        let mut codecs = Codecs::default();
        message.deflate(15, &mut codecs);
        let at = |message: &Encoded, codecs: &mut Codecs| {
            message.with_deflated(15, codecs, |frame| (frame.front.as_ptr(), frame.len()))
        };
        let made = at(&message, &mut codecs).unwrap();
        assert_eq!(at(&clone, &mut codecs), Some(made));
        assert!(made.1 < 60, "{}", made.1);
    }

    #[test]
    fn what_does_not_compress_goes_as_it_is() {
        let mut noise = [0; 1000];
        crate::rng::Rng::new(&crate::rng::Seed::from_u64(1)).fill(&mut noise);
        let message = Encoded::binary(&noise).shared();
        assert!(
            message
                .with_deflated(15, &mut Codecs::default(), |_| ())
                .is_none()
        );
    }

    #[test]
    fn a_payload_with_room_for_its_head_becomes_a_frame_where_it_is() {
        for len in [0, 1, 125, 126, 127, 1024, CONTIGUOUS] {
            let data: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let head = Encoded::head_len(len).unwrap();
            let frame = [&vec![0; head][..], &data].concat();
            let at = frame.as_ptr();
            let message = Encoded::binary_within(frame);
            assert_eq!(message.frame.front.as_ptr(), at);
            assert_eq!(message.frame.front, Encoded::binary(&data).frame.front);
            assert_eq!(message.payload(), data);
        }
        assert_eq!(Encoded::head_len(CONTIGUOUS + 1), None);
    }

    #[test]
    fn large_payloads_are_not_copied() {
        let data = Bytes::from(vec![7; CONTIGUOUS + 1]);
        let message = Encoded::from_bytes(data.clone());
        assert_eq!(message.payload().as_ptr(), data.as_ptr());
        assert_eq!(message.len(), CONTIGUOUS + 1 + 4);
        let small = Encoded::from_string("x".repeat(CONTIGUOUS));
        assert!(small.is_text() && small.frame.rest.is_none());
    }
}
