//! Which channel of the broker is whose topic's. One exact name for each: no patterns.

use super::super::Topic;
use crate::jobs::Name;

/// The names of the channels of one application: `prefix:r:` and a room's name, `prefix:u:` and a user's.
///
/// No two topics share a channel, of whatever prefixes, for a prefix has no colon.
///
/// ```
/// use tideway_engine::hub::{Topic, wire::Channels};
/// use tideway_engine::jobs::Name;
///
/// let channels = Channels::new("shop").unwrap();
/// let lobby = Topic::Room(Name::new("lobby").unwrap());
/// assert_eq!(channels.name(&lobby), "shop:r:lobby");
/// assert_eq!(channels.topic("shop:r:lobby"), Some(lobby));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channels {
    prefix: Box<str>,
}

/// A prefix that is none: the text names it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot begin the names of channels: give 1 to {max} letters, digits and -_./ (no colon)",
    max = Channels::PREFIX_MAX
)]
pub struct PrefixError(pub Box<str>);

impl Channels {
    /// The longest prefix, in bytes.
    pub const PREFIX_MAX: usize = 64;
    /// The longest name of a channel, in bytes.
    pub const MAX: usize = Self::PREFIX_MAX + 3 + Name::MAX;

    /// Channels that begin with `prefix`, the same on all nodes of an application.
    ///
    /// # Errors
    ///
    /// [`PrefixError`].
    pub fn new(prefix: &str) -> Result<Self, PrefixError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if (1..=Self::PREFIX_MAX).contains(&prefix.len()) && prefix.chars().all(allowed) {
            let prefix = prefix.into();
            return Ok(Self { prefix });
        }
        let shown: String = prefix.chars().take(Self::PREFIX_MAX).collect();
        Err(PrefixError(shown.into()))
    }

    /// The channel of `topic`.
    #[must_use]
    pub fn name(&self, topic: &Topic) -> String {
        let kind = match topic {
            Topic::Room(_) => 'r',
            Topic::User(_) => 'u',
        };
        format!("{}:{kind}:{}", self.prefix, topic.name())
    }

    /// The topic of this channel, if it is one of ours.
    #[must_use]
    pub fn topic(&self, channel: &str) -> Option<Topic> {
        let rest = channel.strip_prefix(&*self.prefix)?.strip_prefix(':')?;
        let (kind, name) = rest.split_once(':')?;
        let name = Name::new(name).ok()?;
        match kind {
            "r" => Some(Topic::Room(name)),
            "u" => Some(Topic::User(name)),
            _ => None,
        }
    }
}

impl Default for Channels {
    /// Those of `tideway`.
    fn default() -> Self {
        Self {
            prefix: "tideway".into(),
        }
    }
}
