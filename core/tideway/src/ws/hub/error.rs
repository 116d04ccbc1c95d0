//! Why a room did not do what it was asked.

use tideway_engine::hub::Refused;
use tideway_engine::jobs::NameError;

/// Why a join or a publish failed. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    /// A cap, or rules that do not fit the room's.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The user's name is none.
    #[error("the user's name: {0}")]
    User(#[from] NameError),
    /// The value is not JSON.
    #[error("the value cannot be written as JSON")]
    Json,
    /// The socket is closed or closing.
    #[error("the socket is closed: it can join nothing")]
    Closed,
    /// The socket left while it waited for other nodes.
    #[error("the socket left the room before its join was complete")]
    Left,
    /// The socket is in rooms of another app.
    #[error("this socket is in rooms of another hub: take the `Hub` of the app that serves it")]
    OtherHub,
    /// The room reaches other nodes, and there is no way to them.
    #[error(
        "the room reaches other nodes, but the app has no `pubsub`: give it one, or declare `Reach::Node`"
    )]
    NoPubSub,
}
