//! The client's side: a socket to another server, over whatever network the program's runtime has.

mod address;
mod answer;
mod dial;
mod error;

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tideway_engine::ws::Config;
use tideway_engine::ws::handshake;

pub use address::UrlError;
pub use dial::{Dial, Opening};
pub use error::ConnectError;

use self::address::Address;
use super::Socket;
use super::upgrade::DEFAULTS;
use crate::tasks::{BoxFuture, Tasks};

/// Opens a WebSocket to another server.
///
/// `through` is what reaches the network: a [`Clock`](crate::Clock), which handlers take as an extractor and jobs have
/// ([`JobCx::clock`](crate::jobs::JobCx::clock)), or, outside of an app, what an adapter's runtime gives by
/// `tideway_driver::tasks`.
///
/// ```
/// use tideway::{Clock, Problem, ws::{self, ConnectError}};
///
/// async fn price(clock: Clock) -> Result<String, Problem> {
///     ask(&clock).await.map_err(Problem::internal)
/// }
///
/// async fn ask(clock: &Clock) -> Result<String, ConnectError> {
///     let mut socket = ws::connect(clock, "ws://prices.internal:9000/feed")
///         .header("authorization", "Bearer secret")
///         .protocols(["prices.v1"])
///         .await?;
///     let _ = socket.send("oil").await;
///     let answer = socket.recv().await;
///     Ok(answer.as_ref().and_then(|answer| answer.as_text()).unwrap_or("closed").to_owned())
/// }
/// ```
///
/// The socket lives in a task of its own, as one of a server does: it answers Pings, keeps the heartbeat and takes in
/// messages up to a bound whatever its holder does. When all of it is dropped, what is queued is sent and it closes with
/// 1000. In an app that stops, the sockets it opened are closed with 1001 once its requests and jobs have ended.
///
/// Fails with a [`ConnectError`], which says what to do. Redirections are not followed, and TLS is not built in yet.
pub fn connect<'a, T: AsRef<dyn Tasks> + ?Sized>(through: &'a T, url: &str) -> Connect<'a> {
    let (address, refused) = match Address::read(url) {
        Ok(address) => (Some(address), None),
        Err(error) => (None, Some(error.into())),
    };
    Connect {
        tasks: through.as_ref(),
        address,
        refused,
        order: Order {
            headers: HeaderMap::new(),
            protocols: Vec::new(),
            config: DEFAULTS.clone(),
            deflate: false,
            within: Duration::from_secs(10),
        },
    }
}

/// A WebSocket to be opened: await it.
#[must_use = "it connects when it is awaited"]
pub struct Connect<'a> {
    tasks: &'a dyn Tasks,
    /// `None` if it was refused.
    address: Option<Address>,
    /// The first mistake.
    refused: Option<ConnectError>,
    order: Order,
}

/// What is wanted of the server and of the socket.
#[derive(Debug)]
struct Order {
    headers: HeaderMap,
    protocols: Vec<Box<str>>,
    config: Arc<Config>,
    deflate: bool,
    within: Duration,
}

impl Connect<'_> {
    /// Sends a header with the request. What the handshake itself says cannot be set.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        let name = name.try_into().ok();
        match (name, value.try_into()) {
            (Some(name), Ok(value)) if !is_ours(&name) => {
                self.order.headers.append(name, value);
            }
            (name, _) => {
                let name = name.as_ref().map_or("?", HeaderName::as_str);
                self.refuse(ConnectError::Header(name.into()));
            }
        }
        self
    }

    /// Offers subprotocols, the most wanted first. Which of them the server speaks is [`Socket::protocol`]; a server may
    /// speak none of them.
    pub fn protocols<P: Into<Box<str>>>(mut self, names: impl IntoIterator<Item = P>) -> Self {
        self.order.protocols = names.into_iter().map(Into::into).collect();
        let names = &self.order.protocols;
        let wrong = names.iter().enumerate().find(|(at, name)| {
            let alone = handshake::subprotocol(name, &[name]) == Ok(Some(name));
            !alone || names[..*at].contains(name)
        });
        if let Some((_, name)) = wrong {
            let wrong = ConnectError::Protocol(name.clone());
            self.refuse(wrong);
        }
        self
    }

    /// Offers to compress messages (RFC 7692), each by itself. Default no.
    pub fn deflate(mut self, deflate: bool) -> Self {
        self.order.deflate = deflate;
        self
    }

    /// Replaces all caps and time-outs of the socket; share one between all.
    pub fn config(mut self, config: Arc<Config>) -> Self {
        self.order.config = config;
        self
    }

    /// The largest message taken, in bytes, in one frame or several. Default 1 MiB; a larger one closes 1009.
    pub fn max_message(mut self, bytes: usize) -> Self {
        let config = Arc::make_mut(&mut self.order.config);
        (config.max_message, config.max_frame) = (bytes, bytes);
        self
    }

    /// How long name, connection and handshake may take together. Default 10 s.
    pub fn within(mut self, time: Duration) -> Self {
        self.order.within = time;
        self
    }

    fn refuse(&mut self, error: ConnectError) {
        self.refused.get_or_insert(error);
    }

    async fn open(self) -> Result<Socket, ConnectError> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let address = self.address.ok_or(UrlError::Malformed)?;
        let (dial, told) = Dial::new(address, self.order);
        self.tasks.dial(dial);
        told.await.unwrap_or(Err(ConnectError::Stopped))
    }
}

impl<'a> IntoFuture for Connect<'a> {
    type Output = Result<Socket, ConnectError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

impl std::fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connect")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Whether the handshake says it, or it would announce a body.
fn is_ours(name: &HeaderName) -> bool {
    const OURS: [HeaderName; 5] = [
        header::HOST,
        header::CONNECTION,
        header::UPGRADE,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ];
    OURS.contains(name) || name.as_str().starts_with("sec-websocket-")
}

#[cfg(test)]
mod tests;
