//! What the hub must know of a frame: how to share it and how much memory it holds.

use bytes::Bytes;

use crate::ws::{Encoded, Parcel};

/// Something to be sent, shared by reference: a clone must not copy the payload.
pub trait Frame: Clone {
    /// The memory it holds, in bytes as allocated. Nothing but [`shed`](Self::shed) changes it.
    fn allocated(&self) -> usize;

    /// Gives up its oldest message, if it has several. `false`: it is one, and stays as it is.
    fn shed(&mut self) -> bool {
        false
    }
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

impl Frame for Parcel {
    fn allocated(&self) -> usize {
        match self {
            Parcel::One(message) => message.allocated(),
            Parcel::Run(run) => run.allocated(),
        }
    }

    fn shed(&mut self) -> bool {
        match self {
            Parcel::Run(run) if run.len() > 1 => run.next().is_some(),
            _ => false,
        }
    }
}
