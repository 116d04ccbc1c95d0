//! Sockets to other servers: connect, shake hands, and on as any WebSocket. They end after everything that may use them.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{Either, select};
use hyper::rt::{Read, ReadBuf, Write};
use tideway::Mono;
use tideway::ws::{ConnectError, Dial, Opening, Session};

use crate::Runtime;
use crate::alarm::Alarm;
use crate::serve::{Alive, Live};
use crate::stop::{Phase, Seat, Stop};
use crate::websocket::{tools, websocket};
use crate::wire::Taken;

/// How long sockets have at least to close, also when the drain deadline has passed.
const GRACE: Duration = Duration::from_secs(1);

/// All sockets that one program opened.
#[derive(Clone, Default)]
pub(crate) struct Dials {
    stop: Stop,
    live: Arc<Live>,
}

impl Dials {
    pub(crate) fn dial<R: Runtime>(&self, rt: &R, dial: Dial) {
        if self.stop.is_stopping() {
            return dial.fail(ConnectError::Stopped);
        }
        let opening = dial.start(rt.now().mono, &rt.seed());
        let alive = Alive::new(&self.live);
        rt.spawn(open(rt.clone(), opening, self.stop.seat(), alive));
    }

    /// Closes all of them with 1001; cuts what is left at `limit`, or when `stop` is forced.
    pub(crate) async fn end<R: Runtime>(&self, rt: &R, limit: Mono, stop: &Stop) {
        self.stop.stop();
        let limit = rt.sleep_until(limit.max(rt.now().mono.plus(GRACE)));
        let (limit, forced) = (pin!(limit), pin!(stop.reached(Phase::Forced)));
        if let Either::Right(_) = select(pin!(self.live.below(1)), select(limit, forced)).await {
            self.stop.force();
            let bound = rt.sleep_until(rt.now().mono.plus(GRACE));
            select(pin!(self.live.below(1)), pin!(bound)).await;
        }
    }
}

/// From a name to a socket, which runs in a task of its own: this one has the size of what connecting needs.
async fn open<R: Runtime>(rt: R, opening: Opening, seat: Seat, alive: Alive) {
    let first = opening.poll_timeout().map_or(Mono::START, |(at, _)| at);
    let (host, port) = (Box::<str>::from(opening.host()), opening.port());
    let mut sleep = pin!(rt.sleep_until(first));
    let mut task = Task {
        rt: rt.clone(),
        opening,
        seat,
        alarm: Alarm::new(first),
    };
    let connected = {
        let mut connecting = pin!(rt.connect(&host, port));
        poll_fn(|cx| match connecting.as_mut().poll(cx) {
            Poll::Ready(connected) => Poll::Ready(Some(connected)),
            Poll::Pending => task.tend(sleep.as_mut(), cx).map(|()| None),
        })
        .await
    };
    let mut stream = match connected {
        Some(Ok(stream)) => stream,
        Some(Err(error)) => return task.opening.handle_unreachable(error),
        None => return,
    };
    let session = poll_fn(|cx| task.poll(&mut stream, sleep.as_mut(), cx)).await;
    let Some(session) = session else {
        return;
    };
    let Task { opening, seat, .. } = task;
    let taken = Taken {
        stream,
        // Of a server that did not wait for all of it.
        unsent: opening.poll_transmit().to_vec(),
        unread: Vec::new(),
    };
    rt.spawn(websocket(rt.clone(), seat, taken, session, alive));
}

struct Task<R> {
    rt: R,
    opening: Opening,
    seat: Seat,
    alarm: Alarm,
}

impl<R: Runtime> Task<R> {
    /// Ready with a session, or without when there will be none.
    fn poll(
        &mut self,
        stream: &mut R::Stream,
        sleep: Pin<&mut R::Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Session>> {
        let exchanged = tools::lent(|tools| self.exchange(stream, &mut tools.buffer, cx));
        match exchanged {
            Poll::Ready(session) => Poll::Ready(session),
            Poll::Pending => self.tend(sleep, cx).map(|()| None),
        }
    }

    /// Writes the request and reads the answer, as far as that goes.
    fn exchange(
        &mut self,
        stream: &mut R::Stream,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<Option<Session>> {
        let (now, opening) = (self.rt.now().mono, &mut self.opening);
        let mut wrote = false;
        while !opening.poll_transmit().is_empty() {
            match Pin::new(&mut *stream).poll_write(cx, opening.poll_transmit()) {
                Poll::Pending => break,
                // It may have answered, and closed then.
                Poll::Ready(Ok(0) | Err(_)) => opening.handle_tx(usize::MAX),
                Poll::Ready(Ok(bytes)) => {
                    opening.handle_tx(bytes);
                    wrote = true;
                }
            }
        }
        if wrote {
            // An error is the server's end, which reading will tell.
            let _ = Pin::new(&mut *stream).poll_flush(cx);
        }
        while !opening.is_over() {
            let mut buf = ReadBuf::new(buffer);
            let read = match Pin::new(&mut *stream).poll_read(cx, buf.unfilled()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => buf.filled().len(),
                Poll::Ready(Err(_)) => 0,
            };
            if read == 0 {
                opening.handle_lost();
            } else if let Some(session) = opening.handle_rx(now, &buffer[..read]) {
                return Poll::Ready(Some(session));
            }
        }
        Poll::Ready(None)
    }

    /// Minds the stop, the one who waits, and the timer. Ready: there will be no socket.
    fn tend(&mut self, mut sleep: Pin<&mut R::Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        if self.seat.register(cx) {
            self.alarm.forget_waker();
        }
        if self.seat.phase() > Phase::Running {
            self.opening.stop();
        }
        loop {
            if self.opening.is_over() || self.opening.poll_unwanted(cx).is_ready() {
                return Poll::Ready(());
            }
            let now = self.rt.now().mono;
            let next = self.opening.poll_timeout().map(|(at, _)| at);
            if next.is_some_and(|at| at <= now) {
                self.opening.handle_timeout(now);
                continue;
            }
            if self.alarm.poll(next, now, sleep.as_mut(), cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
