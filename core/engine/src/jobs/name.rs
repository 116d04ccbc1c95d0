//! Names people give: of queues, kinds, groups, keys. Short, printable, cheap to copy.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 1 to 200 bytes of text without control characters; a clone shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The longest, in bytes: what fits an index of every store.
    pub const MAX: usize = 200;

    /// `text` as a name.
    ///
    /// # Errors
    ///
    /// [`NameError`] if it is empty, longer than [`Name::MAX`] or holds a control character.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > Self::MAX {
            return Err(NameError::TooLong(text.len()));
        }
        // Nearly every name is plain; this looks at many bytes at once, and never stops early.
        let plain = |all, byte| all & matches!(byte, b' '..=b'~');
        if text.bytes().fold(true, plain) {
            return Ok(Self(text.into()));
        }
        match text.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, _)) => Err(NameError::Control(at)),
            None => Ok(Self(text.into())),
        }
    }

    /// `text` as a name, or `unreadable`: for what a store reads back and somebody may have damaged.
    #[must_use]
    pub fn readable(text: &str) -> Self {
        Self::new(text).unwrap_or_else(|_| Self("unreadable".into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It has no characters.
    #[error("a name is empty: give it 1 to {max} bytes", max = Name::MAX)]
    Empty,
    /// It has this many bytes.
    #[error("a name of {0} bytes is too long: at most {max}; put a hash of it instead", max = Name::MAX)]
    TooLong(usize),
    /// It has a control character at this byte.
    #[error("a name has a control character at byte {0}: remove it")]
    Control(usize),
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_checked_at_the_cap_and_one_past_it() {
        assert!(Name::new(&"é".repeat(100)).is_ok());
        assert_eq!(Name::new(&"x".repeat(201)), Err(NameError::TooLong(201)));
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("a\nb"), Err(NameError::Control(1)));
    }
}
