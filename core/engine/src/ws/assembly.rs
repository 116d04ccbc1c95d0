//! A message, frame or head that has come in part: what is kept of it until the rest comes. It grows with
//! the bytes received, never with the length announced.

use bytes::Bytes;

use super::codecs::{Codecs, Inflater};
use super::compression::Compression;
use super::config::Config;
use super::end::Violation;
use super::head::{self, Head};
use super::mask;
use super::utf8::Text;
use crate::time::Mono;

/// A connection has one only between the first byte of something and its last.
#[derive(Debug)]
pub(super) struct Assembly {
    /// When its first byte came.
    pub(super) since: Mono,
    /// Bytes of payload of the message so far.
    pub(super) received: u64,
    head: [u8; head::MAX],
    head_len: usize,
    frame: Option<Frame>,
    control: Vec<u8>,
    pub(super) message: Option<Message>,
}

/// The frame whose payload is coming.
#[derive(Clone, Copy, Debug)]
struct Frame {
    head: Head,
    left: u64,
    key: [u8; 4],
}

/// A data message.
#[derive(Debug)]
pub(super) struct Message {
    body: Body,
    inflater: Option<Inflater>,
}

/// What came of a message.
#[derive(Debug)]
pub(super) enum Body {
    Text(Text),
    Binary(Vec<u8>),
}

/// What was complete first.
pub(super) enum Step {
    /// Nothing: the bytes are all taken.
    More,
    /// A frame, but not its message.
    Fragment,
    /// A message: [`Assembly::finish`] gives it.
    Message,
    /// A control frame, by its opcode.
    Control(u8, Bytes),
}

/// A message that is complete.
pub(super) enum Whole {
    Text(String),
    Binary(Vec<u8>),
}

impl Assembly {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            since: now,
            received: 0,
            head: [0; head::MAX],
            head_len: 0,
            frame: None,
            control: Vec::new(),
            message: None,
        }
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.frame.is_none() && self.message.is_none() && self.head_len == 0
    }

    /// Bytes of memory kept for payloads.
    pub(super) fn held(&self) -> usize {
        let body = match self.message.as_ref().map(|message| &message.body) {
            Some(Body::Text(text)) => text.capacity(),
            Some(Body::Binary(data)) => data.capacity(),
            None => 0,
        };
        body + self.control.capacity()
    }

    /// Takes bytes until a frame is complete, or all of them.
    ///
    /// `rules` are those at its start, as long as no frame is complete.
    pub(super) fn take(
        &mut self,
        input: &mut &mut [u8],
        rules: &head::Rules,
        config: &Config,
        codecs: &mut Codecs,
        compression: Option<&mut Compression>,
    ) -> Result<Step, Violation> {
        let mut frame = match self.frame.take() {
            Some(frame) => frame,
            None => {
                let Some(head) = self.take_head(input, rules)? else {
                    return Ok(Step::More);
                };
                self.begin(head, config, codecs, compression)?
            }
        };
        let here = (input.len() as u64).min(frame.left) as usize;
        let (piece, rest) = std::mem::take(input).split_at_mut(here);
        *input = rest;
        mask::mask(piece, frame.key);
        frame.key = mask::rotate(frame.key, here);
        frame.left -= here as u64;
        let Frame { head, left, .. } = frame;
        if head.is_control() {
            self.control.extend_from_slice(piece);
        } else if let Some(message) = &mut self.message {
            self.received += here as u64;
            message.push(piece, (left, head.is_final()), config, codecs)?;
        }
        if left > 0 {
            self.frame = Some(frame);
            return Ok(Step::More);
        }
        if head.is_control() {
            let payload = std::mem::take(&mut self.control);
            return Ok(Step::Control(head.opcode(), payload.into()));
        }
        Ok(if head.is_final() {
            Step::Message
        } else {
            Step::Fragment
        })
    }

    /// After [`Step::Message`]: the message, in no more memory than it needs.
    pub(super) fn finish(
        &mut self,
        config: &Config,
        codecs: &mut Codecs,
    ) -> Result<(Whole, Option<Inflater>), Violation> {
        self.received = 0;
        let Some(mut message) = self.message.take() else {
            return Ok((Whole::Binary(Vec::new()), None));
        };
        if let Some(inflater) = &mut message.inflater {
            let body = &mut message.body;
            inflater.finish(codecs.scratch(), |out| body.push(out, config))?;
        }
        let whole = match message.body {
            Body::Text(text) => {
                let mut text = text.finish().map_err(|_| Violation::Utf8)?;
                text.shrink_to_fit();
                Whole::Text(text)
            }
            Body::Binary(mut data) => {
                data.shrink_to_fit();
                Whole::Binary(data)
            }
        };
        Ok((whole, message.inflater))
    }

    fn take_head(
        &mut self,
        input: &mut &mut [u8],
        rules: &head::Rules,
    ) -> Result<Option<Head>, Violation> {
        loop {
            let wanted = head::wanted(&self.head[..self.head_len]);
            let some = input.len().min(wanted - self.head_len);
            let (bytes, rest) = std::mem::take(input).split_at_mut(some);
            *input = rest;
            self.head[self.head_len..self.head_len + some].copy_from_slice(bytes);
            self.head_len += some;
            if let Some(head) = head::parse(&self.head[..self.head_len], rules)? {
                self.head_len = 0;
                return Ok(Some(head));
            }
            if self.head_len < wanted {
                return Ok(None);
            }
        }
    }

    fn begin(
        &mut self,
        head: Head,
        config: &Config,
        codecs: &mut Codecs,
        compression: Option<&mut Compression>,
    ) -> Result<Frame, Violation> {
        if !head.is_control() {
            if head.opcode() != head::opcode::CONTINUE {
                let compression = compression.filter(|_| head.is_deflated());
                self.message = Some(Message {
                    body: Body::new(head.opcode()),
                    inflater: compression.map(|compression| compression.lend(codecs)),
                });
            }
            let inflater = self.message.as_ref().map(|message| &message.inflater);
            let deflated = inflater.is_some_and(Option::is_some);
            if self.received.saturating_add(head.len) > config.max_wire(deflated) {
                return Err(Violation::TooBig);
            }
        }
        Ok(Frame {
            head,
            left: head.len,
            key: head.key,
        })
    }
}

impl Message {
    /// `left` bytes of the frame are still to come, and it is the last if `fin`.
    fn push(
        &mut self,
        piece: &[u8],
        (left, fin): (u64, bool),
        config: &Config,
        codecs: &mut Codecs,
    ) -> Result<(), Violation> {
        let body = &mut self.body;
        match &mut self.inflater {
            Some(inflater) => inflater.push(piece, codecs.scratch(), |out| body.push(out, config)),
            None => {
                body.reserve(piece.len(), left as usize, fin);
                body.push(piece, config)
            }
        }
    }
}

impl Body {
    fn new(opcode: u8) -> Self {
        if opcode == head::opcode::TEXT {
            Body::Text(Text::default())
        } else {
            Body::Binary(Vec::new())
        }
    }

    fn len(&self) -> usize {
        match self {
            Body::Text(text) => text.len(),
            Body::Binary(data) => data.len(),
        }
    }

    /// Makes room for `piece` bytes, and by doubling for those `left` of the frame: never more than twice
    /// what has come, and nothing to spare at the end of a message of one frame.
    fn reserve(&mut self, piece: usize, left: usize, fin: bool) {
        let (len, capacity) = match self {
            Body::Text(text) => (text.len(), text.capacity()),
            Body::Binary(data) => (data.len(), data.capacity()),
        };
        let needed = len + piece;
        if needed <= capacity {
            return;
        }
        let end = needed.saturating_add(left);
        let grown = (needed + len).min(if fin { end } else { usize::MAX });
        match self {
            Body::Text(text) => text.reserve(grown),
            Body::Binary(data) => data.reserve_exact(grown - len),
        }
    }

    /// Takes what fits; text is validated before too much is.
    fn push(&mut self, piece: &[u8], config: &Config) -> Result<(), Violation> {
        let room = config.max_message.saturating_sub(self.len());
        let some = &piece[..piece.len().min(room)];
        match self {
            Body::Text(text) => text.push(some).map_err(|_| Violation::Utf8)?,
            Body::Binary(data) => data.extend_from_slice(some),
        }
        if some.len() < piece.len() {
            return Err(Violation::TooBig);
        }
        Ok(())
    }
}
