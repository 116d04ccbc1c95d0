//! Comma-separated lists of tokens (RFC 9110 §5.6), strictly or by one name.

use super::Malformed;

/// A character of a token.
pub(super) const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_tchar)
}

pub(super) const SPACE: [char; 2] = [' ', '\t'];

/// Whether `list` has `name`, in any case. A list that is otherwise wrong may still have it.
pub(super) fn names(list: &str, name: &str) -> bool {
    list.split(',')
        .any(|item| item.trim_matches(SPACE).eq_ignore_ascii_case(name))
}

/// All tokens of `list`; empty elements do not count (RFC 9110 §5.6.1.2).
pub(super) fn tokens(list: &str) -> Result<Vec<&str>, Malformed> {
    let items = list.split(',').map(|item| item.trim_matches(SPACE));
    items
        .filter(|item| !item.is_empty())
        .map(|item| {
            if is_token(item) {
                Ok(item)
            } else {
                Err(Malformed)
            }
        })
        .collect()
}
