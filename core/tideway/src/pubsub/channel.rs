//! The names messages are published under.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The name of a channel: 1 to 512 bytes of any text. It is exact: no character means anything, and no two names
/// are one. A clone shares the text.
///
/// ```
/// use tideway::pubsub::Channel;
///
/// let channel = Channel::new("shop:r:lobby")?;
/// assert_eq!(&*channel, "shop:r:lobby");
/// assert!(Channel::new("").is_err());
/// # Ok::<(), tideway::pubsub::ChannelError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(Arc<str>);

/// A text of this many bytes is no [`Channel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a channel has {0} bytes: give it 1 to {max}", max = Channel::MAX)]
pub struct ChannelError(pub usize);

impl Channel {
    /// The longest, in bytes.
    pub const MAX: usize = 512;

    /// `text` as a name.
    ///
    /// # Errors
    ///
    /// [`ChannelError`] if it is empty or longer than [`Channel::MAX`].
    pub fn new(text: impl Into<Arc<str>> + AsRef<str>) -> Result<Self, ChannelError> {
        match text.as_ref().len() {
            1..=Self::MAX => Ok(Self(text.into())),
            length => Err(ChannelError(length)),
        }
    }
}

impl Deref for Channel {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Channel {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
