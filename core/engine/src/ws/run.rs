//! Messages in a row for many receivers: joined once, so that each of them queues and writes one piece. It decides nothing:
//! not who gets it, and not what is dropped.

use std::sync::Arc;

use bytes::Bytes;

use super::Encoded;
use super::encoded::Frame;

/// Up to this size, in bytes, messages are joined: above, writing them as they are costs less than the copy.
const MOST: usize = 16 << 10;

/// Messages in a row, joined. A clone is another reference. As an iterator it gives them one by one.
#[derive(Clone, Debug)]
pub struct Run {
    all: Arc<All>,
    /// How many are gone,
    gone: u32,
    /// and their bytes.
    gone_bytes: u32,
}

#[derive(Debug)]
struct All {
    joined: Bytes,
    /// Each lies in `joined`.
    each: Box<[Encoded]>,
}

impl Run {
    /// Joins two or more messages, unless they are too large for that.
    pub fn join<'a>(messages: impl Iterator<Item = &'a Encoded> + Clone) -> Option<Self> {
        let (mut count, mut bytes) = (0, 0);
        for message in messages.clone() {
            count += 1;
            bytes += message.len();
            if bytes > MOST {
                return None;
            }
        }
        if count < 2 {
            return None;
        }
        let mut joined = Vec::with_capacity(bytes);
        for message in messages.clone() {
            message.put(&mut joined);
        }
        let joined = Bytes::from(joined);
        let mut rest = joined.clone();
        let each = messages.map(|message| message.lying_in(rest.split_to(message.len())));
        Some(Self {
            all: Arc::new(All {
                each: each.collect(),
                joined,
            }),
            gone: 0,
            gone_bytes: 0,
        })
    }

    /// What it holds, in bytes as allocated.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.bytes() + self.len() * size_of::<Encoded>()
    }

    /// What is left of it as frames that are neither compressed nor masked, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.all.joined.len() - self.gone_bytes as usize
    }

    pub(super) fn into_frame(self) -> Frame {
        Frame {
            front: self.all.joined.slice(self.gone_bytes as usize..),
            rest: None,
        }
    }
}

impl Iterator for Run {
    type Item = Encoded;

    fn next(&mut self) -> Option<Encoded> {
        let message = self.all.each.get(self.gone as usize)?.clone();
        self.gone += 1;
        self.gone_bytes += message.len() as u32;
        Some(message)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.all.each.len() - self.gone as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Run {}

/// What is queued for one receiver.
#[derive(Clone, Debug)]
pub enum Parcel {
    /// One message.
    One(Encoded),
    /// Several, which it gets as one piece.
    Run(Run),
}

impl Parcel {
    /// Messages as one, unless they are too large to be joined.
    pub fn join<'a>(messages: impl Iterator<Item = &'a Encoded> + Clone) -> Option<Self> {
        let mut some = messages.clone();
        match (some.next(), some.next()) {
            (Some(one), None) => Some(Self::One(one.clone())),
            _ => Run::join(messages).map(Self::Run),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_its_messages_in_order_and_one_piece() {
        let messages: Vec<Encoded> = (0..20)
            .map(|n| Encoded::text(&"ab".repeat(n * 5)))
            .collect();
        let mut run = Run::join(messages.iter()).unwrap();
        let whole: Vec<u8> = messages.iter().fold(Vec::new(), |mut all, message| {
            message.put(&mut all);
            all
        });
        let other = run.clone();
        for (at, message) in messages.iter().enumerate() {
            let gone: usize = messages[..at].iter().map(Encoded::len).sum();
            assert_eq!(run.clone().into_frame().front, whole[gone..]);
            assert_eq!(run.bytes(), whole.len() - gone);
            assert_eq!(
                run.allocated(),
                run.bytes() + (20 - at) * size_of::<Encoded>()
            );
            let next = run.next().unwrap();
            assert_eq!((next.payload(), next.is_text()), (message.payload(), true));
            assert_eq!(
                next.payload().as_ptr_range().end,
                other.all.joined[..gone + message.len()].as_ptr_range().end,
                "it is not kept twice"
            );
        }
        assert!(run.next().is_none() && run.allocated() == 0);
        assert_eq!(other.len(), 20, "of its own");
    }

    #[test]
    fn large_ones_and_a_single_one_are_not_joined() {
        let of = |count: usize, len: usize| {
            let messages = vec![Encoded::binary(&vec![0; len]); count];
            Run::join(messages.iter()).is_some()
        };
        assert!(!of(0, 10) && !of(1, 10) && of(2, 10));
        assert!(of(4, MOST / 4 - 4) && !of(4, MOST / 4 - 3));
    }

    #[test]
    fn a_run_keeps_the_place_for_compressed_forms() {
        let text = "the same again ".repeat(20);
        let messages = [Encoded::text(&text).shared(), Encoded::text(&text)];
        let mut codecs = super::super::Codecs::default();
        messages[0].deflate(15, &mut codecs);
        let first = Run::join(messages.iter()).unwrap().next().unwrap();
        let at = |message: &Encoded, codecs: &mut super::super::Codecs| {
            message.with_deflated(15, codecs, |frame| frame.front.as_ptr())
        };
        assert_eq!(at(&first, &mut codecs), at(&messages[0], &mut codecs));
    }
}
