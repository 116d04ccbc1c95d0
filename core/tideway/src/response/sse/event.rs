//! One server-sent event, as text.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

/// An event: fields in the order they were added.
///
/// ```
/// use tideway::response::Event;
/// let event = Event::new().event("note")?.id("7")?.data("two\nlines");
/// assert_eq!(event.to_string(), "event: note\nid: 7\ndata: two\ndata: lines\n\n");
/// # Ok::<(), tideway::response::EventError>(())
/// ```
///
/// Text that would break the framing is refused ([`event`](Self::event), [`id`](Self::id)) or
/// split into lines ([`data`](Self::data), [`comment`](Self::comment)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an event is sent only by the stream that yields it"]
pub struct Event {
    text: String,
}

/// Why a field was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// A line break would start another field.
    #[error("the {0} of an event has a line break or NUL; leave it out")]
    LineBreak(&'static str),
    /// The value cannot be serialised.
    #[error("the data of an event cannot be serialised: {0}")]
    Json(#[from] serde_json::Error),
}

impl Event {
    /// An event without fields.
    pub fn new() -> Self {
        Self::default()
    }

    fn line(&mut self, field: &str, value: &str) {
        self.text.push_str(field);
        self.text.push_str(": ");
        self.text.push_str(value);
        self.text.push('\n');
    }

    /// One field per line of `text`; a line ends with LF, CR or CR LF, as a client sees it.
    fn lines(&mut self, field: &str, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(['\r', '\n']) {
            self.line(field, &rest[..at]);
            let end = &rest[at..];
            rest = end.strip_prefix("\r\n").unwrap_or(&end[1..]);
        }
        self.line(field, rest);
    }

    fn single(mut self, field: &'static str, value: &str) -> Result<Self, EventError> {
        if value.contains(['\r', '\n', '\0']) {
            return Err(EventError::LineBreak(field));
        }
        self.line(field, value);
        Ok(self)
    }

    /// Its data. Line breaks are kept (the client sees each as LF); called twice, both follow on
    /// lines of their own.
    pub fn data(mut self, text: impl AsRef<str>) -> Self {
        self.lines("data", text.as_ref());
        self
    }

    /// Its data, as JSON. Fails if the value cannot be serialised.
    pub fn json<T: Serialize>(self, value: &T) -> Result<Self, EventError> {
        Ok(self.data(serde_json::to_string(value)?))
    }

    /// Its type, which chooses the listener; `message` without one. Fails on CR, LF and NUL.
    pub fn event(self, name: impl AsRef<str>) -> Result<Self, EventError> {
        self.single("event", name.as_ref())
    }

    /// Its id, which comes back as `Last-Event-ID`. Fails on CR, LF and NUL.
    pub fn id(self, id: impl AsRef<str>) -> Result<Self, EventError> {
        self.single("id", id.as_ref())
    }

    /// How long the client is to wait before it connects again; in whole milliseconds.
    pub fn retry(mut self, wait: Duration) -> Self {
        self.line("retry", &wait.as_millis().to_string());
        self
    }

    /// A comment, which clients skip.
    pub fn comment(mut self, text: impl AsRef<str>) -> Self {
        self.lines("", text.as_ref());
        self
    }

    /// The event and the empty line behind it.
    pub(super) fn finish(mut self) -> Bytes {
        self.text.push('\n');
        self.text.into()
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a client makes of a stream (HTML §9.2.6): `(type, id, data)` of each event.
    fn client(stream: &str) -> Vec<(String, String, String)> {
        let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
        let (mut kind, mut id, mut data) = (String::new(), String::new(), String::new());
        let mut events = Vec::new();
        for line in stream.split('\n') {
            if line.is_empty() {
                if let Some(data) = data.strip_suffix('\n') {
                    events.push((kind.clone(), id.clone(), data.to_owned()));
                }
                (kind, data) = (String::new(), String::new());
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut kind),
                "id" => value.clone_into(&mut id),
                "data" => data.extend([value, "\n"]),
                _ => {}
            }
        }
        events
    }

    proptest! {
        #[test]
        fn a_client_reads_what_was_written(
            kind in "[^\r\n\0]{0,8}",
            id in "[^\r\n\0]{0,8}",
            data in "[ :a\u{e9}\r\n]{0,12}",
            note in "[ :d\r\n]{0,8}",
        ) {
            let event = Event::new()
                .comment(&note)
                .event(&kind).unwrap()
                .id(&id).unwrap()
                .data(&data)
                .retry(Duration::from_millis(5));
            let text = format!("{event}{event}");
            let seen = data.replace("\r\n", "\n").replace('\r', "\n");
            let one = (kind, id, seen);
            prop_assert_eq!(client(&text), vec![one.clone(), one]);
        }
    }

    #[test]
    fn a_field_cannot_start_another() {
        for bad in ["a\nb", "a\rdata: b", "\0"] {
            assert!(Event::new().event(bad).is_err());
            assert!(Event::new().id(bad).is_err());
        }
        assert_eq!(Event::new().data("").to_string(), "data: \n\n");
    }
}
