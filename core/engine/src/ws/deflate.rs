//! permessage-deflate (RFC 7692): its parameters and their negotiation. Nothing is compressed here.

use super::handshake::Malformed;
use super::handshake::extensions::{self, Extension};

const NAME: &str = "permessage-deflate";
const SERVER_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

/// What this side is ready to agree to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// Whether compression may go on from message to message. Default no: yes takes some 300 KiB for as
    /// long as the socket lives, so whoever says yes caps the number of such sockets.
    pub takeover: bool,
    /// The largest window of the server's messages, as a power of two: 9 to 15. Default 15.
    pub server_max_window_bits: u8,
    /// The largest window of the client's messages, as a power of two: 9 to 15. Default 15.
    pub client_max_window_bits: u8,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }
}

/// What both sides agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deflate {
    /// The server's messages may refer to those before.
    pub server_takeover: bool,
    /// The client's messages may refer to those before.
    pub client_takeover: bool,
    /// The window of the server's messages, as a power of two: 9 to 15, or 8 if a server chose it.
    pub server_max_window_bits: u8,
    /// The window of the client's messages, as a power of two: 9 to 15.
    pub client_max_window_bits: u8,
}

/// The parameters of one offer or answer, each at most once.
#[derive(Default)]
struct Parameters {
    server_no_takeover: bool,
    client_no_takeover: bool,
    server_bits: Option<u8>,
    /// Present without a value is `Some(None)`.
    client_bits: Option<Option<u8>>,
}

impl Parameters {
    /// `None` if any is unknown, twice, or has a value it cannot have (RFC 7692 §7).
    fn read(extension: &Extension<'_>) -> Option<Self> {
        let mut read = Self::default();
        for (name, value) in &extension.parameters {
            let (twice, valid) = match &**name {
                SERVER_TAKEOVER => (
                    std::mem::replace(&mut read.server_no_takeover, true),
                    value.is_none(),
                ),
                CLIENT_TAKEOVER => (
                    std::mem::replace(&mut read.client_no_takeover, true),
                    value.is_none(),
                ),
                SERVER_BITS => {
                    let bits = value.as_deref().and_then(bits);
                    (
                        std::mem::replace(&mut read.server_bits, bits).is_some(),
                        bits.is_some(),
                    )
                }
                CLIENT_BITS => {
                    let bits = value.as_deref().map(bits);
                    let twice = read.client_bits.replace(bits.flatten()).is_some();
                    (twice, bits != Some(None))
                }
                _ => return None,
            };
            if twice || !valid {
                return None;
            }
        }
        Some(read)
    }
}

/// 8 to 15, in decimal, without leading zeros.
fn bits(value: &str) -> Option<u8> {
    match value {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}

impl Deflate {
    /// A server's choice among the offers of the `Sec-WebSocket-Extensions` lines, with the value of its
    /// answer's: the first offer that it can keep. One that limits the server's window to 8 bits is
    /// passed over, since no zlib compresses for that.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the lines are not a list of extensions (RFC 6455 §9.1).
    pub fn accept(
        offers: &str,
        config: &DeflateConfig,
    ) -> Result<Option<(Self, String)>, Malformed> {
        for extension in extensions::list(offers)? {
            if extension.name == NAME
                && let Some(offer) = Parameters::read(&extension)
                && offer.server_bits != Some(8)
            {
                return Ok(Some(Self::answer(&offer, config)));
            }
        }
        Ok(None)
    }

    fn answer(offer: &Parameters, config: &DeflateConfig) -> (Self, String) {
        let ours = config.server_max_window_bits.clamp(9, 15);
        let limit = config.client_max_window_bits.clamp(9, 15);
        // Only a client that offers the parameter can be limited (RFC 7692 §7.1.2.2).
        let client_bits = match offer.client_bits {
            Some(offered) => offered.unwrap_or(15).min(limit).max(9),
            None => 15,
        };
        let agreed = Self {
            server_takeover: config.takeover && !offer.server_no_takeover,
            client_takeover: config.takeover && !offer.client_no_takeover,
            server_max_window_bits: offer.server_bits.unwrap_or(15).min(ours),
            client_max_window_bits: client_bits,
        };
        let mut answer = String::from(NAME);
        if !agreed.server_takeover {
            parameter(&mut answer, SERVER_TAKEOVER, None);
        }
        if !agreed.client_takeover {
            parameter(&mut answer, CLIENT_TAKEOVER, None);
        }
        if offer.server_bits.is_some() || agreed.server_max_window_bits < 15 {
            parameter(
                &mut answer,
                SERVER_BITS,
                Some(agreed.server_max_window_bits),
            );
        }
        // A client that offers less than 9 needs no limit, and the answer must not name more.
        if offer.client_bits.is_some_and(|bits| bits != Some(8)) && client_bits < 15 {
            parameter(&mut answer, CLIENT_BITS, Some(client_bits));
        }
        (agreed, answer)
    }

    /// A client's offer, as the value of its `Sec-WebSocket-Extensions`.
    #[must_use]
    pub fn offer(config: &DeflateConfig) -> String {
        let mut offer = String::from(NAME);
        if !config.takeover {
            parameter(&mut offer, SERVER_TAKEOVER, None);
            parameter(&mut offer, CLIENT_TAKEOVER, None);
        }
        let (server, client) = config.windows();
        if server < 15 {
            parameter(&mut offer, SERVER_BITS, Some(server));
        }
        parameter(
            &mut offer,
            CLIENT_BITS,
            Some(client).filter(|&bits| bits < 15),
        );
        offer
    }

    /// What a server's answer to [`Deflate::offer`] agreed to; `None` if it takes no extension.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it agrees to what was not offered, or to what cannot be kept: the client must
    /// then fail the connection (RFC 7692 §7.1).
    pub fn agreed(answer: &str, config: &DeflateConfig) -> Result<Option<Self>, Malformed> {
        let mut extensions = extensions::list(answer)?.into_iter();
        let Some(extension) = extensions.next() else {
            return Ok(None);
        };
        if extension.name != NAME || extensions.next().is_some() {
            return Err(Malformed);
        }
        let answer = Parameters::read(&extension).ok_or(Malformed)?;
        let (server, client) = config.windows();
        // An answer names its value.
        let client_bits = match answer.client_bits {
            Some(bits) => bits.ok_or(Malformed)?,
            None => client,
        };
        let server_bits = answer.server_bits.unwrap_or(server);
        let kept = (config.takeover || answer.server_no_takeover)
            && (server == 15 || answer.server_bits.is_some())
            && server_bits <= server
            && (9..=client).contains(&client_bits);
        if !kept {
            return Err(Malformed);
        }
        Ok(Some(Self {
            server_takeover: !answer.server_no_takeover,
            client_takeover: config.takeover && !answer.client_no_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
        }))
    }
}

impl DeflateConfig {
    fn windows(&self) -> (u8, u8) {
        let (server, client) = (self.server_max_window_bits, self.client_max_window_bits);
        (server.clamp(9, 15), client.clamp(9, 15))
    }
}

fn parameter(into: &mut String, name: &str, bits: Option<u8>) {
    into.push_str("; ");
    into.push_str(name);
    if let Some(bits) = bits {
        into.push('=');
        into.push_str(&bits.to_string());
    }
}

#[cfg(test)]
mod tests;
