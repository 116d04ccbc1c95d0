//! What the hub must know of a frame: how to share it and how much memory it holds.

use bytes::Bytes;

use crate::ws::Encoded;

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

/// As a server sends it; what is kept compressed beside it counts for whoever published it.
impl Frame for Encoded {
    #[inline]
    fn allocated(&self) -> usize {
        self.len()
    }
}
