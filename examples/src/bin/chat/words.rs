//! What clients say and what they are told, as JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The longest text, in characters.
pub(crate) const LONGEST: usize = 1000;

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Said {
    /// A message.
    Say { text: String },
    /// It is being written.
    Typing {},
}

/// What a client is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Told<'a> {
    /// A message; `id` is unlike any other's, `at` is in milliseconds since 1970.
    Said {
        id: &'a str,
        user: &'a str,
        text: &'a str,
        at: i64,
    },
    /// Somebody is writing.
    Typing { user: &'a str },
    /// Everyone who is there.
    Present { users: Vec<Cow<'a, str>> },
    /// Somebody came.
    Came { user: &'a str },
    /// Somebody went.
    Went { user: &'a str },
    /// Messages of other nodes are missing.
    Gap {},
    /// What was said was not understood, or not taken.
    Wrong { why: &'a str },
}

impl Told<'_> {
    /// As text.
    pub(crate) fn json(&self) -> String {
        // It has only text and numbers in it.
        serde_json::to_string(self).unwrap_or_default()
    }
}
