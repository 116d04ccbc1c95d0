//! Why a call of the port did not do what it was asked for.

/// Why a broker did not take something. A message that was refused is not sent again by anybody: a repeat might
/// arrive twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PubSubError {
    /// It is not reached at the moment; a message is lost, or was sent and nobody knows. The backend connects again by
    /// itself.
    #[error("the broker is not reached at the moment, a message may be lost: {0}")]
    Transient(Box<str>),
    /// No repeat will help: a wrong password, a URL that is none.
    #[error("the broker refuses: {0}")]
    Fatal(Box<str>),
    /// So much is on its way already that no more is taken.
    #[error("{0} messages are on their way already: wait until some of their calls have returned")]
    Full(usize),
    /// The message is larger than `Caps::max_payload`.
    #[error("a message of {size} bytes is too large: this broker takes {most}, see its `caps`")]
    TooLarge {
        /// What it has.
        size: usize,
        /// What would be taken.
        most: usize,
    },
    /// The broker declares that it cannot do this.
    #[error("this broker does not support {0}: see its `caps`")]
    Unsupported(&'static str),
}
