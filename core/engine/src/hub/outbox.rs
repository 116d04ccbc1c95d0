//! What waits to be written to one connection: queue, window and cap, who may wait, and what is dropped. It
//! never looks into a frame, writes nothing and wakes nobody: it says whom to wake.

mod line;
mod phase;

use std::collections::VecDeque;

use line::Line;
pub use line::Ticket;
use phase::{Event, Phase, TABLE, next};

use super::{Close, Frame, Policy};
use crate::table::Transition;

/// The memory one connection's outbox may hold, in bytes as allocated: at most `window + queue`, its own
/// bookkeeping included. A frame larger than that is refused: allow at least the largest message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Given to the connection and not yet taken by the socket: no more frames are given out beyond it,
    /// so that what waits behind can still be dropped. One frame is always given out. Default 32 KiB.
    pub window: usize,
    /// What may wait behind the window. Default 96 KiB.
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: 32 * 1024,
            queue: 96 * 1024,
        }
    }
}

/// The outgoing side of one connection.
///
/// - **A** questions: [`is_done`](Self::is_done), [`is_open`](Self::is_open), [`queued`](Self::queued),
///   [`len`](Self::len), [`has_room`](Self::has_room), [`nobody_waits`](Self::nobody_waits), [`dropped`](Self::dropped)
/// - **B** inputs, which never fail: [`handle_written`](Self::handle_written), [`handle_gone`](Self::handle_gone)
/// - **C** commands: [`offer`](Self::offer) from whoever does not wait, [`send`](Self::send),
///   [`send_from`](Self::send_from), [`wait`](Self::wait), [`redeem`](Self::redeem), [`withdraw`](Self::withdraw) from whoever does,
///   [`finish`](Self::finish), [`cut`](Self::cut)
/// - **D** outputs: [`poll`](Self::poll) for frames and the close, [`poll_told`](Self::poll_told) for those who wait
///
/// The connection drains [`poll`](Self::poll) until `None` when it is woken and after each
/// [`handle_written`](Self::handle_written). It is to be woken exactly when a command says so: then nothing
/// was queued before. Whoever holds the outbox drains [`poll_told`](Self::poll_told) after every call.
///
/// # Phases
///
/// What has no row changes nothing. The first close wins.
///
#[doc = include_str!("outbox.md")]
#[derive(Debug)]
pub struct Outbox<F> {
    window: usize,
    /// `window + queue`.
    limit: usize,
    queue: VecDeque<Slot<F>>,
    /// The bytes of the frames in `queue`.
    frames: usize,
    /// Those of them that may be dropped, and how many frames these are.
    droppable: usize,
    droppables: usize,
    /// The bytes given out and not written.
    taken: usize,
    /// Most connections never have one.
    line: Option<Box<Line>>,
    tickets: u64,
    dropped: u64,
    close: Close,
    phase: Phase,
}

#[derive(Debug)]
struct Slot<F> {
    frame: F,
    fate: Fate,
}

/// What may become of a queued frame.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Sent,
    Droppable,
    Replaceable(u64),
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Whether it is queued.
    pub kept: bool,
    /// Whether the connection is to be woken.
    pub wake: bool,
}

/// What the connection does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<F> {
    /// Writes this, then says [`Outbox::handle_written`] with its bytes as allocated.
    Frame(F),
    /// Starts the close handshake; nothing follows.
    Close(Close),
}

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no room now.
    #[error("the outbox is full: wait for room, or drop the frame")]
    Full,
    /// It would not fit into an empty outbox.
    #[error(
        "a frame of {bytes} bytes can never be queued: the outbox holds {limit}; raise its limits or send less"
    )]
    TooLarge {
        /// As allocated.
        bytes: usize,
        /// `window + queue`, less the slots that are always kept.
        limit: usize,
    },
    /// The connection is closing or gone.
    #[error("the connection is closed: stop sending")]
    Closed,
    /// Too many sends wait already.
    #[error("1024 sends wait for this connection already: let some of them finish first")]
    Crowded,
    /// Its turn has not come.
    #[error("this ticket's turn has not come: wait until it is told")]
    NotYet,
}

/// Slots that are kept while nothing is queued.
const SPARE: usize = 4;

impl<F: Frame> Outbox<F> {
    /// An open one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            window: limits.window,
            limit: limits.window.saturating_add(limits.queue),
            queue: VecDeque::new(),
            frames: 0,
            droppable: 0,
            droppables: 0,
            taken: 0,
            line: None,
            tickets: 0,
            dropped: 0,
            close: Close::DONE,
            phase: Phase::Open,
        }
    }

    const SLOT: usize = size_of::<Slot<F>>();

    /// The table of phases, as shown above.
    #[must_use]
    pub const fn transitions() -> &'static [Transition] {
        TABLE
    }

    /// Whether the close was given out, or the connection has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Closed | Phase::Gone)
    }

    /// Whether it takes frames in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// The memory it answers for, in bytes as allocated: frames queued, given out and not written, set aside
    /// for those who wait, and its own slots. Never more than `window + queue`.
    #[must_use]
    pub fn queued(&self) -> usize {
        let reserved = self.line.as_ref().map_or(0, |line| line.reserved());
        self.frames + self.taken + reserved + self.queue.capacity() * Self::SLOT
    }

    /// How many frames are queued.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no frame is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether nobody waits for room, or is to be told that it waits no more.
    #[inline]
    #[must_use]
    pub fn nobody_waits(&self) -> bool {
        self.line.is_none()
    }

    /// How many frames were dropped by a policy, or offered after the close.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Frames of these `bytes`, as allocated, were taken by the socket.
    pub fn handle_written(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_sub(bytes);
        self.grant();
    }

    /// The connection has ended: frees everything.
    pub fn handle_gone(&mut self) {
        self.step(Event::Gone);
        self.taken = 0;
    }

    /// Whether [`offer`](Self::offer) would queue a frame of `bytes` as allocated, and drop nothing for it.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.phase == Phase::Open && self.fits(bytes)
    }

    /// Queues a frame that nobody waits for; if there is no room, `policy` says what happens. `key` tells
    /// which frames replace each other under [`Policy::Conflate`].
    pub fn offer(&mut self, frame: &F, policy: Policy, key: u64) -> Offered {
        let mut offered = Offered {
            kept: false,
            wake: false,
        };
        if self.phase != Phase::Open {
            self.dropped += 1;
            return offered;
        }
        let (bytes, empty) = (frame.allocated(), self.queue.is_empty());
        let fate = match policy {
            Policy::Conflate => Fate::Replaceable(key),
            Policy::DropOldest => Fate::Droppable,
            Policy::DropNewest | Policy::Close => Fate::Sent,
        };
        if policy == Policy::Conflate && !empty && self.could_fit(bytes) {
            self.replace(fate);
        }
        if self.fits(bytes) || (policy.droppable() && self.make_room(bytes)) {
            self.push(frame.clone(), bytes, fate);
            self.grant();
            return Offered {
                kept: true,
                wake: empty,
            };
        }
        self.dropped += 1;
        if policy == Policy::Close {
            offered.wake = self.cut(Close::SLOW);
        }
        offered
    }

    /// Queues a frame if there is room and nobody waits. `Ok(true)`: wake the connection.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`]: [`wait`](Self::wait) with its bytes. [`SendError::TooLarge`], [`SendError::Closed`]:
    /// it will never be sent.
    pub fn send(&mut self, frame: &F) -> Result<bool, SendError> {
        self.send_from(&mut Some(frame.clone()))
    }

    /// [`send`](Self::send)s the frame and takes it; it stays where it is if it is refused. `None` is nothing to send.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn send_from(&mut self, frame: &mut Option<F>) -> Result<bool, SendError> {
        let Some(bytes) = frame.as_ref().map(F::allocated) else {
            return Ok(false);
        };
        self.admit(bytes)?;
        if self.head().is_some() || !self.fits(bytes) {
            return Err(SendError::Full);
        }
        let wake = self.queue.is_empty();
        if let Some(frame) = frame.take() {
            self.push(frame, bytes, Fate::Sent);
        }
        Ok(wake)
    }

    /// Joins the line for room of `bytes` as allocated. When its turn comes, the room is set aside and
    /// [`poll_told`](Self::poll_told) names the ticket; then [`redeem`](Self::redeem) it, or
    /// [`withdraw`](Self::withdraw) it at any time.
    ///
    /// # Errors
    ///
    /// [`SendError::TooLarge`], [`SendError::Closed`] or [`SendError::Crowded`].
    pub fn wait(&mut self, bytes: usize) -> Result<Ticket, SendError> {
        self.admit(bytes)?;
        let line = self.line.get_or_insert_default();
        if line.full() {
            return Err(SendError::Crowded);
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        line.join(ticket, bytes);
        self.grant();
        Ok(ticket)
    }

    /// Queues the frame that `ticket` waited for, in the room set aside. `Ok(true)`: wake the connection.
    ///
    /// # Errors
    ///
    /// [`SendError::NotYet`] keeps the ticket; [`SendError::Closed`] ends it. So does [`SendError::TooLarge`]:
    /// the frame is larger than the room it asked for.
    pub fn redeem(&mut self, ticket: Ticket, frame: &F) -> Result<bool, SendError> {
        if self.phase != Phase::Open {
            self.withdraw(ticket);
            return Err(SendError::Closed);
        }
        let line = self.line.as_mut();
        let limit = line
            .and_then(|line| line.redeem(ticket))
            .ok_or(SendError::NotYet)?;
        self.drop_line();
        let bytes = frame.allocated();
        if bytes > limit {
            self.grant();
            return Err(SendError::TooLarge { bytes, limit });
        }
        let wake = self.queue.is_empty();
        self.push(frame.clone(), bytes, Fate::Sent);
        self.grant();
        Ok(wake)
    }

    /// Leaves the line; what was set aside is free again. Nothing, if it was redeemed.
    pub fn withdraw(&mut self, ticket: Ticket) {
        if let Some(line) = &mut self.line {
            line.withdraw(ticket);
            self.drop_line();
            self.grant();
        }
    }

    /// Closes behind what is queued. Whether to wake the connection.
    pub fn finish(&mut self, close: Close) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        self.close = close;
        self.step(Event::Finish);
        self.queue.is_empty()
    }

    /// Closes at once: drops what is queued. If a close waits behind the queue, that one is sent instead.
    /// Whether to wake the connection: also when something was queued, for it may wait for the window.
    pub fn cut(&mut self, close: Close) -> bool {
        if self.phase == Phase::Open {
            self.close = close;
        }
        self.step(Event::Cut)
    }

    /// The next frame, while the window has room; or the close, once.
    pub fn poll(&mut self) -> Option<Output<F>> {
        if self.phase == Phase::Closing {
            self.step(Event::Taken);
            return Some(Output::Close(self.close));
        }
        let bytes = self.queue.front()?.frame.allocated();
        if self.taken > 0 && self.taken + bytes > self.window {
            return None;
        }
        let slot = self.remove(0)?;
        self.taken += bytes;
        if self.queue.is_empty() {
            self.step(Event::Empty);
        }
        self.shrink();
        self.grant();
        Some(Output::Frame(slot.frame))
    }

    /// A ticket whose wait is over: it can be redeemed, or there is nothing left to wait for.
    pub fn poll_told(&mut self) -> Option<Ticket> {
        let told = self.line.as_mut()?.told();
        self.drop_line();
        told
    }

    fn admit(&self, bytes: usize) -> Result<(), SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        let limit = self.limit.saturating_sub(SPARE * Self::SLOT);
        if bytes > limit {
            return Err(SendError::TooLarge { bytes, limit });
        }
        Ok(())
    }

    /// What the next in line waits for.
    fn head(&self) -> Option<usize> {
        self.line.as_ref()?.head()
    }

    fn granted(&self) -> usize {
        self.line.as_ref().map_or(0, |line| line.granted())
    }

    /// How many bytes the slots would take if there were one more frame, as tight as can be.
    fn grown(&self) -> usize {
        let slots = self.queue.len() + self.granted() + 1;
        slots.saturating_sub(self.queue.capacity()) * Self::SLOT
    }

    /// Whether a frame fits that nobody waits for. Whoever waits comes first: if not, a busy room would keep
    /// a waiting send out for ever.
    fn fits(&self, bytes: usize) -> bool {
        let first = self.head().map_or(0, |head| head + Self::SLOT);
        self.queued() + first + self.grown() + bytes <= self.limit
    }

    /// Whether it would fit if all were dropped that may be.
    fn could_fit(&self, bytes: usize) -> bool {
        let first = self.head().map_or(0, |head| head + Self::SLOT);
        self.droppables > 0 && self.queued() - self.droppable + first + bytes <= self.limit
    }

    /// Drops the oldest frames that may be dropped until `bytes` fit; none if that would not help.
    fn make_room(&mut self, bytes: usize) -> bool {
        if !self.could_fit(bytes) {
            return false;
        }
        while !self.fits(bytes) {
            let oldest = self.queue.iter().position(|slot| slot.fate != Fate::Sent);
            if oldest.and_then(|at| self.shed(at)).is_none() {
                return false;
            }
            self.dropped += 1;
        }
        true
    }

    /// Drops the oldest message of a slot that may be dropped.
    fn shed(&mut self, at: usize) -> Option<()> {
        let frame = &mut self.queue.get_mut(at)?.frame;
        let before = frame.allocated();
        if !frame.shed() {
            return self.remove(at).map(drop);
        }
        let less = before - frame.allocated();
        self.frames -= less;
        self.droppable -= less;
        Some(())
    }

    fn replace(&mut self, fate: Fate) {
        if let Some(at) = self.queue.iter().position(|slot| slot.fate == fate) {
            self.remove(at);
            self.dropped += 1;
        }
    }

    fn push(&mut self, frame: F, bytes: usize, fate: Fate) {
        let slots = self.queue.len() + self.granted() + 1;
        if slots > self.queue.capacity() {
            // Twice as many, if the limit leaves room for them; else one.
            let twice = slots.max(self.queue.capacity() * 2).max(SPARE);
            let more = (twice - self.queue.capacity()) * Self::SLOT;
            let target = if self.queued() + more + bytes <= self.limit {
                twice
            } else {
                slots
            };
            self.queue.reserve_exact(target - self.queue.len());
        }
        self.queue.push_back(Slot { frame, fate });
        self.frames += bytes;
        if fate != Fate::Sent {
            self.droppable += bytes;
            self.droppables += 1;
        }
    }

    fn remove(&mut self, at: usize) -> Option<Slot<F>> {
        let slot = if at == 0 {
            self.queue.pop_front()?
        } else {
            self.queue.remove(at)?
        };
        let bytes = slot.frame.allocated();
        self.frames -= bytes;
        if slot.fate != Fate::Sent {
            self.droppable -= bytes;
            self.droppables -= 1;
        }
        Some(slot)
    }

    /// Gives slots back after a burst.
    fn shrink(&mut self) {
        let (capacity, slots) = (self.queue.capacity(), self.queue.len() + self.granted());
        if capacity > SPARE && slots * 4 <= capacity {
            self.queue.shrink_to((slots * 2).max(SPARE));
        }
    }

    /// Sets room aside for those next in line.
    #[inline]
    fn grant(&mut self) {
        if self.line.is_some() {
            self.grant_line();
        }
    }

    fn grant_line(&mut self) {
        while let Some(bytes) = self.head()
            && self.phase == Phase::Open
        {
            let slots = self.queue.len() + self.granted() + 1;
            if self.queued() + self.grown() + bytes > self.limit {
                break;
            }
            if slots > self.queue.capacity() {
                self.queue.reserve_exact(slots - self.queue.len());
            }
            if let Some(line) = &mut self.line {
                line.grant();
            }
        }
    }

    fn drop_line(&mut self) {
        self.line.take_if(|line| line.is_empty());
    }

    /// Whether `on` led anywhere.
    fn step(&mut self, on: Event) -> bool {
        let Some(to) = next(self.phase, on) else {
            return false;
        };
        self.phase = to;
        if to != Phase::Draining {
            // Nothing is queued in any phase to come.
            self.queue = VecDeque::new();
            (self.frames, self.droppable, self.droppables) = (0, 0, 0);
        }
        if let Some(line) = &mut self.line {
            line.dissolve();
        }
        if to == Phase::Draining && self.queue.is_empty() {
            self.step(Event::Empty);
        }
        true
    }
}
