//! What the hub must know of a frame: how to share it and how much memory it holds.

use bytes::Bytes;

/// Something to be sent, shared by reference: a clone must not copy the payload.
pub trait Frame: Clone {
    /// The memory it holds, in bytes as allocated. It must not change while the frame lives.
    fn allocated(&self) -> usize;
}

impl Frame for Bytes {
    fn allocated(&self) -> usize {
        self.len()
    }
}
