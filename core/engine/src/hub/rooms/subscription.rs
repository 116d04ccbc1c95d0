//! The states of a topic's subscription to its channel, and what leads from one to the next.

use crate::table::transitions;

/// How a topic is connected to its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sub {
    /// Not at all.
    Off,
    /// To be asked for, in the next batch.
    Queued,
    /// Asked for.
    Asked,
    /// Frames of other nodes come in.
    On,
}

/// What happens to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubEvent {
    /// A member joined.
    Need,
    /// The batch was given out.
    Sent,
    /// The broker said yes.
    Subscribed,
    /// The connection to the broker was lost, or it said no.
    Lost,
    /// The topic had no members for the linger.
    Unused,
}

transitions! {
    /// Every transition.
    pub(crate) const TABLE;
    /// Where `on` leads, or `None` if it changes nothing.
    pub(crate) fn next(Sub, SubEvent);

    Off, Need => Queued, "goes into the next batch";
    Queued, Sent => Asked, "an answer is owed";
    Asked, Subscribed => On, "joins complete; after a loss members are told of the gap";
    Asked | On, Lost => Queued, "asked for again after a pause";
    Queued, Unused => Off, "was never asked for";
    On, Unused => Off, "unsubscribes; an answer still owed is awaited first";
}
