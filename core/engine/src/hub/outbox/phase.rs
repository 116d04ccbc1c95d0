//! The phases of an outbox and what leads from one to the next.

use crate::table::transitions;

/// How far an outbox is on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Takes frames in and gives them out.
    Open,
    /// Gives out what is queued; then the close.
    Draining,
    /// Nothing is queued, the close is next.
    Closing,
    /// The close was given out.
    Closed,
    /// The connection has ended.
    Gone,
}

/// What happens to an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A close behind what is queued.
    Finish,
    /// A close at once.
    Cut,
    /// The last queued frame was given out.
    Empty,
    /// The close was given out.
    Taken,
    /// The connection has ended.
    Gone,
}

transitions! {
    /// Every transition.
    pub(crate) const TABLE;
    /// Where `on` leads, or `None` if it changes nothing.
    pub(crate) fn next(Phase, Event);

    Open, Finish => Draining, "no more is taken in; the close goes behind the queue";
    Draining, Empty => Closing, "the close is next";
    Open | Draining, Cut => Closing, "the queue is dropped; the close is next, whatever the window holds";
    Closing, Taken => Closed, "the close is given out, once";
    Open | Draining | Closing | Closed, Gone => Gone, "all memory is freed; nobody waits any more";
}
