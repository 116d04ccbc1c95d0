//! One connection after its handshake: frames in, frames out, and when to give up. It holds bytes only of
//! what came in part and of what waits to be sent.

mod receive;

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use super::assembly::Assembly;
use super::code::{CloseCode, MAX_REASON};
use super::codecs::Codecs;
use super::compression::Compression;
use super::config::Config;
use super::deflate::Deflate;
use super::encoded::{Encoded, Frame, MIN_DEFLATE, masked};
use super::end::{End, Violation};
use super::event::Event;
use super::head::{self, DEFLATED, FIN, opcode};
use super::life::{Demand, Life};
use super::out::Out;
use super::phase::{On, Phase, TABLE, next};
use super::run::{Parcel, Run};
use crate::rng::{Rng, Seed};
use crate::table::Transition;
use crate::time::Mono;

/// The longest payload of a control frame, in bytes (RFC 6455 §5.5).
const MAX_PING: usize = 125;

/// Which side of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It sends unmasked frames and demands masked ones.
    Server,
    /// It masks its frames with keys from its seed, and refuses masked ones.
    Client,
}

/// A WebSocket connection.
///
/// - **A** questions: [`is_done`](Self::is_done), [`is_open`](Self::is_open), [`queued`](Self::queued),
///   [`has_room`](Self::has_room), [`held`](Self::held), [`is_mute`](Self::is_mute),
///   [`has_sent_all`](Self::has_sent_all)
/// - **B** inputs, which never fail: every `handle_…`, [`pause`](Self::pause), [`resume`](Self::resume)
/// - **C** commands: [`send`](Self::send), [`ping`](Self::ping), [`close`](Self::close)
/// - **D** outputs: [`poll_event`](Self::poll_event), [`poll_transmit`](Self::poll_transmit),
///   [`poll_timeout`](Self::poll_timeout)
///
/// After a read call [`handle_rx`](Self::handle_rx) until it returns `None`, which lends one message or control
/// frame at a time; then `poll_event`, `poll_transmit`, and `poll_timeout`, whenever there was an input or a
/// command. What `poll_transmit` lends is gone once [`handle_tx`](Self::handle_tx) says it was taken.
///
/// The end is reported once, by `poll_event`, as soon as no message can come any more. What is left then is
/// to send Close and to see the peer end the stream: drive on until [`is_done`](Self::is_done), shut the
/// stream for writing when [`has_sent_all`](Self::has_sent_all), and then drop both.
///
/// # Phases
///
/// What has no row changes nothing.
///
#[doc = include_str!("phase.md")]
///
/// # Deadlines
///
/// | Name | Runs | Falls |
/// |---|---|---|
/// | ping | while open; the first at an instant drawn from the seed | an interval after the last byte: a Ping goes out |
/// | ping not taken | from queuing the Ping until its last byte is taken for writing | when neither side's bytes moved for the time-out: cut |
/// | pong | from then, not while paused, until any byte comes | after the time-out: cut |
/// | message | while a message or frame has come in part, not while paused | 60 s and a second for each 16 KiB after its first byte: Close 1008 |
/// | close | from the decision to close | after its limit: cut |
///
/// Read once more before telling it the time: a byte that is here already is life.
///
/// # Example
///
/// A server that echoes text, given the bytes of one read:
///
/// ```
/// use std::io::IoSlice;
/// use std::sync::Arc;
/// use tideway_engine::ws::{Codecs, Config, Conn, Encoded, Event, Role};
/// use tideway_engine::{Mono, Seed};
///
/// let (now, mut codecs) = (Mono::START, Codecs::default());
/// let config = Arc::new(Config::default());
/// let mut conn = Conn::new(Role::Server, config, None, &Seed::from_u64(7), now);
///
/// // "Hello", masked (RFC 6455 §5.7).
/// let mut read = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
/// let mut input = &mut read[..];
/// while let Some(event) = conn.handle_rx(now, &mut input, &mut codecs) {
///     if let Event::Text(text) = event {
///         conn.send(Encoded::text(&text), &mut codecs)?;
///     }
/// }
/// let mut slices = [IoSlice::new(&[]); 8];
/// assert_eq!(conn.poll_transmit(&mut slices), 1);
/// assert_eq!(&*slices[0], b"\x81\x05Hello");
/// conn.handle_tx(now, 7);
/// assert_eq!(conn.queued(), 0);
/// # Ok::<(), tideway_engine::ws::SendError>(())
/// ```
#[derive(Debug)]
pub struct Conn {
    config: Arc<Config>,
    /// A client's masks.
    keys: Option<Box<Rng>>,
    out: Out,
    life: Life,
    assembly: Option<Box<Assembly>>,
    close_at: Option<Mono>,
    end: Option<End>,
    compression: Option<Compression>,
    phase: Phase,
    /// We asked to close.
    asked: bool,
    /// The peer broke a rule.
    broken: bool,
    /// The end was reported, or is in `end`.
    ended: bool,
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Nothing can be sent any more.
    #[error("the socket is closed")]
    Closed,
    /// The queue is over its cap: ask [`Conn::has_room`] first, and send again once bytes were taken.
    #[error("the queue is full")]
    Full,
    /// The payload of a Ping does not fit into a control frame.
    #[error("a ping has at most {MAX_PING} bytes")]
    PingTooLong,
}

/// Why a close was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// It is closed, or closing.
    #[error("the socket is closed")]
    Closed,
    /// The reason does not fit into a control frame.
    #[error("a close reason has at most {MAX_REASON} bytes")]
    ReasonTooLong,
}

impl Conn {
    /// A connection whose handshake is done, with the compression agreed to there.
    #[must_use]
    pub fn new(
        role: Role,
        config: Arc<Config>,
        deflate: Option<Deflate>,
        seed: &Seed,
        now: Mono,
    ) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            life: Life::new(&config, &mut rng, now),
            config,
            keys: (role == Role::Client).then(|| Box::new(rng)),
            out: Out::default(),
            assembly: None,
            close_at: None,
            end: None,
            compression: deflate.map(|agreed| Compression::new(&agreed, role == Role::Server)),
            phase: Phase::Open,
            asked: false,
            broken: false,
            ended: false,
        }
    }

    /// The table of phases, as shown above.
    #[must_use]
    pub const fn transitions() -> &'static [Transition] {
        TABLE
    }

    /// Whether all is over: drop it, and close the stream.
    #[inline]
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Whether neither side has begun to close.
    #[inline]
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Bytes that wait to be sent.
    #[inline]
    #[must_use]
    pub fn queued(&self) -> usize {
        self.out.len()
    }

    /// Whether [`send`](Self::send) takes a message of this [`Encoded::len`] now.
    #[inline]
    #[must_use]
    pub fn has_room(&self, len: usize) -> bool {
        let waiting = self.out.data();
        waiting == 0 || waiting.saturating_add(len) <= self.config.max_queue
    }

    /// Bytes kept of payloads that came in part.
    #[must_use]
    pub fn held(&self) -> usize {
        self.assembly.as_ref().map_or(0, |assembly| assembly.held())
    }

    /// Whether no byte of ours will follow.
    #[must_use]
    pub fn is_mute(&self) -> bool {
        self.is_done() || self.phase == Phase::Draining
    }

    /// Whether no byte will follow, and the stream can be shut for writing; then read, and drop what comes,
    /// until the peer does the same: closing at once could destroy our Close on its way, if the peer still
    /// sends. A client leaves it to its server to be first, unless the server broke a rule (RFC 6455 §7.1.1).
    #[must_use]
    pub fn has_sent_all(&self) -> bool {
        let first = self.keys.is_none() || self.broken;
        self.is_done() || self.is_mute() && first
    }

    /// Bytes came. Takes them from the front of `input`, unmasking them where they lie, until a message or
    /// control frame is complete, and lends that; `None` once all are taken.
    #[inline]
    pub fn handle_rx<'a>(
        &mut self,
        now: Mono,
        input: &mut &'a mut [u8],
        codecs: &mut Codecs,
    ) -> Option<Event<'a>> {
        if input.is_empty() {
            return None;
        }
        self.life.heard(now);
        if !self.reads() {
            *input = &mut [];
            return None;
        }
        self.receive(now, input, codecs)
    }

    /// `bytes` of what [`poll_transmit`](Self::poll_transmit) lent were taken for writing.
    #[inline]
    pub fn handle_tx(&mut self, now: Mono, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.life.moved(now);
        let taken = self.out.take(bytes);
        if taken.ping {
            self.life.ping_taken(now);
        }
        if taken.close {
            self.step(now, On::CloseTaken);
        }
    }

    /// The peer ended its side of the stream.
    pub fn handle_eof(&mut self, now: Mono) {
        self.step(now, On::Eof);
        if self.is_done() {
            self.report(End::Lost);
        }
    }

    /// We stop reading, for reasons of our own: what the peer owes us by a deadline may be among what we do
    /// not read, so *pong* and *message* stand still.
    #[inline]
    pub fn pause(&mut self, now: Mono) {
        self.life.pause(now);
    }

    /// We read again.
    #[inline]
    pub fn resume(&mut self, now: Mono) {
        if self.life.is_paused() {
            self.unpause(now);
        }
    }

    fn unpause(&mut self, now: Mono) {
        let paused = self.life.resume(&self.config, now);
        if let (Some(from), Some(assembly)) = (paused, &mut self.assembly) {
            assembly.since = assembly.since.plus(now.since(from.max(assembly.since)));
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Mono) {
        let is_due = |deadline: Option<(Mono, _)>| deadline.is_some_and(|(at, _)| at <= now);
        if self.phase != Phase::Open {
            if self.close_at.is_some_and(|at| at <= now) {
                self.report(End::Unanswered);
                self.step(now, On::Cut);
            }
            return;
        }
        if is_due(self.life.deadline(&self.config)) {
            match self.life.timeout(&self.config, now) {
                Demand::Nothing => {}
                Demand::Ping => {
                    let ping = self.control_frame(opcode::PING, &[]);
                    self.out.push_ping(&ping);
                }
                Demand::Dead => {
                    self.report(End::Silent);
                    self.step(now, On::Cut);
                    return;
                }
            }
        }
        if is_due(self.assembly_deadline()) {
            self.violation(now, Violation::TooSlow);
        }
    }

    /// Queues a message, compressed if that was agreed to and makes it smaller. Once the peer has closed, or
    /// broke a rule, answers to what it sent before are still taken, until the first byte of our Close is sent.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the message is lost then.
    #[inline]
    pub fn send(&mut self, message: Encoded, codecs: &mut Codecs) -> Result<(), SendError> {
        self.admit(message.len())?;
        let frame = match (&self.keys, &self.compression) {
            (None, None) => message.into_frame(),
            _ => self.frame(message, codecs),
        };
        self.out.push(frame);
        Ok(())
    }

    /// [`send`](Self::send)s one message or several: these as one piece, unless they have to be compressed or masked.
    ///
    /// # Errors
    ///
    /// [`SendError`]; what was not queued is lost then.
    #[inline]
    pub fn send_parcel(&mut self, parcel: Parcel, codecs: &mut Codecs) -> Result<(), SendError> {
        match parcel {
            Parcel::One(message) => self.send(message, codecs),
            Parcel::Run(run) => self.send_run(run, codecs),
        }
    }

    fn send_run(&mut self, mut run: Run, codecs: &mut Codecs) -> Result<(), SendError> {
        if self.keys.is_some() || self.compression.is_some() {
            return run.try_for_each(|message| self.send(message, codecs));
        }
        self.admit(run.bytes())?;
        self.out.push(run.into_frame());
        Ok(())
    }

    /// Whether messages of `bytes` can be sent.
    #[inline]
    fn admit(&self, bytes: usize) -> Result<(), SendError> {
        if !(self.is_open() || self.may_answer()) {
            return Err(SendError::Closed);
        }
        if !self.has_room(bytes) {
            return Err(SendError::Full);
        }
        Ok(())
    }

    /// Queues a Ping of up to 125 bytes. The heartbeat needs none of these.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        if !self.is_open() {
            return Err(SendError::Closed);
        }
        if payload.len() > MAX_PING {
            return Err(SendError::PingTooLong);
        }
        if self.out.len() > self.config.max_queue {
            return Err(SendError::Full);
        }
        let ping = self.control_frame(opcode::PING, payload);
        self.out.push_ping(&ping);
        Ok(())
    }

    /// Begins to close: a Close with `code` and `reason` follows what is queued.
    ///
    /// # Errors
    ///
    /// [`CloseError`]; nothing happened then.
    pub fn close(&mut self, now: Mono, code: CloseCode, reason: &str) -> Result<(), CloseError> {
        if !self.is_open() {
            return Err(CloseError::Closed);
        }
        if reason.len() > MAX_REASON {
            return Err(CloseError::ReasonTooLong);
        }
        self.asked = true;
        self.queue_close(Some(code), reason);
        self.step(now, On::Close);
        Ok(())
    }

    /// The end, once.
    #[inline]
    pub fn poll_event(&mut self) -> Option<End> {
        self.end.take()
    }

    /// Lends what is to be sent, in order, as many pieces as `slices` holds; how many they are.
    #[inline]
    pub fn poll_transmit<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.out.fill(slices)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest, and for what.
    #[inline]
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
        if self.phase != Phase::Open {
            return self.close_at.map(|at| (at, "close"));
        }
        let life = self.life.deadline(&self.config);
        if self.assembly.is_none() {
            return life;
        }
        let both = [life, self.assembly_deadline()];
        both.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(super) fn keeps_codecs(&self) -> bool {
        let compression = self.compression.as_ref();
        compression.is_some_and(Compression::keeps)
    }

    pub(super) fn assembly_deadline(&self) -> Option<(Mono, &'static str)> {
        let assembly = self.assembly.as_ref()?;
        if self.life.is_paused() {
            return None;
        }
        let time = self.config.message_time(assembly.received);
        Some((assembly.since.plus(time), "message"))
    }

    #[inline]
    fn reads(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing | Phase::Awaiting)
    }

    /// Whether answers to what came before the peer's end are still sent.
    fn may_answer(&self) -> bool {
        let answers = matches!(self.phase, Phase::Replying | Phase::Last) && !self.asked;
        answers && !self.out.close_begun()
    }

    fn violation(&mut self, now: Mono, violation: Violation) {
        if self.is_open() {
            self.queue_close(Some(violation.code()), &violation.to_string());
        }
        self.broken = true;
        self.report(End::Violation(violation));
        self.step(now, On::Violation);
    }

    fn step(&mut self, now: Mono, on: On) {
        let Some(to) = next(self.phase, on) else {
            return;
        };
        if self.phase == Phase::Open {
            // Ahead of now, or it would fall at the time it is set at.
            let within = self.config.close_within.max(Duration::from_nanos(1));
            self.close_at = Some(now.plus(within));
        }
        self.phase = to;
        if !self.reads() {
            self.assembly = None;
        }
        if to == Phase::Done {
            self.close_at = None;
            self.compression = None;
            self.out.clear();
        }
    }

    /// Only the first end counts.
    fn report(&mut self, end: End) {
        if !self.ended {
            self.ended = true;
            self.end = Some(end);
        }
    }

    fn queue_close(&mut self, code: Option<CloseCode>, reason: &str) {
        let mut payload = Vec::new();
        if let Some(code) = code {
            payload.extend_from_slice(&code.as_u16().to_be_bytes());
            payload.extend_from_slice(reason.as_bytes());
        }
        let frame = self.control_frame(opcode::CLOSE, &payload);
        self.out.set_close(frame);
    }

    fn control_frame(&mut self, code: u8, payload: &[u8]) -> Vec<u8> {
        match self.key() {
            Some(key) => masked(FIN | code, payload, key),
            None => {
                let (head, size) = head::write(FIN | code, payload.len(), None);
                [&head[..size], payload].concat()
            }
        }
    }

    /// A fresh mask for each frame (RFC 6455 §5.3).
    fn key(&mut self) -> Option<[u8; 4]> {
        Some(self.keys.as_mut()?.u32().to_le_bytes())
    }

    fn frame(&mut self, message: Encoded, codecs: &mut Codecs) -> Frame {
        let (key, code) = (self.key(), message.opcode());
        if let Some(compression) = &mut self.compression
            && message.payload().len() >= MIN_DEFLATE
        {
            if let Some(data) = compression.deflate_on(codecs, message.payload()) {
                return match key {
                    Some(key) => Frame::masked(FIN | DEFLATED | code, data, key),
                    None => Frame::deflated(code, data),
                };
            }
            let masked = |frame: &Frame| match key {
                Some(key) => Frame::masked(FIN | DEFLATED | code, frame.payload(), key),
                None => frame.clone(),
            };
            let bits = compression.bits();
            if let Some(frame) = message.with_deflated(bits, codecs, masked) {
                return frame;
            }
        }
        match key {
            Some(key) => Frame::masked(FIN | code, message.payload(), key),
            None => message.into_frame(),
        }
    }
}
