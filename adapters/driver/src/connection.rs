//! One connection: the task around hyper that owns the timer, drains the wire and cuts what is late.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use hyper::server::conn::http1;
#[cfg(feature = "http2")]
use hyper::server::conn::http2;
use tideway::pipeline::{Abort, Origin, Pipeline};
use tideway::ws::Upgrade;
use tideway::{Mono, Peer, Seed};
use tideway_engine::wire::{Cut, Watch};

use crate::alarm::Alarm;
#[cfg(feature = "http2")]
use crate::executor::{Next, Streams};
use crate::pulse::Pulse;
use crate::refusal::Refusals;
use crate::serve::Alive;
use crate::service::{Exchanges, Pulses};
use crate::stop::{Phase, Seat, Stop};
#[cfg(feature = "http2")]
use crate::tunnel;
use crate::websocket::websocket;
use crate::wire::{Protocol, Wire};
use crate::{Options, Runtime, Sleep};

/// How much of what a peer still sends is read and forgotten before closing, in bytes.
const DISCARD: usize = 16 * 1024 * 1024;

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) options: Options,
    pub(crate) stop: Stop,
}

/// Why a connection's loop came to its end.
#[derive(Debug)]
enum Ended {
    /// hyper is done with it, well or badly.
    Http(Result<(), hyper::Error>),
    /// The socket failed.
    Io,
    /// A deadline of the connection.
    Watch(Cut),
    /// A deadline of an exchange that hyper does not poll: a body blocked by the peer.
    Exchange,
    /// The drain deadline of a stop passed.
    Forced,
}

/// Serves one connection to its end, and is counted until then.
pub(crate) async fn connection<R, S>(
    rt: R,
    shared: Arc<Shared>,
    stream: S,
    peer: Peer,
    seed: Seed,
    alive: Alive,
) where
    R: Runtime,
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (mut around, first) = Around::new(rt, &shared, stream);
    let mut sleep = pin!(around.rt.sleep_until(first));
    let protocol = poll_fn(|cx| around.poll_protocol(sleep.as_mut(), cx)).await;
    let origin = Origin::new(shared.pipeline.clone(), peer, seed);
    // To the end of this task, and of the last socket on it.
    #[cfg(feature = "http2")]
    let mut kept = None;
    let ended = match protocol {
        Protocol::Closed => return,
        Protocol::Http1 => {
            around.wire.set_refusals(Refusals(origin.clone()));
            let service = Exchanges {
                origin: origin.clone(),
                pulses: Pulses::One(around.pulse.clone()),
            };
            let mut http = http1::Builder::new()
                .max_headers(shared.options.max_headers)
                .max_header_size(shared.options.max_head.max(8192))
                .max_buf_size(shared.options.max_head.max(8192))
                .auto_date_header(false)
                .serve_connection(around.wire.clone(), service);
            let ended = around
                .run(Pin::new(&mut http), sleep.as_mut(), |http| {
                    http.graceful_shutdown();
                })
                .await;
            if let Ended::Http(Ok(())) = ended
                && let Some(upgrade) = around.pulse.take_upgrade()
            {
                around.upgrade(http.into_parts(), upgrade, &origin, alive);
                return;
            }
            ended
        }
        #[cfg(not(feature = "http2"))]
        Protocol::Http2 => {
            tracing::debug!(target: "tideway", peer = %origin.peer(), "closed: HTTP/2, which this build leaves out");
            return;
        }
        #[cfg(feature = "http2")]
        Protocol::Http2 => {
            around.multiplexed = true;
            let next = Next::default();
            let sockets = tunnel::Connection {
                rt: around.rt.clone(),
                shared: shared.clone(),
                origin: origin.clone(),
                alive: kept.insert(Arc::new(alive)).clone(),
            };
            let service = Exchanges {
                origin: origin.clone(),
                pulses: Pulses::PerStream(around.pulse.clone(), next.clone(), Arc::new(sockets)),
            };
            let streams = Streams::new(around.rt.clone(), around.pulse.clone(), next);
            let head = u32::try_from(shared.options.max_head).unwrap_or(u32::MAX);
            // Boxed: an HTTP/1 connection shall not carry its size.
            let mut http = Box::pin(
                http2::Builder::new(streams)
                    .max_concurrent_streams(shared.options.max_streams)
                    .max_header_list_size(head)
                    .max_send_buf_size(64 * 1024)
                    .enable_connect_protocol()
                    .auto_date_header(false)
                    .serve_connection(around.wire.clone(), service),
            );
            around
                .run(http.as_mut(), sleep.as_mut(), |http| {
                    http.graceful_shutdown();
                })
                .await
        }
    };
    let drain = shared.options.limits.drain;
    around.close(ended, &origin, drain, sleep).await;
}

/// The state of the task around hyper.
struct Around<R, S> {
    rt: R,
    wire: Wire<S>,
    pulse: Arc<Pulse>,
    seat: Seat,
    alarm: Alarm,
    begun: u32,
    multiplexed: bool,
}

impl<R, S> Around<R, S>
where
    R: Runtime,
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    /// With the time its first deadline is due. Not part of the task's own code, which would keep room
    /// for each value on the way.
    fn new(rt: R, shared: &Shared, stream: S) -> (Self, Mono) {
        let now = rt.now();
        let pulse = Arc::new(Pulse::new(now));
        let watch = Watch::new(&shared.options.limits, now.mono);
        let first = watch.poll_timeout().map_or(now.mono, |(at, _)| at);
        let around = Self {
            wire: Wire::new(stream, watch, pulse.clone()),
            rt,
            pulse,
            seat: shared.stop.seat(),
            alarm: Alarm::new(first),
            begun: 0,
            multiplexed: false,
        };
        (around, first)
    }

    fn poll_protocol(
        &mut self,
        mut sleep: Pin<&mut R::Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Protocol> {
        loop {
            self.wake_up(cx);
            match self.wire.poll_protocol(cx) {
                Poll::Ready(Ok(protocol)) => return Poll::Ready(protocol),
                Poll::Ready(Err(_)) => return Poll::Ready(Protocol::Closed),
                Poll::Pending if self.seat.phase() > Phase::Running => {
                    return Poll::Ready(Protocol::Closed);
                }
                Poll::Pending => {}
            }
            match self.tend(sleep.as_mut(), cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(_)) => return Poll::Ready(Protocol::Closed),
                Poll::Ready(None) => {}
            }
        }
    }

    /// Polls hyper, drains the wire, minds the timer, until one of them ends the connection.
    async fn run<C>(
        &mut self,
        mut http: Pin<&mut C>,
        mut sleep: Pin<&mut R::Sleep>,
        graceful: impl Fn(Pin<&mut C>),
    ) -> Ended
    where
        C: Future<Output = Result<(), hyper::Error>>,
    {
        let mut told = false;
        let ended = poll_fn(|cx| {
            loop {
                self.wake_up(cx);
                match self.seat.phase() {
                    Phase::Running => {}
                    Phase::Draining if told => {}
                    Phase::Draining => {
                        told = true;
                        graceful(http.as_mut());
                    }
                    Phase::Forced => return Poll::Ready(Ended::Forced),
                }
                if let Poll::Ready(result) = http.as_mut().poll(cx) {
                    return Poll::Ready(Ended::Http(result));
                }
                match self.tend(sleep.as_mut(), cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(ended)) => return Poll::Ready(ended),
                    Poll::Ready(None) => {}
                }
            }
        })
        .await;
        // The exchanges inside hyper are dropped with it, when this returns: they shall know why.
        match &ended {
            Ended::Watch(cut) => self.pulse.cut(Abort::Deadline(cut.name())),
            Ended::Forced => self.pulse.cut(Abort::Stop),
            Ended::Http(_) | Ended::Io | Ended::Exchange => {}
        }
        ended
    }

    /// Reads the clock, once per wake-up, and makes sure that a stop wakes this task.
    fn wake_up(&mut self, cx: &Context<'_>) {
        self.pulse.set_now(self.rt.now());
        if self.seat.register(cx) {
            self.alarm.forget_waker();
        }
        if self.multiplexed {
            self.pulse.set_task(cx.waker());
        }
    }

    /// Drains the wire, tells the watch what happened and minds the timer. `Ready(None)`: the timer
    /// fired, look again.
    fn tend(&mut self, sleep: Pin<&mut R::Sleep>, cx: &mut Context<'_>) -> Poll<Option<Ended>> {
        let now = self.pulse.now().mono;
        let mut wire = self.wire.state();
        if let Poll::Ready(Err(_)) = wire.poll_drain(&self.pulse, cx) {
            return Poll::Ready(Some(Ended::Io));
        }
        let watch = &mut wire.watch;
        let (begun, ended) = self.pulse.exchanges();
        if begun != self.begun {
            self.begun = begun;
            if watch.is_idle() {
                watch.handle_head(now);
            }
        }
        if begun == ended && !watch.is_idle() {
            watch.handle_idle(now, false);
        }
        let mut of_watch = watch.poll_timeout().map(|(at, _)| at);
        if of_watch.is_some_and(|at| at <= now) {
            watch.handle_timeout(now);
            if let Some(cut) = watch.poll_event() {
                return Poll::Ready(Some(Ended::Watch(cut)));
            }
            of_watch = watch.poll_timeout().map(|(at, _)| at);
        }
        drop(wire);
        let of_exchange = self.pulse.deadline();
        if of_exchange.is_some_and(|at| at <= now) {
            return Poll::Ready(Some(Ended::Exchange));
        }
        let next = match (of_watch, of_exchange) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.alarm.poll(next, now, sleep, cx).map(|()| None)
    }

    /// Takes the stream back from hyper and gives it to a task of its own: this one has the size of all that HTTP needs.
    fn upgrade(
        self,
        http: http1::Parts<Wire<S>, Exchanges>,
        upgrade: Upgrade,
        origin: &Origin,
        alive: Alive,
    ) {
        let Self { rt, wire, seat, .. } = self;
        drop(http.io);
        let Some(taken) = wire.take() else {
            tracing::error!(target: "tideway", peer = %origin.peer(), "closed: HTTP kept the stream of an upgrade");
            return;
        };
        // Copied, or an idle socket would keep all of hyper's buffer for the few bytes that came early.
        let read = [&http.read_buf[..], &taken.unread].concat();
        let session = upgrade.start(rt.now().mono, &origin.fork(), read);
        rt.spawn(websocket(rt.clone(), seat, taken, session, alive));
    }

    /// What is left to do once hyper is done or cut.
    async fn close(
        self,
        ended: Ended,
        origin: &Arc<Origin>,
        drain: Duration,
        mut sleep: Pin<&mut R::Sleep>,
    ) {
        let linger = match &ended {
            Ended::Http(result) => result.is_err() || self.pulse.is_closing(),
            Ended::Watch(Cut::Header) => {
                let reply =
                    Refusals(origin.clone()).reply(StatusCode::REQUEST_TIMEOUT, self.pulse.now());
                self.wire.state().append(&reply);
                true
            }
            Ended::Watch(cut) => {
                tracing::debug!(target: "tideway", deadline = cut.name(), "connection cut");
                false
            }
            Ended::Forced | Ended::Io | Ended::Exchange => false,
        };
        if !linger {
            return;
        }
        // RFC 9112 §9.6: half-close, then read on for a while, or the reset that answers unread
        // bytes destroys the reply before the peer has read it.
        let limit = self.rt.now().mono.plus(drain);
        sleep.as_mut().reset(limit);
        let mut scratch = vec![0; 16 * 1024];
        let mut left = DISCARD;
        poll_fn(|cx| {
            self.pulse.set_now(self.rt.now());
            if sleep.as_mut().poll(cx).is_ready() || self.seat.phase() == Phase::Forced {
                return Poll::Ready(());
            }
            if self.wire.poll_close(cx).is_pending() {
                return Poll::Pending;
            }
            self.wire.poll_discard(&mut scratch, &mut left, cx)
        })
        .await;
    }
}
