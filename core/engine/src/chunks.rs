//! A queue of byte chunks that holds two in place before it allocates. It never copies or splits
//! bytes, and it sets no limit: its owner checks `len` and `count` before pushing.

use std::collections::VecDeque;

use bytes::Bytes;

/// Chunks in the order they came, and how many bytes they hold together.
///
/// Most messages are one or two chunks, so those live inside the queue; the rest spill to the
/// heap, which is given back once the queue is empty.
///
/// ```
/// use bytes::Bytes;
/// use tideway_engine::Chunks;
///
/// let mut chunks = Chunks::new();
/// chunks.push(Bytes::from_static(b"hello"));
/// assert_eq!(chunks.len(), 5);
/// assert_eq!(chunks.pop().as_deref(), Some(&b"hello"[..]));
/// assert!(chunks.is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    /// Filled from the front; an empty chunk is a free place.
    near: [Bytes; 2],
    /// Used only while both places are taken.
    spill: VecDeque<Bytes>,
    len: usize,
}

impl Chunks {
    /// An empty queue. Allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes in all chunks together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many chunks are queued. A peer that sends many tiny ones costs more than their bytes.
    #[must_use]
    pub fn count(&self) -> usize {
        let near = self.near.iter().filter(|chunk| !chunk.is_empty()).count();
        near + self.spill.len()
    }

    /// Adds a chunk at the end; an empty one is ignored.
    pub fn push(&mut self, chunk: Bytes) {
        self.len += chunk.len();
        if chunk.is_empty() {
            return;
        }
        match self.near.iter_mut().find(|place| place.is_empty()) {
            Some(place) => *place = chunk,
            None => self.spill.push_back(chunk),
        }
    }

    /// Takes the oldest chunk; never an empty one.
    pub fn pop(&mut self) -> Option<Bytes> {
        if self.is_empty() {
            return None;
        }
        let next = self.spill.pop_front().unwrap_or_default();
        let second = std::mem::replace(&mut self.near[1], next);
        let first = std::mem::replace(&mut self.near[0], second);
        self.len -= first.len();
        if self.is_empty() {
            self.spill = VecDeque::new();
        }
        Some(first)
    }

    /// Drops everything queued.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The chunks, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        let near = self.near.iter().filter(|chunk| !chunk.is_empty());
        near.chain(&self.spill)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec(prop::option::weighted(0.6, 0..9_usize), 0..64)) {
            let mut chunks = Chunks::new();
            let mut model = VecDeque::new();
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    Some(len) => {
                        let chunk = Bytes::from(vec![n as u8; len]);
                        chunks.push(chunk.clone());
                        if !chunk.is_empty() {
                            model.push_back(chunk);
                        }
                    }
                    None => prop_assert_eq!(chunks.pop(), model.pop_front()),
                }
                prop_assert_eq!(chunks.len(), model.iter().map(Bytes::len).sum::<usize>());
                prop_assert_eq!(chunks.count(), model.len());
                prop_assert_eq!(chunks.is_empty(), model.is_empty());
                prop_assert!(chunks.iter().eq(&model));
            }
        }
    }

    #[test]
    fn the_heap_is_given_back() {
        let mut chunks = Chunks::new();
        for _ in 0..8 {
            chunks.push(Bytes::from_static(b"x"));
        }
        while chunks.pop().is_some() {}
        assert_eq!(chunks.spill.capacity(), 0);
    }
}
