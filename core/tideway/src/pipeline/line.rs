//! What stays known of a request to the end of its exchange.

use http::{Method, Version};
use tideway_engine::Now;

use crate::request::RequestId;

/// The first line of a request and who sent it.
///
/// The head itself moves into the handler. This copy lives on for logs and metrics; it pins no read
/// buffer for the length of a long body.
#[derive(Debug)]
pub struct RequestLine {
    pub(super) method: Method,
    pub(super) path: ShortPath,
    pub(super) version: Version,
    pub(super) route: Option<u32>,
    pub(super) id: RequestId,
    pub(super) received: Now,
}

impl RequestLine {
    /// The method as sent.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path without query; cut at [`RequestLine::MAX_PATH`] bytes.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.as_str()
    }

    /// The protocol version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The longest path kept, in bytes.
    pub const MAX_PATH: usize = 1024;
}

/// A path, inline up to 46 bytes.
pub(super) enum ShortPath {
    Inline(u8, [u8; Self::INLINE]),
    Long(Box<str>),
}

impl ShortPath {
    const INLINE: usize = 46;

    pub(super) const EMPTY: Self = Self::Inline(0, [0; Self::INLINE]);

    /// Keeps `path` in place of what is kept now.
    pub(super) fn set(&mut self, path: &str) {
        let bytes = path.as_bytes();
        if let Self::Inline(len, inline) = self
            && let Some(inline) = inline.get_mut(..bytes.len())
        {
            inline.copy_from_slice(bytes);
            *len = bytes.len() as u8;
        } else if bytes.len() <= Self::INLINE {
            *self = Self::EMPTY;
            self.set(path);
        } else {
            let end = path.floor_char_boundary(RequestLine::MAX_PATH);
            *self = Self::Long(path[..end].into());
        }
    }

    fn as_str(&self) -> &str {
        match self {
            // Copied whole from a `str`; the fallback cannot be reached.
            Self::Inline(len, bytes) => {
                std::str::from_utf8(&bytes[..usize::from(*len)]).unwrap_or("")
            }
            Self::Long(path) => path,
        }
    }
}

impl std::fmt::Debug for ShortPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(path: &str) -> ShortPath {
        let mut kept = ShortPath::EMPTY;
        kept.set(path);
        kept
    }

    #[test]
    fn a_path_is_kept_whole_up_to_its_cap_and_cut_at_a_character() {
        for len in [0, 1, 45, 46, 47, 1023, 1024] {
            let path = "/".repeat(len);
            assert_eq!(kept(&path).as_str(), path);
        }
        assert_eq!(kept(&"ü".repeat(600)).as_str(), "ü".repeat(512));
    }

    #[test]
    fn nothing_of_the_path_before_shows() {
        let mut kept = ShortPath::EMPTY;
        for path in ["/long/enough", "/x", "", &"/y".repeat(30), "/z"] {
            kept.set(path);
            assert_eq!(kept.as_str(), path);
        }
    }
}
