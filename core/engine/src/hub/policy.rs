//! What happens to a client that reads more slowly than it is written to, and how a connection is closed.

/// What a frame does that finds no room in a slow client's outbox.
///
/// It is declared by the room or the sender, and applies to frames that nobody waits for. A frame of a
/// waiting send is never dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Policy {
    /// Drops the oldest queued frames that may be dropped, until it fits. For streams in which only recent
    /// news counts.
    DropOldest,
    /// Is dropped itself. For streams in which the beginning counts.
    DropNewest,
    /// Replaces the queued frame with the same key, at all times: for a client that keeps up nothing is
    /// queued. If it still does not fit, as [`DropOldest`](Policy::DropOldest). For values of which only the
    /// latest counts.
    Conflate,
    /// Closes the connection with 1013 (try again later): the client may connect again and ask for what it
    /// missed. The default, since nothing is lost in silence.
    #[default]
    Close,
}

impl Policy {
    /// Whether a queued frame of it may be dropped in favour of a newer one.
    pub(super) const fn droppable(self) -> bool {
        matches!(self, Policy::DropOldest | Policy::Conflate)
    }
}

/// Why a connection is closed (RFC 6455 §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// The status code.
    pub code: u16,
    /// A reason for people, at most 123 bytes.
    pub reason: &'static str,
}

impl Close {
    /// The handler is done.
    pub const DONE: Close = Close {
        code: 1000,
        reason: "",
    };
    /// The server stops.
    pub const AWAY: Close = Close {
        code: 1001,
        reason: "going away",
    };
    /// The client reads too slowly for [`Policy::Close`].
    pub const SLOW: Close = Close {
        code: 1013,
        reason: "reading too slowly, try again later",
    };
}
