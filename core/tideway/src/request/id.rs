//! The id that ties a request to its log lines and its error document.

use std::sync::Arc;

use tideway_engine::format_uuid;

/// Aligned, since a check for UTF-8 goes by words only where words begin.
#[derive(Clone, PartialEq, Eq)]
#[repr(align(8))]
struct UuidText([u8; 36]);

/// A request id: a UUIDv7 made here, or a trusted proxy's own text.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(Id);

#[derive(Clone, PartialEq, Eq)]
enum Id {
    None,
    Uuid(UuidText),
    Text(Arc<str>),
}

impl RequestId {
    /// No id: the request-id stage is not in the pipeline.
    pub const NONE: RequestId = RequestId(Id::None);

    /// The longest text accepted from a proxy, in bytes.
    pub const MAX: usize = 128;

    pub(crate) fn uuid(uuid: u128) -> Self {
        Self(Id::Uuid(UuidText(format_uuid(uuid))))
    }

    /// A proxy's id: 1 to [`RequestId::MAX`] visible ASCII characters without quotes, else `None`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let fits = (1..=Self::MAX).contains(&text.len());
        let plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'<' | b'>');
        if !(fits && text.iter().all(plain)) {
            return None;
        }
        std::str::from_utf8(text)
            .ok()
            .map(|text| Self(Id::Text(text.into())))
    }

    /// The text; empty for [`RequestId::NONE`].
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Id::None => "",
            // Always ASCII; the fallback cannot be reached.
            Id::Uuid(UuidText(text)) => std::str::from_utf8(text).unwrap_or(""),
            Id::Text(text) => text,
        }
    }

    /// [`RequestId::as_str`] where bytes will do: the text is not checked again.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Id::None => b"",
            Id::Uuid(UuidText(text)) => text,
            Id::Text(text) => text.as_bytes(),
        }
    }

    /// Whether this is [`RequestId::NONE`].
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self.0, Id::None)
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Debug for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RequestId({})", self.as_str())
    }
}
