//! A message as a handler gets it: owned, and no larger than what was sent. No payload keeps a read buffer alive.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tideway_engine::ws::{Data, Encoded, Event};

/// Payloads up to this size, in bytes, take no memory of their own.
const INLINE: usize = 30;

/// A text or binary message.
///
/// ```
/// use tideway::ws::Message;
///
/// let message = Message::from(r#"{"x": 1}"#);
/// let value: serde_json::Value = message.json()?;
/// assert_eq!(value["x"], 1);
/// assert_eq!(message.as_text(), Some(r#"{"x": 1}"#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8, as was checked while it came in.
    Text(Text),
    /// Any bytes.
    Binary(Binary),
}

impl Message {
    /// The payload.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(data) => data,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The payload read as JSON, text or not.
    ///
    /// # Errors
    ///
    /// It is not JSON, or not of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.as_bytes())
    }

    /// What a connection received, unless it is a control frame.
    pub(super) fn received(event: Event<'_>) -> Option<Self> {
        Some(match event {
            Event::Text(Cow::Borrowed(text)) => Self::Text(text.into()),
            Event::Text(Cow::Owned(text)) => Self::Text(text.into()),
            Event::Binary(Data::Lent(data)) => Self::Binary(data.into()),
            Event::Binary(Data::Owned(data)) => Self::Binary(data.into()),
            Event::Ping(_) | Event::Pong(_) => return None,
        })
    }

    /// The memory it holds beside itself, in bytes.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Text(Text(Str::Inline(_))) | Self::Binary(Binary(Blob::Inline(_))) => 0,
            Self::Binary(Binary(Blob::Framed(frame))) => frame.len(),
            _ => self.as_bytes().len(),
        }
    }
}

/// The text of a message: a `str`.
#[derive(Clone)]
pub struct Text(Str);

/// The payload of a binary message: a `[u8]`.
#[derive(Clone)]
pub struct Binary(Blob);

#[derive(Clone)]
enum Str {
    Inline(Small),
    // Not `Bytes`: without unsafe code each look at them would check the UTF-8 again.
    Heap(Box<str>),
}

#[derive(Clone)]
enum Blob {
    Inline(Small),
    Heap(Bytes),
    /// Copied anyway, and so behind room for a head: sent back, it is a frame.
    Framed(Box<[u8]>),
}

#[derive(Clone, Copy)]
struct Small {
    len: u8,
    bytes: [u8; INLINE],
}

impl Small {
    fn new(data: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE];
        bytes.get_mut(..data.len())?.copy_from_slice(data);
        let len = data.len() as u8;
        Some(Self { len, bytes })
    }

    fn get(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            // It was text when it was put here.
            Str::Inline(small) => std::str::from_utf8(small.get()).unwrap_or_default(),
            Str::Heap(text) => text,
        }
    }
}

impl Deref for Binary {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Blob::Inline(small) => small.get(),
            Blob::Heap(bytes) => bytes,
            Blob::Framed(frame) => &frame[head_of(frame)..],
        }
    }
}

/// Where the payload begins in a [`Blob::Framed`].
fn head_of(frame: &[u8]) -> usize {
    if frame.len() <= 2 + 125 { 2 } else { 4 }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(match Small::new(text.as_bytes()) {
            Some(small) => Str::Inline(small),
            None => Str::Heap(text.into()),
        })
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(match Small::new(text.as_bytes()) {
            Some(small) => Str::Inline(small),
            None => Str::Heap(text.into()),
        })
    }
}

impl From<&[u8]> for Binary {
    fn from(data: &[u8]) -> Self {
        Self(match (Small::new(data), Encoded::head_len(data.len())) {
            (Some(small), _) => Blob::Inline(small),
            (None, Some(head)) => {
                let mut frame = Vec::with_capacity(head + data.len());
                match head {
                    2 => frame.extend_from_slice(&[0; 2]),
                    _ => frame.extend_from_slice(&[0; 4]),
                }
                frame.extend_from_slice(data);
                Blob::Framed(frame.into())
            }
            (None, None) => Blob::Heap(Bytes::copy_from_slice(data)),
        })
    }
}

impl From<Bytes> for Binary {
    fn from(data: Bytes) -> Self {
        Self(match Small::new(&data) {
            Some(small) => Blob::Inline(small),
            None => Blob::Heap(data),
        })
    }
}

impl From<Vec<u8>> for Binary {
    fn from(data: Vec<u8>) -> Self {
        Bytes::from(data).into()
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text.0 {
            Str::Heap(text) => text.into(),
            Str::Inline(_) => (*text).to_owned(),
        }
    }
}

impl From<Binary> for Bytes {
    fn from(data: Binary) -> Self {
        match data.0 {
            Blob::Heap(bytes) => bytes,
            Blob::Inline(small) => Bytes::copy_from_slice(small.get()),
            Blob::Framed(frame) => {
                let head = head_of(&frame);
                Bytes::from(frame).slice(head..)
            }
        }
    }
}

macro_rules! messages {
    ($($from:ty: $kind:ident,)*) => {$(
        impl From<$from> for Message {
            fn from(payload: $from) -> Self {
                Self::$kind(payload.into())
            }
        }
    )*};
}

messages! {
    &str: Text,
    String: Text,
    &[u8]: Binary,
    Vec<u8>: Binary,
    Bytes: Binary,
}

impl From<Message> for Encoded {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(Text(Str::Heap(text))) => Self::from_string(text.into()),
            Message::Text(text) => Self::text(&text),
            Message::Binary(Binary(Blob::Framed(frame))) => Self::binary_within(frame.into()),
            Message::Binary(Binary(Blob::Heap(bytes))) => Self::from_bytes(bytes),
            Message::Binary(data) => Self::binary(&data),
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl PartialEq for Binary {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Binary {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

// An inbox is a row of these.
const _: () = assert!(size_of::<Message>() <= 40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_payloads_hold_no_memory_and_long_ones_just_theirs() {
        for len in [0, 1, INLINE, INLINE + 1, 5000] {
            let text = "é".repeat(len / 2) + &"x".repeat(len % 2);
            for message in [Message::from(&*text), text.clone().into()] {
                assert_eq!(message.as_text(), Some(&*text));
                assert_eq!(message.held(), if len > INLINE { len } else { 0 });
                let Message::Text(owned) = message.clone() else {
                    panic!("{message:?}");
                };
                assert_eq!(String::from(owned), text);
                assert_eq!(Encoded::from(message).payload(), text.as_bytes());
            }
            let data = vec![7; len];
            for (message, head) in [(Message::from(&*data), 4), (data.clone().into(), 0)] {
                assert_eq!((message.as_text(), message.as_bytes()), (None, &*data));
                let head = if len > 125 { head } else { head / 2 };
                assert_eq!(message.held(), if len > INLINE { head + len } else { 0 });
                let Message::Binary(owned) = message.clone() else {
                    panic!("{message:?}");
                };
                assert_eq!(Bytes::from(owned), data);
                let encoded = Encoded::from(message);
                assert!(!encoded.is_text());
                assert_eq!(encoded.payload(), data);
            }
        }
    }

    #[test]
    fn what_was_lent_is_copied_and_what_was_owned_is_kept() {
        let read = vec![7; 100];
        let lent = Message::received(Event::Binary(Data::Lent(&read))).expect("a message");
        assert_ne!(lent.as_bytes().as_ptr(), read.as_ptr());
        let owned = Bytes::from(read);
        let at = owned.as_ptr();
        let kept = Message::received(Event::Binary(Data::Owned(owned))).expect("a message");
        assert_eq!(kept.as_bytes().as_ptr(), at);
        assert_eq!(Message::received(Event::Ping(Data::Lent(b"x"))), None);
    }
}
