//! Why a socket ended, and the ways to break the protocol, each with its close code.

use super::code::{CloseCode, CloseFrame};

/// Why no message comes any more. Reported once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The peer sent Close first.
    Peer(CloseFrame),
    /// We sent Close, and this is the peer's answer.
    Answered(CloseFrame),
    /// The peer broke a rule; our Close says which.
    Violation(Violation),
    /// We sent Close, and no answer came in time.
    Unanswered,
    /// No byte came for an interval and a time-out: the peer is gone, or takes nothing.
    Silent,
    /// The stream ended without a Close.
    Lost,
}

impl End {
    /// The close code as applications know it: what the peer said, what we said to it, 1005 for a
    /// Close without a code, 1006 for an end without a Close (RFC 6455 §7.1.5).
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            End::Peer(frame) | End::Answered(frame) => frame.code.map_or(1005, CloseCode::as_u16),
            End::Violation(violation) => violation.code().as_u16(),
            End::Unanswered | End::Silent | End::Lost => 1006,
        }
    }
}

/// A rule the peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// RFC 6455 §5.2: an RSV bit that no extension gave a meaning.
    #[error("reserved bit set")]
    Reserved,
    /// RFC 6455 §5.2: an opcode of 3 to 7 or 11 to 15.
    #[error("unknown opcode")]
    Opcode,
    /// RFC 6455 §5.1: a client's frame must be masked.
    #[error("frame not masked")]
    Unmasked,
    /// RFC 6455 §5.1: a server's frame must not be.
    #[error("frame masked")]
    Masked,
    /// RFC 6455 §5.5: a control frame over 125 bytes.
    #[error("control frame too long")]
    ControlLength,
    /// RFC 6455 §5.5: a control frame in fragments.
    #[error("control frame fragmented")]
    ControlFragment,
    /// RFC 6455 §5.2: a length not written in the fewest bytes, or over 2^63.
    #[error("bad frame length")]
    Length,
    /// RFC 6455 §5.4: a continuation of nothing.
    #[error("nothing to continue")]
    NothingToContinue,
    /// RFC 6455 §5.4: a new message inside another.
    #[error("message not finished")]
    Unfinished,
    /// RFC 6455 §5.5.1: a Close with one byte of payload, or a code that must not be sent.
    #[error("bad close frame")]
    Close,
    /// RFC 6455 §8.1: text that is not UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
    /// RFC 7692 §7.2.2: a compressed message that does not inflate.
    #[error("message does not inflate")]
    Inflate,
    /// A frame or message over our cap, or one that would inflate beyond it.
    #[error("message too big")]
    TooBig,
    /// A message that came more slowly than we wait.
    #[error("message too slow")]
    TooSlow,
}

impl Violation {
    /// The code that our Close carries.
    #[must_use]
    pub const fn code(self) -> CloseCode {
        match self {
            Self::Utf8 | Self::Inflate => CloseCode::INVALID,
            Self::TooBig => CloseCode::TOO_BIG,
            Self::TooSlow => CloseCode::POLICY,
            _ => CloseCode::PROTOCOL,
        }
    }
}
