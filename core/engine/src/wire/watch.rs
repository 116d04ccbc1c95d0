//! Which deadline of a connection runs: a machine that sees counts of bytes and the ends of
//! messages, never the bytes.

use super::phase::{TABLE, next};
use super::{Cut, Event, Limits, Phase};
use crate::table::Transition;
use crate::time::Mono;
use crate::timers::Timers;

/// The deadlines of one HTTP connection, some 128 bytes.
///
/// - **A** questions: [`is_done`](Self::is_done), [`is_idle`](Self::is_idle), [`cut`](Self::cut)
/// - **B** inputs, which never fail: every `handle_…`, and [`multiplexed`](Self::multiplexed)
/// - **C** commands: none; deciding to close is the input [`handle_closing`](Self::handle_closing)
/// - **D** outputs: [`poll_timeout`](Self::poll_timeout), [`poll_event`](Self::poll_event)
///
/// After a batch of inputs ask `poll_timeout`; call `handle_timeout` no later than it says. Once
/// [`is_done`](Self::is_done), drop the connection: `poll_event` says why, once, and every further
/// input is a no-op. A connection that ends by itself just drops its watch.
///
/// # Phases
///
/// What has no row changes nothing; a row to the same phase starts its deadline anew.
///
#[doc = include_str!("phase.md")]
///
/// # Bodies
///
/// Two more deadlines run beside the phases, each started by the first and stopped by the last of
/// its inputs, and started anew by every byte in between:
///
/// | Deadline | Starts | Anew | Stops |
/// |---|---|---|---|
/// | body in | `handle_body_wanted`, while `Busy` | `handle_rx` | `handle_body_taken`, leaving `Busy`, `handle_eof` |
/// | body out | `handle_tx_blocked`, until `Closing` | `handle_tx` | `handle_tx_drained`, `Closing` |
#[derive(Clone, Debug)]
pub struct Watch {
    timers: Timers<6>,
    /// Nanoseconds, one for each timer; `u64::MAX` is off.
    limits: [u64; 6],
    /// When bytes last came: the preface is told from them, so it came then.
    received: Mono,
    /// Requests in progress.
    streams: u32,
    phase: Phase,
    multiplexed: bool,
    eof: bool,
    cut: Option<Cut>,
    unreported: Option<Cut>,
}

static NAMES: [&str; 6] = Cut::NAMES;

impl Watch {
    /// Starts watching a connection accepted `now`: *first byte* runs.
    #[must_use]
    pub fn new(limits: &Limits, now: Mono) -> Self {
        let mut watch = Self {
            timers: Timers::new(&NAMES),
            limits: limits.nanos(),
            received: now,
            streams: 0,
            phase: Phase::First,
            multiplexed: false,
            eof: false,
            cut: None,
            unreported: None,
        };
        watch.start(Cut::FirstByte, now);
        watch
    }

    /// Replaces the limit of one deadline from its next start on; `Duration::MAX` turns it off.
    /// A route may allow a slow reader more than the connection does.
    pub fn limit(&mut self, deadline: Cut, limit: std::time::Duration) {
        self.limits[deadline as usize] = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    }

    /// The table of phases, as shown above.
    #[must_use]
    pub const fn transitions() -> &'static [Transition] {
        TABLE
    }

    /// Whether a deadline has cut the connection.
    #[inline]
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.cut.is_some()
    }

    /// Whether no request is in progress: its head parsed, its exchange not yet over.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.streams == 0
    }

    /// The deadline that cut the connection.
    #[inline]
    #[must_use]
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// `bytes` came from the peer; none is no news.
    #[inline]
    pub fn handle_rx(&mut self, now: Mono, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.received = now;
        let event = if self.multiplexed {
            Event::Frames
        } else {
            Event::Rx
        };
        self.step(now, event);
        self.extend(Cut::BodyIn, now);
    }

    /// The peer took `bytes`; none is no progress.
    #[inline]
    pub fn handle_tx(&mut self, now: Mono, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.step(now, Event::Tx);
        self.extend(Cut::BodyOut, now);
    }

    /// The peer takes no more for now: *body out* starts unless it runs.
    pub fn handle_tx_blocked(&mut self, now: Mono) {
        let over = matches!(self.phase, Phase::Closing | Phase::Done);
        if !over && !self.runs(Cut::BodyOut) {
            self.start(Cut::BodyOut, now);
        }
    }

    /// Nothing is left to send: *body out* stops.
    #[inline]
    pub fn handle_tx_drained(&mut self) {
        self.timers.clear(Cut::BodyOut as usize);
    }

    /// This is HTTP/2, as its preface shows. From now on bytes between requests start *keep-alive*
    /// anew, not *header*: they may be pings, or windows of streams long gone.
    pub fn multiplexed(&mut self) {
        self.multiplexed = true;
        self.step(self.received, Event::Multiplexed);
    }

    /// A request head was parsed; its exchange is in progress until
    /// [`handle_idle`](Self::handle_idle). Several may be on HTTP/2.
    pub fn handle_head(&mut self, now: Mono) {
        if self.is_done() {
            return;
        }
        self.streams = self.streams.saturating_add(1);
        self.step(now, Event::Head);
    }

    /// The handler awaits request body bytes: *body in* starts unless it runs.
    pub fn handle_body_wanted(&mut self, now: Mono) {
        if self.phase == Phase::Busy && !self.eof && !self.runs(Cut::BodyIn) {
            self.start(Cut::BodyIn, now);
        }
    }

    /// The body came, or nobody awaits it any more: *body in* stops.
    #[inline]
    pub fn handle_body_taken(&mut self) {
        self.timers.clear(Cut::BodyIn as usize);
    }

    /// One exchange is over. After the last one *keep-alive* starts; or *header*, if part of the
    /// next request is already `buffered`; or *drain*, if no request can follow.
    ///
    /// Without an exchange in progress it does nothing.
    pub fn handle_idle(&mut self, now: Mono, buffered: bool) {
        if self.is_done() || self.streams == 0 {
            return;
        }
        self.streams -= 1;
        if self.streams > 0 {
            return;
        }
        if buffered {
            // Its head counts from now, and so does what it turns out to be.
            self.received = now;
        }
        let event = match (buffered && !self.multiplexed, self.eof) {
            (true, _) => Event::OverBuffered,
            (false, true) => Event::Close,
            (false, false) => Event::Over,
        };
        self.step(now, event);
    }

    /// We decided to close: *drain* starts and nothing else counts.
    pub fn handle_closing(&mut self, now: Mono) {
        self.step(now, Event::Close);
    }

    /// The peer will send no more. What it asked for before is still answered (RFC 9112 §9.6
    /// lets a client half-close); a head that is here in part keeps its deadline, since it may
    /// prove complete.
    pub fn handle_eof(&mut self, now: Mono) {
        if self.is_done() {
            return;
        }
        self.eof = true;
        self.step(now, Event::Eof);
        self.timers.clear(Cut::BodyIn as usize);
    }

    /// Cuts the connection if a deadline is due.
    pub fn handle_timeout(&mut self, now: Mono) {
        if let Some(due) = self.timers.expired(now) {
            self.cut = Some(Cut::ALL[due]);
            self.unreported = self.cut;
            self.step(now, Event::Due);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest, and the name of the
    /// deadline.
    #[inline]
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
        self.timers.next_named()
    }

    /// The end, once.
    pub fn poll_event(&mut self) -> Option<Cut> {
        self.unreported.take()
    }

    #[inline]
    fn step(&mut self, now: Mono, on: Event) {
        let Some(to) = next(self.phase, on) else {
            return;
        };
        if let Some(deadline) = self.phase.deadline() {
            self.timers.clear(deadline as usize);
        }
        if to != Phase::Busy {
            self.timers.clear(Cut::BodyIn as usize);
        }
        if matches!(to, Phase::Closing | Phase::Done) {
            self.timers.clear(Cut::BodyOut as usize);
        }
        self.phase = to;
        if let Some(deadline) = to.deadline() {
            self.start(deadline, now);
        }
    }

    #[inline]
    fn runs(&self, timer: Cut) -> bool {
        self.timers.get(timer as usize).is_some()
    }

    #[inline]
    fn start(&mut self, timer: Cut, now: Mono) {
        let limit = self.limits[timer as usize];
        if limit != u64::MAX {
            let at = now.as_nanos().saturating_add(limit);
            self.timers.set(timer as usize, Mono::from_nanos(at));
        }
    }

    #[inline]
    fn extend(&mut self, timer: Cut, now: Mono) {
        if self.runs(timer) {
            self.start(timer, now);
        }
    }
}

#[cfg(test)]
mod tests;
