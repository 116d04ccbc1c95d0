//! The opening handshake (RFC 6455 §4; over HTTP/2 RFC 8441) as pure functions over header values. It
//! reads no head and writes none, and knows nothing of origins: that is policy.

pub(super) mod extensions;
mod list;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::deflate::{Deflate, DeflateConfig};
use crate::rng::Rng;

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The only version there is.
pub const VERSION: &str = "13";

/// The header is not what its grammar says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed WebSocket header")]
pub struct Malformed;

/// The value of `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 §4.2.2).
#[must_use]
pub fn accept_key(key: &str) -> String {
    let mut sha = sha1_smol::Sha1::new();
    sha.update(key.as_bytes());
    sha.update(GUID);
    STANDARD.encode(sha.digest().bytes())
}

/// A client's `Sec-WebSocket-Key`: 16 random bytes.
#[must_use]
pub fn draw_key(rng: &mut Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    STANDARD.encode(bytes)
}

/// Whether a key is the base64 of 16 bytes. Bits beyond them are not looked at.
fn is_key(key: &str) -> bool {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    );
    let mut bytes = [0; 18];
    LENIENT.decode_slice(key, &mut bytes) == Ok(16)
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Http {
    /// HTTP/1.1 or later 1.x: `GET` and `Upgrade`.
    One,
    /// HTTP/2: `CONNECT` with `:protocol` (RFC 8441).
    Two,
    /// HTTP/1.0 or older.
    Older,
}

/// The parts of a request that the handshake looks at. Several lines of one header are joined with commas.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The version.
    pub http: Http,
    /// The method.
    pub method: &'a str,
    /// `Connection`; not on HTTP/2.
    pub connection: Option<&'a str>,
    /// `Upgrade`, or `:protocol`.
    pub upgrade: Option<&'a str>,
    /// `Sec-WebSocket-Key`; not on HTTP/2.
    pub key: Option<&'a str>,
    /// `Sec-WebSocket-Version`.
    pub version: Option<&'a str>,
    /// `Sec-WebSocket-Protocol`.
    pub protocols: Option<&'a str>,
    /// `Sec-WebSocket-Extensions`.
    pub extensions: Option<&'a str>,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<'p> {
    /// `Sec-WebSocket-Accept`; none on HTTP/2.
    pub accept: Option<String>,
    /// `Sec-WebSocket-Protocol`.
    pub protocol: Option<&'p str>,
    /// `Sec-WebSocket-Extensions`.
    pub extensions: Option<String>,
    /// What `extensions` agrees to.
    pub deflate: Option<Deflate>,
}

/// Why a request is no handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// 426 with `Upgrade: websocket`.
    #[error("this is a WebSocket: connect with `Upgrade: websocket`")]
    NoUpgrade,
    /// 405.
    #[error("a WebSocket is opened with GET, over HTTP/2 with CONNECT")]
    Method,
    /// 505.
    #[error("a WebSocket needs HTTP/1.1 or later")]
    Http,
    /// 400.
    #[error("`Connection` does not name `Upgrade`")]
    Connection,
    /// 426 with `Sec-WebSocket-Version: 13`.
    #[error("`Sec-WebSocket-Version` is not 13, the only one spoken here")]
    Version,
    /// 400.
    #[error("`Sec-WebSocket-Key` is not the base64 of 16 bytes")]
    Key,
    /// 400.
    #[error("`Sec-WebSocket-Protocol` is not a list of tokens, each once")]
    Protocols,
    /// 400.
    #[error("`Sec-WebSocket-Extensions` is not a list of extensions")]
    Extensions,
}

impl Refused {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::NoUpgrade | Self::Version => 426,
            Self::Method => 405,
            Self::Http => 505,
            _ => 400,
        }
    }
}

/// A server's side: the answer to a request, with the first of the client's subprotocols that
/// is in `protocols`, and compression by `deflate`, if there is one.
///
/// # Errors
///
/// [`Refused`] with its status.
pub fn accept<'p>(
    request: &Request<'_>,
    protocols: &[&'p str],
    deflate: Option<&DeflateConfig>,
) -> Result<Accepted<'p>, Refused> {
    let upgrade = request.upgrade.unwrap_or_default();
    if !list::names(upgrade, "websocket") {
        return Err(Refused::NoUpgrade);
    }
    let key = match request.http {
        Http::Older => return Err(Refused::Http),
        Http::One => {
            if request.method != "GET" {
                return Err(Refused::Method);
            }
            if !list::names(request.connection.unwrap_or_default(), "upgrade") {
                return Err(Refused::Connection);
            }
            Some(request.key.map(str::trim).unwrap_or_default())
        }
        Http::Two if request.method != "CONNECT" => return Err(Refused::Method),
        Http::Two => None,
    };
    if request.version.map(str::trim) != Some(VERSION) {
        return Err(Refused::Version);
    }
    if key.is_some_and(|key| !is_key(key)) {
        return Err(Refused::Key);
    }
    let protocol = subprotocol(request.protocols.unwrap_or_default(), protocols)
        .map_err(|Malformed| Refused::Protocols)?;
    let offers = request.extensions.unwrap_or_default();
    let agreed = match deflate {
        Some(config) => Deflate::accept(offers, config),
        None => extensions::list(offers).map(|_| None),
    };
    let (deflate, extensions) = agreed
        .map_err(|Malformed| Refused::Extensions)?
        .map_or((None, None), |(agreed, answer)| {
            (Some(agreed), Some(answer))
        });
    Ok(Accepted {
        accept: key.map(accept_key),
        protocol,
        extensions,
        deflate,
    })
}

/// The first subprotocol of the client's list that is in `ours`: the order is the client's wish (RFC 6455
/// §4.1).
///
/// # Errors
///
/// [`Malformed`] if `offered` is not a list of tokens, each once.
pub fn subprotocol<'p>(offered: &str, ours: &[&'p str]) -> Result<Option<&'p str>, Malformed> {
    let offered = list::tokens(offered)?;
    for (at, name) in offered.iter().enumerate() {
        if offered[..at].contains(name) {
            return Err(Malformed);
        }
    }
    let chosen = offered
        .iter()
        .find_map(|name| ours.iter().find(|own| *own == name));
    Ok(chosen.copied())
}

/// The parts of a server's answer that a client looks at.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// `Connection`.
    pub connection: Option<&'a str>,
    /// `Upgrade`.
    pub upgrade: Option<&'a str>,
    /// `Sec-WebSocket-Accept`.
    pub accept: Option<&'a str>,
    /// `Sec-WebSocket-Protocol`.
    pub protocol: Option<&'a str>,
    /// `Sec-WebSocket-Extensions`.
    pub extensions: Option<&'a str>,
}

/// What a client and its server agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed<'p> {
    /// One of those it offered.
    pub protocol: Option<&'p str>,
    /// Compression.
    pub deflate: Option<Deflate>,
}

/// Why a client fails the connection (RFC 6455 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAnswer {
    /// Not 101.
    #[error("the server answered {0} instead of 101")]
    Status(u16),
    /// `Upgrade` is not `websocket`.
    #[error("`Upgrade` is not `websocket`")]
    Upgrade,
    /// `Connection` does not name `Upgrade`.
    #[error("`Connection` does not name `Upgrade`")]
    Connection,
    /// The server did not read our key: it may be a cache.
    #[error("`Sec-WebSocket-Accept` does not belong to our key")]
    Accept,
    /// A subprotocol that we did not offer.
    #[error("the server chose a subprotocol that was not offered")]
    Protocol,
    /// An extension, or a parameter, that we did not offer.
    #[error("the server chose an extension or a parameter that was not offered")]
    Extensions,
}

/// A client's side: checks the answer to a request that carried `key`, `protocols`, and
/// [`Deflate::offer`] of `deflate`, if there is one.
///
/// # Errors
///
/// [`BadAnswer`]: the connection must be dropped.
pub fn check<'p>(
    answer: &Answer<'_>,
    key: &str,
    protocols: &[&'p str],
    deflate: Option<&DeflateConfig>,
) -> Result<Agreed<'p>, BadAnswer> {
    if answer.status != 101 {
        return Err(BadAnswer::Status(answer.status));
    }
    let is_websocket = |value: &str| value.trim().eq_ignore_ascii_case("websocket");
    if !answer.upgrade.is_some_and(is_websocket) {
        return Err(BadAnswer::Upgrade);
    }
    if !list::names(answer.connection.unwrap_or_default(), "upgrade") {
        return Err(BadAnswer::Connection);
    }
    if answer.accept.map(str::trim) != Some(&*accept_key(key)) {
        return Err(BadAnswer::Accept);
    }
    let protocol = match answer.protocol.map(str::trim) {
        None => None,
        Some(chosen) => {
            let offered = protocols.iter().find(|own| **own == chosen);
            Some(*offered.ok_or(BadAnswer::Protocol)?)
        }
    };
    let extensions = answer.extensions.unwrap_or_default();
    let agreed = match deflate {
        Some(config) => Deflate::agreed(extensions, config),
        None if extensions.trim().is_empty() => Ok(None),
        None => Err(Malformed),
    };
    Ok(Agreed {
        protocol,
        deflate: agreed.map_err(|Malformed| BadAnswer::Extensions)?,
    })
}

#[cfg(test)]
mod tests;
