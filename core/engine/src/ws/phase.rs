//! The phases of a connection and what leads from one to the next.

use crate::table::transitions;

/// Where a connection is. Each but `Open` and `Done` has the deadline *close*, which runs from leaving
/// `Open`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Messages pass both ways.
    Open,
    /// We asked to close; our Close is not sent yet. Messages still come in.
    Closing,
    /// Our Close is sent, the peer's is awaited. Messages still come in.
    Awaiting,
    /// Nothing is read any more; our Close is still to be sent.
    Replying,
    /// So it is, and the peer has ended its side of the stream.
    Last,
    /// Everything is sent; what comes is dropped until the peer ends the stream.
    Draining,
    /// Over.
    Done,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// We want to close.
    Close,
    /// The peer's Close came.
    PeerClose,
    /// The peer broke a rule.
    Violation,
    /// The last byte of our Close was taken for writing.
    CloseTaken,
    /// The peer's side of the stream ended.
    Eof,
    /// A deadline passed that cuts.
    Cut,
}

transitions! {
    /// Every transition.
    pub(crate) const TABLE;
    /// Where `on` leads, or `None` if it changes nothing.
    pub(crate) fn next(Phase, On);

    Open, Close => Closing, "our Close follows what is queued; close starts";
    Open, PeerClose => Replying, "the end is reported; our answer follows what is queued; close starts";
    Open, Violation => Replying, "the end is reported; our Close follows what is queued; close starts";
    Closing, CloseTaken => Awaiting, "only the answer is missing";
    Closing, PeerClose => Replying, "both asked at once: the end is reported, our Close is the answer";
    Closing, Violation => Replying, "the end is reported; our Close keeps its code";
    Awaiting, PeerClose => Draining, "the end is reported";
    Awaiting, Violation => Draining, "the end is reported";
    Replying, CloseTaken => Draining, "nothing follows";
    Replying, Eof => Last, "it may still read our Close";
    Last, CloseTaken => Done, "over";
    Draining, Eof => Done, "over";
    Open | Closing | Awaiting, Eof => Done, "the end is reported: lost";
    Open | Closing | Awaiting | Replying | Last | Draining, Cut => Done, "cut; the end is reported unless it was";
}
