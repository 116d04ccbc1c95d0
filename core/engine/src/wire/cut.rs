//! Why a connection is cut: the names of its deadlines.

/// The deadline that ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Nothing came after the connection was accepted.
    FirstByte,
    /// A request head was begun and not finished.
    Header,
    /// No further request came.
    KeepAlive,
    /// A handler awaited request body bytes and none came.
    BodyIn,
    /// We had bytes to send and the peer took none.
    BodyOut,
    /// The connection was closing and its last bytes were not taken in time.
    Drain,
}

impl Cut {
    /// All of them; the index is that of the timer.
    pub(crate) const ALL: [Cut; 6] = [
        Cut::FirstByte,
        Cut::Header,
        Cut::KeepAlive,
        Cut::BodyIn,
        Cut::BodyOut,
        Cut::Drain,
    ];

    /// The names of [`Cut::ALL`].
    pub(crate) const NAMES: [&str; 6] = [
        "first byte",
        "header",
        "keep-alive",
        "body in",
        "body out",
        "drain",
    ];

    /// The name of the deadline, as `poll_timeout` reports it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}
