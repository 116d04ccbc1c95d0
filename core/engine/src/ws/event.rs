//! What a connection received: messages and control frames. Whole payloads are lent from the
//! caller's buffer; what came in pieces is owned.

use std::borrow::Cow;
use std::ops::Deref;

use bytes::Bytes;

/// Something received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Data<'a>),
    /// A Ping; its Pong is queued already.
    Ping(Data<'a>),
    /// A Pong, asked for or not.
    Pong(Data<'a>),
}

/// A payload.
#[derive(Clone, Debug)]
pub enum Data<'a> {
    /// It arrived whole: these bytes lie in the buffer the caller gave.
    Lent(&'a [u8]),
    /// It arrived in pieces, or was compressed.
    Owned(Bytes),
}

impl Deref for Data<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Data::Lent(bytes) => bytes,
            Data::Owned(bytes) => bytes,
        }
    }
}

/// Equal if the bytes are; how they came does not count.
impl PartialEq for Data<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Data<'_> {}
