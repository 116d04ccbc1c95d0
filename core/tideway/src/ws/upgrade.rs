//! `WebSocketUpgrade`: the handshake as an extractor, and what the handler decides about the socket.

use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use tideway_engine::hub::Rate;
use tideway_engine::ws::handshake::{self, Http};
use tideway_engine::ws::{Config, Deflate, DeflateConfig};

use super::closed::OnClose;
use super::origin::Origins;
use super::{Closed, ExtendedConnect, HandshakeRejection, Socket, Takeover, Upgrade};
use crate::extract::FromRequestParts;
use crate::{Body, Context, IntoResponse, Parts, Problem, Response};

pub(super) static DEFAULTS: LazyLock<Arc<Config>> = LazyLock::new(Arc::default);

/// A request that opens a WebSocket, not answered yet.
///
/// Decide by ordinary extractors who may, set what differs from the defaults, and answer with
/// [`on_upgrade`](Self::on_upgrade):
///
/// ```
/// use tideway::{Response, ws::WebSocketUpgrade};
///
/// async fn feed(upgrade: WebSocketUpgrade) -> Response {
///     upgrade
///         .protocols(["feed.v2", "feed.v1"])
///         .allow_origin("https://partner.example")
///         .on_close(|closed| println!("{}: {}", closed.cause, closed.code))
///         .on_upgrade(|socket| async move {
///             let _ = socket.send("hello").await;
///         })
/// }
/// ```
///
/// Fails with 426 if the request asks for no WebSocket or another version, 405 if it is no GET, 505 before HTTP/1.1,
/// else 400. `Option` of it is `None` if the request does not ask.
///
/// A page of another origin is refused with 403, unless it is [allowed](Self::allow_origin): a browser would send it our
/// cookies.
#[must_use = "the request is answered with 101 only by `on_upgrade`"]
pub struct WebSocketUpgrade {
    /// None over HTTP/2, where there is no key either.
    accept: Option<String>,
    offered_protocols: String,
    offered_extensions: String,
    /// `Err` if there were several, or one that is no text.
    origin: Result<Option<Box<str>>, ()>,
    host: Option<Box<str>>,
    origins: Origins,
    protocols: Vec<Box<str>>,
    config: Arc<Config>,
    deflate: bool,
    takeover: Option<Takeover>,
    rate: Option<Rate>,
    on_close: OnClose,
}

impl WebSocketUpgrade {
    /// Pages of `origin`, such as `https://partner.example`, may connect too.
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.origins.allow(origin);
        self
    }

    /// Pages of any origin may connect: only for sockets that neither cookies nor the network open.
    pub fn allow_any_origin(mut self) -> Self {
        self.origins = Origins::any();
        self
    }

    /// The subprotocols spoken here. The first of the client's that is among them is agreed to
    /// ([`Socket::protocol`]); if none is, the socket opens without one.
    pub fn protocols<P: Into<Box<str>>>(mut self, names: impl IntoIterator<Item = P>) -> Self {
        self.protocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Replaces all caps and time-outs; share one between all connections.
    pub fn config(mut self, config: Arc<Config>) -> Self {
        self.config = config;
        self
    }

    /// The largest message taken, in bytes, in one frame or several. Default 1 MiB; a larger one closes 1009.
    pub fn max_message(mut self, bytes: usize) -> Self {
        let config = Arc::make_mut(&mut self.config);
        (config.max_message, config.max_frame) = (bytes, bytes);
        self
    }

    /// How many bytes may wait to be sent before `send` waits. Default 1 MiB, and never less than a message of the
    /// largest size taken.
    pub fn max_queue(mut self, bytes: usize) -> Self {
        Arc::make_mut(&mut self.config).max_queue = bytes;
        self
    }

    /// The heartbeat: a Ping after `every` without a byte from the peer, and an end without any for `within` more.
    /// Default 30 s and 20 s; `Duration::MAX` for none. The first Ping comes at some instant of the interval's second
    /// half, so that those who connected together are not asked together.
    pub fn heartbeat(mut self, every: Duration, within: Duration) -> Self {
        let config = Arc::make_mut(&mut self.config);
        (config.ping_every, config.pong_within) = (every, within);
        self
    }

    /// At most `burst` messages at once and `per_second` in the long run; whoever sends faster is read more slowly.
    /// Default: as fast as the handler takes them.
    pub fn rate_limit(mut self, per_second: u32, burst: u32) -> Self {
        self.rate = Some(Rate::new(per_second, burst));
        self
    }

    /// Compresses messages if the client can (RFC 7692), each by itself. Default no: it costs far more processor time
    /// than it saves where the network is not the limit.
    pub fn deflate(mut self, deflate: bool) -> Self {
        (self.deflate, self.takeover) = (deflate, None);
        self
    }

    /// Compresses messages if the client can, each by what the ones before it said (context takeover): far smaller where
    /// small messages resemble one another, for some 300 KiB per socket. Where the cap is reached, or the client will not,
    /// as [`deflate`](Self::deflate). What a room publishes is compressed for each such socket anew.
    pub fn deflate_with(mut self, takeover: &Takeover) -> Self {
        (self.deflate, self.takeover) = (true, Some(takeover.clone()));
        self
    }

    /// Called exactly once, when the socket is over and the handler is gone, or when it is certain that there will be
    /// no socket.
    pub fn on_close(mut self, told: impl FnOnce(Closed) + Send + 'static) -> Self {
        self.on_close = OnClose::new(told);
        self
    }

    /// The answer that opens the socket, 101 or over HTTP/2 200, and what runs on it then; or a refusal.
    pub fn on_upgrade<F, Fut>(mut self, handler: F) -> Response
    where
        F: FnOnce(Socket) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        if let Err(problem) = self.check_origin() {
            return problem.into_response();
        }
        let ours: Vec<&str> = self.protocols.iter().map(|name| &**name).collect();
        let Ok(protocol) = handshake::subprotocol(&self.offered_protocols, &ours) else {
            return HandshakeRejection::from(handshake::Refused::Protocols).into_response();
        };
        let mut agreed = None;
        if self.deflate {
            let place = self.takeover.as_ref().and_then(Takeover::take);
            let config = DeflateConfig {
                takeover: place.is_some(),
                ..DeflateConfig::default()
            };
            match Deflate::accept(&self.offered_extensions, &config) {
                Ok(accepted) => agreed = accepted,
                Err(_) => {
                    return HandshakeRejection::from(handshake::Refused::Extensions)
                        .into_response();
                }
            }
            let keeps =
                |(agreed, _): &(Deflate, _)| agreed.server_takeover || agreed.client_takeover;
            if let (Some(place), true) = (place, agreed.as_ref().is_some_and(keeps)) {
                self.on_close.keep(place);
            }
        }
        let mut response = Response::new(Body::empty());
        if let Some(accept) = &self.accept {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            put(headers, header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        // RFC 8441 §5: otherwise any 2xx, and none of these.
        let headers = response.headers_mut();
        if let Some(protocol) = protocol {
            put(headers, header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        if let Some((_, extensions)) = &agreed {
            put(headers, header::SEC_WEBSOCKET_EXTENSIONS, extensions);
        }
        let upgrade = Upgrade::new(
            self.config,
            agreed.map(|(deflate, _)| deflate),
            protocol.map(Into::into),
            self.rate,
            self.on_close,
            handler,
        );
        *response.body_mut() = Body::upgrade(upgrade);
        response
    }

    fn check_origin(&self) -> Result<(), Problem> {
        let refused = |detail: String| Err(Problem::new(StatusCode::FORBIDDEN).detail(detail));
        match &self.origin {
            Ok(None) => Ok(()),
            Ok(Some(origin)) if self.origins.allows(origin, self.host.as_deref()) => Ok(()),
            Ok(Some(origin)) => refused(format!(
                "pages of {origin} may not open this WebSocket; connect from a page of this host"
            )),
            Err(()) => refused("the request has no single Origin that can be read".into()),
        }
    }
}

/// Values made of what the client's header held, or of base64.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The lines of one header, joined with commas.
pub(super) fn joined(
    headers: &HeaderMap,
    name: &HeaderName,
) -> Result<Option<String>, HandshakeRejection> {
    let mut all = None::<String>;
    for line in headers.get_all(name) {
        let line = line.to_str().map_err(|_| HandshakeRejection::NotText)?;
        match &mut all {
            None => all = Some(line.to_owned()),
            Some(all) => {
                all.push_str(", ");
                all.push_str(line);
            }
        }
    }
    Ok(all)
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    headers.contains_key(header::TRANSFER_ENCODING)
        || length.is_some_and(|length| length.as_bytes() != b"0")
}

impl FromRequestParts for WebSocketUpgrade {
    const IMMEDIATE: bool = true;
    type Rejection = HandshakeRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &Context,
    ) -> Result<Self, HandshakeRejection> {
        let headers = &parts.headers;
        let read = |name: &HeaderName| joined(headers, name);
        let connection = read(&header::CONNECTION)?;
        let upgrade = if ExtendedConnect::is(parts) {
            Some("websocket".to_owned())
        } else {
            read(&header::UPGRADE)?
        };
        let key = read(&header::SEC_WEBSOCKET_KEY)?;
        let version = read(&header::SEC_WEBSOCKET_VERSION)?;
        let protocols = read(&header::SEC_WEBSOCKET_PROTOCOL)?;
        let extensions = read(&header::SEC_WEBSOCKET_EXTENSIONS)?;
        let request = handshake::Request {
            http: match parts.version {
                Version::HTTP_11 => Http::One,
                Version::HTTP_2 => Http::Two,
                _ => Http::Older,
            },
            method: parts.method.as_str(),
            connection: connection.as_deref(),
            upgrade: upgrade.as_deref(),
            key: key.as_deref(),
            version: version.as_deref(),
            protocols: protocols.as_deref(),
            extensions: extensions.as_deref(),
        };
        let accepted = handshake::accept(&request, &[], None)?;
        if has_body(headers) {
            return Err(HandshakeRejection::Body);
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (None, _) => Ok(None),
            (Some(origin), None) => match origin.to_str() {
                Ok(origin) => Ok(Some(origin.into())),
                Err(_) => Err(()),
            },
            (Some(_), Some(_)) => Err(()),
        };
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
        Ok(Self {
            accept: accepted.accept,
            offered_protocols: protocols.unwrap_or_default(),
            offered_extensions: extensions.unwrap_or_default(),
            origin,
            host: host.map(Into::into),
            origins: Origins::default(),
            protocols: Vec::new(),
            config: DEFAULTS.clone(),
            deflate: false,
            takeover: None,
            rate: None,
            on_close: OnClose::default(),
        })
    }

    fn absent(parts: &Parts, _: &Context) -> bool {
        !parts.headers.contains_key(header::UPGRADE) && !ExtendedConnect::is(parts)
    }
}

impl std::fmt::Debug for WebSocketUpgrade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocketUpgrade")
            .field("origin", &self.origin)
            .field("protocols", &self.offered_protocols)
            .finish_non_exhaustive()
    }
}
