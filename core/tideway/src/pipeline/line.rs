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
    pub(super) path: KeptPath,
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
        &self.path.0
    }

    /// The protocol version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The longest path kept, in bytes.
    pub const MAX_PATH: usize = 1024;
}

/// A path; its room serves the next exchange's. Text, so that logs need not check it again.
#[derive(Debug, Default)]
pub(super) struct KeptPath(String);

impl KeptPath {
    /// Keeps `path` in place of what is kept now.
    pub(super) fn set(&mut self, path: &str) {
        let end = if path.len() <= RequestLine::MAX_PATH {
            path.len()
        } else {
            path.floor_char_boundary(RequestLine::MAX_PATH)
        };
        self.0.clear();
        self.0.push_str(&path[..end]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(path: &str) -> KeptPath {
        let mut kept = KeptPath::default();
        kept.set(path);
        kept
    }

    #[test]
    fn a_path_is_kept_whole_up_to_its_cap_and_cut_at_a_character() {
        for len in [0, 1, 45, 46, 47, 1023, 1024] {
            let path = "/".repeat(len);
            assert_eq!(kept(&path).0, path);
        }
        assert_eq!(kept(&"ü".repeat(600)).0, "ü".repeat(512));
    }

    #[test]
    fn nothing_of_the_path_before_shows() {
        let mut kept = KeptPath::default();
        for path in ["/long/enough", "/x", "", &"/y".repeat(30), "/z"] {
            kept.set(path);
            assert_eq!(kept.0, path);
        }
    }
}
