//! A WebSocket's task: it reads, polls the session with the handler in it, writes, and minds the one timer. It is spawned
//! afresh at the upgrade, so that an idle socket holds nothing of HTTP, and no buffer: these belong to the thread.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBuf, Write};
use tideway::Mono;
use tideway::ws::{Codecs, Session};

use crate::Runtime;
use crate::alarm::Alarm;
use crate::stop::{Phase, Seat};
use crate::wire::Taken;

/// A thread's read buffer, in bytes.
const BUFFER: usize = 64 << 10;
/// Pieces written at once.
const PIECES: usize = 64;
/// Fewer than this are the rule, and not worth a place for all of those.
const FEW: usize = 4;
/// Reads before other tasks of the thread have their turn.
const ROUNDS: usize = 16;
/// When to look at a socket without a deadline: a timer must be set to something.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// Serves one socket to its end, and keeps `alive` until then. No `async fn`: its future would have room for the arguments
/// beside what is made of them.
pub(crate) fn websocket<R, S, A>(
    rt: R,
    seat: Seat,
    taken: Taken<S>,
    session: Session,
    alive: A,
) -> impl Future<Output = ()> + Send + 'static
where
    R: Runtime,
    S: Read + Write + Send + Unpin + 'static,
    A: Send + 'static,
{
    let first = session.poll_timeout().map(|(at, _)| at);
    let first = first.unwrap_or_else(|| rt.now().mono.plus(NEVER));
    let mut task = Task {
        rt,
        stream: Some(taken.stream),
        unsent: taken.unsent,
        session,
        seat,
        alarm: Alarm::new(first),
        shut: false,
        _alive: alive,
    };
    async move {
        let mut sleep = pin!(task.rt.sleep_until(first));
        poll_fn(|cx| tools::lent(|tools| task.poll(tools, sleep.as_mut(), cx))).await;
    }
}

struct Task<R, S, A> {
    rt: R,
    /// `None` once it is closed; the handler may go on for a while.
    stream: Option<S>,
    /// The end of the answer to the handshake.
    unsent: Vec<u8>,
    session: Session,
    seat: Seat,
    alarm: Alarm,
    /// Our half of the stream is closed.
    shut: bool,
    /// Whoever waits for the end of sockets sees this one's once all of the above is gone.
    _alive: A,
}

impl<R, S, A> Task<R, S, A>
where
    R: Runtime,
    S: Read + Write + Send + Unpin + 'static,
{
    fn poll(
        &mut self,
        tools: &mut Tools,
        mut sleep: Pin<&mut R::Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if self.seat.register(cx) {
            self.alarm.forget_waker();
        }
        self.session.wake();
        let now = self.rt.now().mono;
        let mut look = true;
        for _ in 0..ROUNDS {
            match self.seat.phase() {
                Phase::Running => {}
                Phase::Draining => self.session.stop(),
                Phase::Forced => {
                    self.session.cut();
                    return Poll::Ready(());
                }
            }
            let asked = self.session.wants_bytes();
            let came = asked && self.read(now, tools, cx);
            if look || came {
                if self.session.poll(now, cx, &mut tools.codecs).is_ready() {
                    return Poll::Ready(());
                }
                self.write(now, tools, cx);
                if self.session.is_over() {
                    self.stream = None;
                }
            }
            // Once more before a deadline fires: a byte that is here already is life. And once the handler has
            // made room, for only a stream that was asked wakes this task.
            let room = !asked && self.session.wants_bytes();
            look = room || self.session.has_news();
            if came || look {
                continue;
            }
            match self.tend(now, sleep.as_mut(), cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => look = true,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once; whether something came.
    fn read(&mut self, now: Mono, tools: &mut Tools, cx: &mut Context<'_>) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        let mut buf = ReadBuf::new(&mut tools.buffer);
        let read = match Pin::new(stream).poll_read(cx, buf.unfilled()) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) => buf.filled().len(),
            Poll::Ready(Err(_)) => {
                self.lose(now);
                return true;
            }
        };
        if read == 0 {
            self.session.handle_lost(now, false);
        } else {
            let bytes = &mut tools.buffer[..read];
            self.session.handle_rx(now, bytes, &mut tools.codecs);
        }
        true
    }

    /// Writes all there is, as far as the peer takes it.
    fn write(&mut self, now: Mono, tools: &mut Tools, cx: &mut Context<'_>) {
        let mut wrote_any = false;
        while (self.session.has_output() || !self.unsent.is_empty())
            && let Some(stream) = &mut self.stream
        {
            let mut few = [IoSlice::new(&[]); FEW];
            let mut many;
            let mut pieces = lend(&self.unsent, &self.session, &mut few);
            if pieces.len() == FEW {
                many = [IoSlice::new(&[]); PIECES];
                pieces = lend(&self.unsent, &self.session, &mut many);
            }
            let mut stream = Pin::new(stream);
            let written = match pieces {
                [] => break,
                [piece] => stream.as_mut().poll_write(cx, piece),
                [piece, ..] if !stream.is_write_vectored() => stream.as_mut().poll_write(cx, piece),
                _ => stream.as_mut().poll_write_vectored(cx, pieces),
            };
            match written {
                Poll::Pending => return,
                Poll::Ready(Ok(0) | Err(_)) => return self.lose(now),
                Poll::Ready(Ok(bytes)) => {
                    wrote_any = true;
                    let head = bytes.min(self.unsent.len());
                    if head == self.unsent.len() {
                        self.unsent = Vec::new();
                    } else {
                        self.unsent.drain(..head);
                    }
                    self.session.handle_tx(now, bytes - head, &mut tools.codecs);
                }
            }
        }
        let Some(stream) = &mut self.stream else {
            return;
        };
        if wrote_any && matches!(Pin::new(&mut *stream).poll_flush(cx), Poll::Ready(Err(_))) {
            return self.lose(now);
        }
        if self.session.has_sent_all() && !self.shut {
            // An error is the peer's end, which reading will tell.
            self.shut = Pin::new(stream).poll_shutdown(cx).is_ready();
        }
    }

    /// The stream failed.
    fn lose(&mut self, now: Mono) {
        self.stream = None;
        self.session.handle_lost(now, true);
    }

    /// Minds the timer. Ready: something was due, look again.
    fn tend(&mut self, now: Mono, sleep: Pin<&mut R::Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        let next = self.session.poll_timeout().map(|(at, _)| at);
        if next.is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
            return Poll::Ready(());
        }
        self.alarm.poll(next, now, sleep, cx)
    }
}

/// What is to be written, in order, as many pieces as fit.
#[inline]
fn lend<'a, 'b>(
    unsent: &'a [u8],
    session: &'a Session,
    pieces: &'b mut [IoSlice<'a>],
) -> &'b [IoSlice<'a>] {
    let mut count = 0;
    if !unsent.is_empty() {
        pieces[0] = IoSlice::new(unsent);
        count = 1;
    }
    count += session.poll_transmit(&mut pieces[count..]);
    &pieces[..count]
}

/// What a worker thread lends to the socket it polls.
pub(crate) struct Tools {
    /// Initialised once, so that no read fills it with zeros first.
    pub(crate) buffer: Box<[u8]>,
    codecs: Codecs,
}

pub(crate) mod tools {
    use super::{BUFFER, Cell, Codecs, Tools};

    thread_local! {
        static TOOLS: Cell<Option<Box<Tools>>> = const { Cell::new(None) };
    }

    /// Runs `work` with this thread's tools. A handler that blocks on an executor which polls another socket has
    /// that one make tools of its own.
    pub(crate) fn lent<T>(work: impl FnOnce(&mut Tools) -> T) -> T {
        TOOLS.with(|place| {
            let mut tools = place.take().unwrap_or_else(|| {
                Box::new(Tools {
                    buffer: vec![0; BUFFER].into(),
                    codecs: Codecs::default(),
                })
            });
            let done = work(&mut tools);
            place.set(Some(tools));
            done
        })
    }
}
