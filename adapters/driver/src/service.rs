//! hyper's service: makes each request an exchange and polls it to its response head.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::StatusCode;
use http_body::Body as _;
use hyper::service::Service;
use tideway::Request;
use tideway::pipeline::{Exchange, Origin, Running};

use crate::body::{Guard, Incoming, Outgoing};
use crate::pulse::Pulse;
#[cfg(feature = "http2")]
use crate::tunnel::{Sockets, Tunnel};

/// Where the pulse of the next exchange comes from.
pub(crate) enum Pulses {
    /// HTTP/1: one at a time, so the connection has one.
    One(Arc<Pulse>),
    #[cfg(feature = "http2")]
    /// HTTP/2: one per stream, left here for the executor, which hyper calls right after.
    PerStream(Arc<Pulse>, crate::executor::Next, Arc<dyn Sockets>),
}

/// The service of one connection.
pub(crate) struct Exchanges {
    pub(crate) origin: Arc<Origin>,
    pub(crate) pulses: Pulses,
}

impl Service<hyper::Request<hyper::body::Incoming>> for Exchanges {
    type Response = hyper::Response<Outgoing>;
    type Error = Infallible;
    type Future = Serving;

    #[cfg_attr(
        not(feature = "http2"),
        expect(unused_mut, reason = "for HTTP/2 alone")
    )]
    fn call(&self, mut request: hyper::Request<hyper::body::Incoming>) -> Serving {
        #[cfg(feature = "http2")]
        let mut tunnel = None;
        let (pulse, pieces) = match &self.pulses {
            Pulses::One(pulse) => (pulse.clone(), false),
            #[cfg(feature = "http2")]
            Pulses::PerStream(connection, _, sockets) => {
                let pulse = Arc::new(Pulse::of_stream(connection));
                connection.begin();
                let asked = Tunnel::of(&mut request, connection);
                tunnel = asked.map(|asked| Box::new((asked, sockets.clone())));
                (pulse, true)
            }
        };
        let now = pulse.now();
        let (head, body) = request.into_parts();
        // All that was written has left hyper, and no `100 Continue` will: the next byte that the wire
        // gets is the first of this response.
        let first = !pieces && body.is_end_stream() && !pulse.is_writing();
        let request = Request::new(head, Incoming::wrap(body, &pulse));
        let mut exchange = match pulse.take_kept() {
            Some(kept) => kept.renew(request, now),
            None => Exchange::new(self.origin.clone(), request, now),
        };
        if first {
            exchange.offer_date();
        }
        pulse.begin();
        let running = Running::start(exchange, now);
        #[cfg(feature = "http2")]
        if let Pulses::PerStream(_, next, _) = &self.pulses {
            // Last: nothing comes between this and hyper.
            next.leave(pulse.clone());
        }
        Serving {
            running: Some(running),
            pulse,
            pieces,
            #[cfg(feature = "http2")]
            tunnel,
        }
    }
}

/// An exchange up to its response head. Dropped by hyper when the client goes.
pub(crate) struct Serving {
    running: Option<Running>,
    pulse: Arc<Pulse>,
    pieces: bool,
    /// The stream behind an extended CONNECT.
    #[cfg(feature = "http2")]
    tunnel: Option<Box<(Tunnel, Arc<dyn Sockets>)>>,
}

impl Future for Serving {
    type Output = Result<hyper::Response<Outgoing>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(running) = &mut this.running else {
            return Poll::Pending;
        };
        let now = this.pulse.now();
        let polled = running.poll_answered(now, cx);
        while let Some(news) = this.pulse.take_body_news() {
            running.body_news(now, news);
        }
        if polled.is_pending() {
            let deadline = running.exchange().poll_timeout();
            this.pulse.set_deadline(deadline.map(|(at, _)| at));
            return Poll::Pending;
        }
        let mut response = running.take_response();
        let Some(running) = this.running.take() else {
            return Poll::Pending;
        };
        let exchange = running.into_exchange();
        this.pulse.set_body_out(exchange.body_out_limit());
        if exchange.closes() {
            this.pulse.will_close();
        }
        if exchange.lacks_date() {
            this.pulse.set_undated(true);
        }
        this.pulse.wrote();
        let mut guard = Guard::new(exchange, this.pulse.clone());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(upgrade) = response.body_mut().take_upgrade()
        {
            guard.upgraded();
            this.pulse.will_upgrade(upgrade);
        }
        #[cfg(feature = "http2")]
        if let Some(tunnel) = this.tunnel.take()
            && response.status().is_success()
            && let Some(upgrade) = response.body_mut().take_upgrade()
        {
            guard.upgraded();
            let (tunnel, sockets) = *tunnel;
            sockets.open(tunnel, upgrade);
        }
        Poll::Ready(Ok(
            response.map(|body| Outgoing::new(body, guard, this.pieces))
        ))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // The handler goes first, then the exchange is told why.
            drop(Guard::new(running.into_exchange(), self.pulse.clone()));
        }
    }
}
