//! WebSockets over HTTP/2 (RFC 8441): one stream of a connection, taken out of hyper when its answer is on its way.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::ext::Protocol;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::upgrade::{OnUpgrade, Upgraded};
use tideway::pipeline::Origin;
use tideway::ws::{ExtendedConnect, Upgrade};

use crate::Runtime;
use crate::connection::Shared;
use crate::executor::EndStream;
use crate::pulse::Pulse;
use crate::serve::Alive;
use crate::websocket::websocket;
use crate::wire::Taken;

/// The most that is given to hyper at once, in bytes: it copies what it takes, and takes all there is, whatever the peer's
/// window. Two of these wait in it.
const PIECE: usize = 16 << 10;

/// Starts the sockets of one connection.
pub(crate) trait Sockets: Send + Sync {
    fn open(&self, tunnel: Tunnel, upgrade: Upgrade);
}

/// What a connection gives to its sockets.
pub(crate) struct Connection<R> {
    pub(crate) rt: R,
    pub(crate) shared: Arc<Shared>,
    pub(crate) origin: Arc<Origin>,
    /// The connection lives as long as the last of them.
    pub(crate) alive: Arc<Alive>,
}

impl<R: Runtime> Sockets for Connection<R> {
    fn open(&self, tunnel: Tunnel, upgrade: Upgrade) {
        let (rt, seed) = (self.rt.clone(), self.origin.fork());
        let seat = self.shared.stop.seat();
        let alive = (self.alive.clone(), tunnel.ended);
        self.rt.spawn(async move {
            // An error is a client that went before the answer was out, which dropping `upgrade` tells.
            if let Ok(upgraded) = tunnel.on.await {
                let taken = Taken {
                    stream: Stream(upgraded),
                    unsent: Vec::new(),
                    unread: Vec::new(),
                };
                let session = upgrade.start(rt.now().mono, &seed, Vec::new());
                // Afresh, as over HTTP/1.
                rt.spawn(websocket(rt.clone(), seat, taken, session, alive));
            }
        });
    }
}

/// A stream that may become a socket.
pub(crate) struct Tunnel {
    on: OnUpgrade,
    /// The connection is not idle until this is dropped.
    ended: EndStream,
}

impl Tunnel {
    /// What is behind a request that asks for a WebSocket by extended CONNECT, which is told so.
    pub(crate) fn of<B>(request: &mut hyper::Request<B>, connection: &Arc<Pulse>) -> Option<Self> {
        if request.method() != hyper::Method::CONNECT {
            return None;
        }
        // Taken in any case: what becomes of the stream is ours to say.
        let on = hyper::upgrade::on(&mut *request);
        let protocol = request.extensions_mut().remove::<Protocol>()?;
        if !protocol.as_str().eq_ignore_ascii_case("websocket") {
            return None;
        }
        request.extensions_mut().insert(ExtendedConnect);
        connection.begin();
        Some(Self {
            on,
            ended: EndStream(connection.clone()),
        })
    }
}

/// A stream of HTTP/2 as one of bytes. END_STREAM is its end, RST_STREAM its loss.
struct Stream(Upgraded);

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &buf[..buf.len().min(PIECE)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
