//! The phases of a connection and what leads from one to the next.

use super::Cut;
use crate::table::transitions;

/// Where a connection is. Each phase but `Busy` and `Done` has one deadline, started on entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Accepted, nothing received.
    First,
    /// Part of a request head is here.
    Head,
    /// At least one request is being answered.
    Busy,
    /// No request is being answered and nothing of the next is here.
    Idle,
    /// Only what is left to send is still sent.
    Closing,
    /// Cut.
    Done,
}

impl Phase {
    /// The deadline of the phase.
    #[inline]
    pub(crate) const fn deadline(self) -> Option<Cut> {
        match self {
            Phase::First => Some(Cut::FirstByte),
            Phase::Head => Some(Cut::Header),
            Phase::Idle => Some(Cut::KeepAlive),
            Phase::Closing => Some(Cut::Drain),
            Phase::Busy | Phase::Done => None,
        }
    }
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Bytes came, one request after another.
    Rx,
    /// Bytes came on a multiplexed connection.
    Frames,
    /// The peer took bytes.
    Tx,
    /// The HTTP/2 preface was seen.
    Multiplexed,
    /// A request head was parsed.
    Head,
    /// The last exchange in progress is over.
    Over,
    /// So it is, and part of the next request is already here.
    OverBuffered,
    /// The peer will send no more.
    Eof,
    /// We decided to close.
    Close,
    /// A deadline passed.
    Due,
}

transitions! {
    /// Every transition; a row to the same phase starts its deadline anew.
    pub(crate) const TABLE;
    /// Where `on` leads, or `None` if it changes nothing.
    pub(crate) fn next(Phase, Event);

    First, Rx => Head, "first byte stops, header starts";
    Idle, Rx => Head, "keep-alive stops, header starts";
    Idle, Frames => Idle, "frames between requests: keep-alive starts anew";
    Idle, Tx => Idle, "the peer takes the tail of an answer: keep-alive starts anew";
    First | Head, Multiplexed => Idle, "the preface is no request: keep-alive starts";
    First | Head | Idle, Head => Busy, "the phase's deadline stops; the handler has its own";
    Busy, Head => Busy, "one more stream";
    Busy, Over => Idle, "keep-alive starts";
    Busy, OverBuffered => Head, "header starts";
    First | Idle, Eof => Closing, "no answer is owed: drain starts";
    Busy, Eof => Busy, "the answer is still owed; body in stops";
    First | Head | Busy | Idle, Close => Closing, "every deadline stops, drain starts";
    First | Head | Busy | Idle | Closing, Due => Done, "cut";
}
