//! The stream under hyper: gathers writes, counts bytes, replaces hyper's bare error replies.
//!
//! hyper flushes after every message. Here a flush only marks: the connection's task drains the
//! buffer once after each poll of hyper, so sixteen pipelined answers leave in one write. (hyper's own
//! `pipeline_flush` loses error replies, buffers a slow reader's whole body, and holds an answer until
//! the rest of a partial next request arrives.) A full buffer is `Pending`; an idle connection holds none.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use tideway_engine::wire::{Cut, Watch};

use crate::pulse::Pulse;
use crate::{date, refusal};

/// How many bytes are gathered before they must leave.
pub(crate) const GATHER: usize = 16 * 1024;

/// A handle to the stream: one in hyper, one in the connection's task. One task polls both.
pub(crate) struct Wire<S> {
    state: Arc<Mutex<State<S>>>,
    pulse: Arc<Pulse>,
}

pub(crate) struct State<S> {
    pub(crate) stream: S,
    pub(crate) watch: Watch,
    out: Vec<u8>,
    /// How much of `out` has left.
    sent: usize,
    /// Bytes read while the protocol was told, to be read again by hyper.
    prefix: Option<Prefix>,
    eof: bool,
    /// Our own half is closed.
    closed: bool,
    /// What to answer in place of hyper's bare replies; HTTP/1 only.
    refusals: Option<refusal::Refusals>,
}

/// A stream that is no HTTP any more.
pub(crate) struct Taken<S> {
    pub(crate) stream: S,
    /// The end of the last answer.
    pub(crate) unsent: Vec<u8>,
    /// Bytes read that hyper has not seen.
    pub(crate) unread: Vec<u8>,
}

struct Prefix {
    bytes: [u8; PREFACE.len()],
    start: u8,
    end: u8,
}

/// The HTTP/2 connection preface (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The status line after which `Date` is written.
const STATUS: &[u8] = b"HTTP/1.1 200 OK\r\n";

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    /// The peer closed without a byte that decides.
    Closed,
}

impl<S> Clone for Wire<S> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            pulse: self.pulse.clone(),
        }
    }
}

impl<S: Read + Write + Unpin> Wire<S> {
    pub(crate) fn new(stream: S, watch: Watch, pulse: Arc<Pulse>) -> Self {
        let state = State {
            stream,
            watch,
            out: Vec::new(),
            sent: 0,
            prefix: None,
            eof: false,
            closed: false,
            refusals: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            pulse,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_refusals(&self, refusals: refusal::Refusals) {
        self.state().refusals = Some(refusals);
    }

    /// Reads until the bytes decide between HTTP/1 and HTTP/2. They are kept for hyper.
    pub(crate) fn poll_protocol(&self, cx: &mut Context<'_>) -> Poll<io::Result<Protocol>> {
        let mut state = self.state();
        let state = &mut *state;
        loop {
            let prefix = state.prefix.get_or_insert(Prefix {
                bytes: [0; PREFACE.len()],
                start: 0,
                end: 0,
            });
            let have = usize::from(prefix.end);
            if prefix.bytes[..have] != PREFACE[..have] {
                return Poll::Ready(Ok(Protocol::Http1));
            }
            if have == PREFACE.len() {
                state.watch.multiplexed();
                return Poll::Ready(Ok(Protocol::Http2));
            }
            let mut buf = ReadBuf::new(&mut prefix.bytes[have..]);
            ready!(Pin::new(&mut state.stream).poll_read(cx, buf.unfilled()))?;
            let read = buf.filled().len();
            if read == 0 {
                state.eof = true;
                return Poll::Ready(Ok(if have == 0 {
                    Protocol::Closed
                } else {
                    Protocol::Http1
                }));
            }
            prefix.end += read as u8;
            state.watch.handle_rx(self.pulse.now().mono, read);
        }
    }

    /// The stream; `None` while there is another handle to it.
    pub(crate) fn take(self) -> Option<Taken<S>> {
        let state = Arc::into_inner(self.state)?;
        let mut state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let unsent = state.out[state.sent..].to_vec();
        spare::put(std::mem::take(&mut state.out));
        let unread = state.prefix.map_or_else(Vec::new, |prefix| {
            prefix.bytes[usize::from(prefix.start)..usize::from(prefix.end)].to_vec()
        });
        Some(Taken {
            stream: state.stream,
            unsent,
            unread,
        })
    }

    /// Writes what is left, then says that no more follows.
    pub(crate) fn poll_close(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        let drained = ready!(state.poll_drain(&self.pulse, cx)).is_ok();
        if drained && !state.closed {
            let _ = ready!(Pin::new(&mut state.stream).poll_shutdown(cx));
            state.closed = true;
        }
        Poll::Ready(())
    }

    /// Reads and forgets up to `left` bytes. Ready at the peer's end, an error, or when enough is enough.
    pub(crate) fn poll_discard(
        &self,
        scratch: &mut [u8],
        left: &mut usize,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut state = self.state();
        while !state.eof {
            let mut buf = ReadBuf::new(scratch);
            match ready!(Pin::new(&mut state.stream).poll_read(cx, buf.unfilled())) {
                Ok(()) if (1..=*left).contains(&buf.filled().len()) => *left -= buf.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: Read + Write + Unpin> State<S> {
    /// Appends bytes of ours, to be drained.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn queued(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Writes what was gathered. `Pending`: the peer takes no more for now.
    pub(crate) fn poll_drain(
        &mut self,
        pulse: &Pulse,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.sent < self.out.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out[self.sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(wrote)) => {
                    self.sent += wrote;
                    self.watch.handle_tx(pulse.now().mono, wrote);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.blocked(pulse);
                    return Poll::Pending;
                }
            }
        }
        self.watch.handle_tx_drained();
        self.sent = 0;
        spare::put(std::mem::take(&mut self.out));
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// The peer takes no more for now. The limit of the answer that is on its way is set first: a
    /// limit counts from the deadline's next start.
    fn blocked(&mut self, pulse: &Pulse) {
        if let Some(limit) = pulse.take_body_out() {
            self.watch.limit(Cut::BodyOut, limit);
        }
        self.watch.handle_tx_blocked(pulse.now().mono);
    }

    fn gather(&mut self, parts: &[IoSlice<'_>], len: usize) -> usize {
        if self.out.capacity() == 0 {
            self.out = spare::take();
        }
        for part in parts {
            self.out.extend_from_slice(part);
        }
        len
    }

    /// Gathers the beginning of a head with `Date` in it, and the rest where it fits.
    fn poll_date(
        &mut self,
        pulse: &Pulse,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
        len: usize,
    ) -> Poll<io::Result<usize>> {
        let Some((head, rest)) = parts.split_first() else {
            return Poll::Ready(Ok(0));
        };
        if self.queued() + len + date::LINE > GATHER {
            ready!(self.poll_drain(pulse, cx))?;
        }
        pulse.set_undated(false);
        let Some(fields) = head.strip_prefix(STATUS) else {
            // Not seen; a head without `Date` is better than a torn one.
            return self.poll_gather(pulse, cx, parts);
        };
        self.gather(&[IoSlice::new(STATUS)], STATUS.len());
        self.out.extend_from_slice(&date::line(pulse.now().wall));
        if self.queued() + len > GATHER {
            return Poll::Ready(Ok(STATUS.len()));
        }
        self.out.extend_from_slice(fields);
        Poll::Ready(Ok(self.gather(rest, len)))
    }

    fn poll_gather(
        &mut self,
        pulse: &Pulse,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if !pulse.is_writing()
            && let [first, ..] = parts
            && let Some(refusals) = &mut self.refusals
            && let Some(status) = refusal::bare_reply(first)
        {
            let reply = refusals.reply(status, pulse.now());
            self.out.extend_from_slice(&reply);
            return Poll::Ready(Ok(len));
        }
        if pulse.is_undated() {
            return self.poll_date(pulse, cx, parts, len);
        }
        if self.queued() + len <= GATHER {
            return Poll::Ready(Ok(self.gather(parts, len)));
        }
        // Too much to gather: first what waits, then straight from hyper's buffers.
        ready!(self.poll_drain(pulse, cx))?;
        if len <= GATHER {
            return Poll::Ready(Ok(self.gather(parts, len)));
        }
        let stream = Pin::new(&mut self.stream);
        let wrote = if parts.len() > 1 && stream.is_write_vectored() {
            stream.poll_write_vectored(cx, parts)
        } else {
            let first = parts.iter().find(|part| !part.is_empty());
            stream.poll_write(cx, first.map_or(&[], |part| part))
        };
        match &wrote {
            Poll::Ready(Ok(bytes)) => {
                self.watch.handle_tx(pulse.now().mono, *bytes);
                self.watch.handle_tx_drained();
            }
            Poll::Pending => self.blocked(pulse),
            Poll::Ready(Err(_)) => {}
        }
        wrote
    }
}

impl<S: Read + Write + Unpin> Read for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state();
        let state = &mut *state;
        let mut again = 0;
        if let Some(prefix) = &mut state.prefix {
            let bytes = &prefix.bytes[usize::from(prefix.start)..usize::from(prefix.end)];
            again = bytes.len().min(buf.remaining());
            buf.put_slice(&bytes[..again]);
            prefix.start += again as u8;
            if prefix.start == prefix.end {
                state.prefix = None;
            }
        }
        // What follows the prefix is read in the same turn: hyper would double its buffer for a
        // second read, and keep it so for the connection's life.
        let room = buf.remaining();
        // A cursor cannot say how much was read into it, so a buffer of our own does.
        // SAFETY: `ReadBuf` only hands out a cursor, which never makes bytes uninitialised again.
        let mut inner = ReadBuf::uninit(unsafe { buf.as_mut() });
        match Pin::new(&mut state.stream).poll_read(cx, inner.unfilled()) {
            Poll::Ready(Ok(())) => {}
            _ if again > 0 => return Poll::Ready(Ok(())),
            late => return late,
        }
        let read = inner.filled().len();
        // SAFETY: the stream filled exactly this many bytes of the same memory.
        unsafe { buf.advance(read) };
        match read {
            0 if room > 0 => {
                state.eof = true;
                state.watch.handle_eof(self.pulse.now().mono);
            }
            read => state.watch.handle_rx(self.pulse.now().mono, read),
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Read + Write + Unpin> Write for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.state()
            .poll_gather(&self.pulse, cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.state().poll_gather(&self.pulse, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pulse.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        ready!(state.poll_drain(&self.pulse, cx))?;
        if !state.closed {
            ready!(Pin::new(&mut state.stream).poll_shutdown(cx))?;
            state.closed = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// One output buffer per thread, lent to whichever connection has something to say: an idle one holds
/// none, and a busy one allocates none.
mod spare {
    use std::cell::Cell;

    use super::GATHER;

    thread_local! {
        static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }

    pub(super) fn take() -> Vec<u8> {
        let spare = SPARE.take();
        if spare.capacity() == 0 {
            Vec::with_capacity(GATHER)
        } else {
            spare
        }
    }

    pub(super) fn put(mut buffer: Vec<u8>) {
        buffer.clear();
        SPARE.set(buffer);
    }
}

#[cfg(test)]
mod tests;
