//! Close codes (RFC 6455 §7.4) and what a Close frame says. No frame is read or written here.

use std::fmt;

/// A close code that may stand in a Close frame (RFC 6455 §7.4, and those IANA registered since).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server stops, or the user leaves the page.
    pub const AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: a kind of message that is not accepted.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: a message that is not what its type says: bad UTF-8, or bytes that do not inflate.
    pub const INVALID: Self = Self(1007);
    /// 1008: against a rule of ours that no other code names.
    pub const POLICY: Self = Self(1008);
    /// 1009: larger than we take.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: a client misses an extension.
    pub const EXTENSION: Self = Self(1010);
    /// 1011: we failed.
    pub const ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const RESTART: Self = Self(1012);
    /// 1013: too much to do; try again later.
    pub const TRY_LATER: Self = Self(1013);

    /// The code, if it may be sent: 1000–1003, 1007–1014, and 3000–4999 for libraries and
    /// applications. 1004 has no meaning; 1005, 1006 and 1015 are for reports only.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a Close frame says: a code, or none, and a reason of at most 123 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CloseFrame {
    /// The code; without one there is no reason.
    pub code: Option<CloseCode>,
    /// For a person who reads a log.
    pub reason: Box<str>,
}

/// The longest reason, in bytes: a control frame holds 125, the code takes two.
pub const MAX_REASON: usize = 123;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_sent() {
        let allowed = (0..=u16::MAX).filter(|&code| CloseCode::new(code).is_some());
        let listed = (1000..=1003).chain(1007..=1014).chain(3000..=4999);
        assert!(allowed.eq(listed));
    }
}
