//! A client's opening handshake as a machine: the request out, the answer in, and one who waits for the socket. It opens
//! no stream and reads no clock; a driver does.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_channel::oneshot;
use http::{HeaderMap, HeaderName, header};
use tideway_engine::ws::handshake::{self, BadAnswer};
use tideway_engine::ws::{Config, Deflate, DeflateConfig, Role};
use tideway_engine::{Mono, Rng, Seed};

use super::address::Address;
use super::answer::{Answer, Read};
use super::{ConnectError, Order};
use crate::ws::meeting::Meeting;
use crate::ws::upgrade::joined;
use crate::ws::{Session, Socket, Upgrade};

/// How long to wait for the body of a refusal, whose head is there.
const BODY: Duration = Duration::from_secs(1);

type Tell = oneshot::Sender<Result<Socket, ConnectError>>;

/// A socket that somebody waits for: what [`Tasks::dial`](crate::Tasks::dial) is given. Dropped, it says that the program
/// stops.
#[must_use = "somebody waits for it"]
pub struct Dial {
    address: Address,
    order: Order,
    tell: Tell,
}

impl Dial {
    pub(super) fn new(
        address: Address,
        order: Order,
    ) -> (Self, oneshot::Receiver<Result<Socket, ConnectError>>) {
        let (tell, told) = oneshot::channel();
        let dial = Self {
            address,
            order,
            tell,
        };
        (dial, told)
    }

    /// There will be no socket.
    pub fn fail(self, error: ConnectError) {
        // Nobody waits any more.
        let _ = self.tell.send(Err(error));
    }

    /// Begins; connect now. Key, masks and the heartbeat's first instant follow from `seed`.
    pub fn start(self, now: Mono, seed: &Seed) -> Opening {
        let Self {
            address,
            order,
            tell,
        } = self;
        let mut rng = Rng::new(seed);
        let key = handshake::draw_key(&mut rng);
        Opening {
            out: request(&address, &order, &key),
            sent: 0,
            at: now.plus(order.within),
            answer: Answer::default(),
            seed: rng.fork(),
            key,
            address,
            order,
            tell: Some(tell),
        }
    }
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dial")
            .field("to", &self.address.authority)
            .finish_non_exhaustive()
    }
}

/// A client's opening handshake. For drivers.
///
/// - questions: [`host`](Self::host), [`port`](Self::port), [`is_over`](Self::is_over)
/// - inputs, which never fail: [`handle_unreachable`](Self::handle_unreachable), [`handle_tx`](Self::handle_tx),
///   [`handle_rx`](Self::handle_rx), [`handle_lost`](Self::handle_lost), [`handle_timeout`](Self::handle_timeout),
///   [`stop`](Self::stop)
/// - outputs: [`poll_transmit`](Self::poll_transmit), [`poll_timeout`](Self::poll_timeout),
///   [`poll_unwanted`](Self::poll_unwanted)
///
/// Connect, then write what `poll_transmit` lends and hand over what comes, until it is over: either `handle_rx` gave a
/// [`Session`] for the same stream, or whoever waits was told why there is none.
#[derive(Debug)]
pub struct Opening {
    address: Address,
    order: Order,
    key: String,
    /// For the connection.
    seed: Seed,
    /// The request.
    out: Vec<u8>,
    sent: usize,
    answer: Answer,
    /// When to give up.
    at: Mono,
    /// `None` once it was told.
    tell: Option<Tell>,
}

impl Opening {
    /// A name or an address; one of IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.address.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port
    }

    /// Whether nothing is to be done any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.tell.is_none()
    }

    /// There is no way to connect.
    pub fn handle_unreachable(&mut self, error: io::Error) {
        let to = self.to();
        self.fail(ConnectError::Unreachable { to, error });
    }

    /// `bytes` of what [`poll_transmit`](Self::poll_transmit) lent were written.
    pub fn handle_tx(&mut self, bytes: usize) {
        self.sent = self.out.len().min(self.sent.saturating_add(bytes));
    }

    /// Bytes came. The session, if the answer is complete and a good one; it has the bytes behind it.
    #[must_use]
    pub fn handle_rx(&mut self, now: Mono, bytes: &[u8]) -> Option<Session> {
        if self.is_over() {
            return None;
        }
        match self.answer.handle_rx(bytes) {
            Read::Partly => {
                if self.answer.is_refusal() {
                    self.at = self.at.min(now.plus(BODY));
                }
                None
            }
            Read::Refused(answer) => {
                self.fail(ConnectError::Refused(Box::new(answer)));
                None
            }
            Read::Bad(why) => {
                self.fail(ConnectError::Head(why));
                None
            }
            Read::Switched(headers, rest) => match self.check(&headers) {
                Ok((protocol, deflate)) => Some(self.open(now, protocol, deflate, rest)),
                Err(why) => {
                    self.fail(why.into());
                    None
                }
            },
        }
    }

    /// The stream ended, or failed.
    pub fn handle_lost(&mut self) {
        let lost = ConnectError::Lost(self.to());
        let refused = self.answer.handle_end();
        self.fail(refused.map_or(lost, |answer| ConnectError::Refused(Box::new(answer))));
    }

    /// Gives up if that is due.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.at > now {
            return;
        }
        let (to, within) = (self.to(), self.order.within);
        let late = ConnectError::Late { to, within };
        let refused = self.answer.handle_end();
        self.fail(refused.map_or(late, |answer| ConnectError::Refused(Box::new(answer))));
    }

    /// The program stops.
    pub fn stop(&mut self) {
        self.fail(ConnectError::Stopped);
    }

    /// Lends what is to be written.
    #[must_use]
    pub fn poll_transmit(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest, and for what.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
        (!self.is_over()).then_some((self.at, "handshake"))
    }

    /// Ready once nobody waits for the socket any more: drop it, and the stream.
    pub fn poll_unwanted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.tell {
            Some(tell) => tell.poll_canceled(cx),
            None => Poll::Pending,
        }
    }

    fn to(&self) -> Box<str> {
        let Address { host, port, .. } = &self.address;
        if host.contains(':') {
            format!("[{host}]:{port}").into()
        } else {
            format!("{host}:{port}").into()
        }
    }

    fn fail(&mut self, error: ConnectError) {
        if let Some(tell) = self.tell.take() {
            let _ = tell.send(Err(error));
        }
    }

    /// What the server agreed to.
    fn check(&self, headers: &HeaderMap) -> Result<(Option<Box<str>>, Option<Deflate>), BadAnswer> {
        let read = |name: &HeaderName, bad| joined(headers, name).map_err(|_| bad);
        let upgrade = read(&header::UPGRADE, BadAnswer::Upgrade)?;
        let connection = read(&header::CONNECTION, BadAnswer::Connection)?;
        let accept = read(&header::SEC_WEBSOCKET_ACCEPT, BadAnswer::Accept)?;
        let protocol = read(&header::SEC_WEBSOCKET_PROTOCOL, BadAnswer::Protocol)?;
        let extensions = read(&header::SEC_WEBSOCKET_EXTENSIONS, BadAnswer::Extensions)?;
        let answer = handshake::Answer {
            status: 101,
            connection: connection.as_deref(),
            upgrade: upgrade.as_deref(),
            accept: accept.as_deref(),
            protocol: protocol.as_deref(),
            extensions: extensions.as_deref(),
        };
        let ours: Vec<&str> = self.order.protocols.iter().map(|name| &**name).collect();
        let deflate = self.order.deflate.then(DeflateConfig::default);
        let agreed = handshake::check(&answer, &self.key, &ours, deflate.as_ref())?;
        Ok((agreed.protocol.map(Into::into), agreed.deflate))
    }

    fn open(
        &mut self,
        now: Mono,
        protocol: Option<Box<str>>,
        deflate: Option<Deflate>,
        rest: Vec<u8>,
    ) -> Session {
        let config: Arc<Config> = self.order.config.clone();
        let meeting = Arc::new(Meeting::new(&config, protocol, Role::Client));
        let socket = Socket::new(&meeting);
        let session = Upgrade::client(meeting, config, deflate).start(now, &self.seed, rest);
        if let Some(tell) = self.tell.take() {
            // Dropped by whoever waits no more, it closes as any socket that is dropped.
            let _ = tell.send(Ok(socket));
        }
        session
    }
}

/// RFC 6455 §4.1.
fn request(address: &Address, order: &Order, key: &str) -> Vec<u8> {
    let mut head = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: {}\r\nSec-WebSocket-Key: {key}\r\n",
        address.target,
        address.authority,
        handshake::VERSION,
    )
    .into_bytes();
    let mut line = |name: &str, value: &[u8]| {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    if !order.protocols.is_empty() {
        line(
            "Sec-WebSocket-Protocol",
            order.protocols.join(", ").as_bytes(),
        );
    }
    if order.deflate {
        let offer = Deflate::offer(&DeflateConfig::default());
        line("Sec-WebSocket-Extensions", offer.as_bytes());
    }
    for (name, value) in &order.headers {
        line(name.as_str(), value.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests;
