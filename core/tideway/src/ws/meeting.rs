//! Where a socket's handler and its connection meet: messages that came, frames to be sent, whom to wake. The lock is
//! held for a few moves at a time, never across a poll, and nobody is woken under it.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tideway_engine::hub::{Close, Limits, Outbox, Ticket};
use tideway_engine::ws::{Config, Parcel, Role};

use super::hub::Membership;
use super::{Cause, Closed, Message};

/// How many bytes of messages wait for the handler, as allocated, before no more are read.
pub(super) const INBOX: usize = 64 << 10;
/// Given to the connection at once; what waits behind it may still be withdrawn.
const WINDOW: usize = 32 << 10;
/// Room for what is around the largest message: its frame's head, and the queue's own slots.
const AROUND: usize = 1 << 10;

pub(super) struct Meeting {
    state: Mutex<State>,
    /// The subprotocol agreed to.
    pub(super) protocol: Option<Box<str>>,
    role: Role,
    /// Bytes that were written since the outbox was told: so that a socket for which nothing waits need not take the lock
    /// to tell. Whoever takes it next does.
    written: AtomicUsize,
    /// How many hold it beside its connection.
    shares: AtomicUsize,
}

pub(super) struct State {
    inbox: Inbox,
    /// What `inbox` holds, in bytes as allocated.
    held: usize,
    pub(super) outbox: Outbox<Parcel>,
    /// Why the outbox was told to close.
    pub(super) cause: Option<Cause>,
    /// Sends that wait for room.
    sends: Vec<(Ticket, Waker)>,
    /// Whoever waits for a message.
    reader: Option<Waker>,
    /// The connection's task.
    task: Option<Waker>,
    /// The connection's task will look once more before it sleeps.
    attended: bool,
    /// How it ended: no message will come.
    closed: Option<Closed>,
    /// Whoever reads has seen the end, or will not look.
    seen: bool,
    /// The stream is done with, too.
    over: bool,
    /// Nobody will ask for a message.
    deaf: bool,
    /// Its rooms.
    pub(super) membership: Membership,
}

/// Messages that wait for the handler.
#[derive(Default)]
struct Inbox {
    /// The next: kept here, so that one message at a time needs no queue.
    first: Option<Message>,
    /// An idle socket holds none.
    more: VecDeque<Message>,
}

impl Inbox {
    fn push(&mut self, message: Message) {
        if self.first.is_none() {
            self.first = Some(message);
        } else {
            self.more.push_back(message);
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<Message> {
        let first = self.first.take();
        if !self.more.is_empty() {
            self.first = self.more.pop_front();
            if self.more.is_empty() {
                self.more = VecDeque::new();
            }
        }
        first
    }
}

/// Whom to wake once the lock is free.
#[must_use]
#[derive(Default)]
pub(super) struct Wakes {
    pub(super) task: Option<Waker>,
    /// Not empty.
    pub(super) others: Option<Vec<Waker>>,
}

impl Wakes {
    #[inline]
    pub(super) fn wake(self) {
        if let Some(task) = self.task {
            task.wake();
        }
        if let Some(others) = self.others {
            others.into_iter().for_each(Waker::wake);
        }
    }
}

impl Meeting {
    pub(super) fn new(config: &Config, protocol: Option<Box<str>>, role: Role) -> Self {
        // What came in can be sent back.
        let most = config.max_message.saturating_add(AROUND);
        let most = config.max_queue.max(most);
        let window = WINDOW.min(config.max_queue);
        let limits = Limits {
            window,
            queue: most - window,
        };
        Self {
            state: Mutex::new(State {
                inbox: Inbox::default(),
                held: 0,
                outbox: Outbox::new(limits),
                cause: None,
                sends: Vec::new(),
                reader: None,
                task: None,
                attended: false,
                closed: None,
                seen: false,
                over: false,
                deaf: false,
                membership: Membership::None,
            }),
            protocol,
            role,
            written: AtomicUsize::new(0),
            shares: AtomicUsize::new(0),
        }
    }

    /// The socket has ended, and with it its part in every room.
    pub(super) fn leave_rooms(&self) {
        let membership = std::mem::replace(&mut self.lock().membership, Membership::Over);
        // Rooms come before sockets in the order of locks.
        membership.end();
    }

    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.written.load(Ordering::Relaxed) > 0 {
            let written = self.written.swap(0, Ordering::Relaxed);
            state.outbox.handle_written(written);
        }
        state
    }

    /// Frames of these `bytes`, as allocated, were written. Nobody is told: for when nothing
    /// [waits for it](State::waits_for_writing). A send that joins the line afterwards wakes the connection's task.
    pub(super) fn handle_written(&self, bytes: usize) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The connection's side.
impl State {
    /// Its task looks from here on, and is woken by `waker` afterwards.
    pub(super) fn attend(&mut self, waker: &Waker) {
        self.attended = true;
        match &mut self.task {
            Some(task) => task.clone_from(waker),
            None => self.task = Some(waker.clone()),
        }
    }

    /// It has looked, and nothing was left.
    pub(super) fn leave(&mut self) {
        self.attended = false;
    }

    /// Whether a frame or a send waits for what was given out to be written.
    pub(super) fn waits_for_writing(&self) -> bool {
        !(self.outbox.is_empty() && self.outbox.nobody_waits())
    }

    /// A message came. The connection's task will look once more.
    pub(super) fn put(&mut self, message: Message) -> Option<Waker> {
        self.attended = true;
        if self.deaf {
            return None;
        }
        self.held += size_of::<Message>() + message.held();
        self.inbox.push(message);
        if let (Some(reader), Some(task)) = (&self.reader, &self.task)
            && reader.will_wake(task)
        {
            // Its handler is polled next, and would only ask again for the same.
            return None;
        }
        self.reader.take()
    }

    /// Whether another message may come.
    pub(super) fn has_room(&self) -> bool {
        self.deaf || self.held < INBOX
    }

    /// No message will come any more. Only the first end counts.
    pub(super) fn end(&mut self, closed: Closed) -> Option<Waker> {
        self.closed.get_or_insert(closed);
        self.reader.take()
    }

    /// The stream is done with.
    pub(super) fn over(&mut self) -> Option<Waker> {
        self.over = true;
        self.reader.take()
    }

    /// Nothing can be sent any more.
    pub(super) fn gone(&mut self) -> Wakes {
        self.outbox.handle_gone();
        self.told()
    }
}

/// The handler's side.
impl State {
    /// The next message, `Ok(None)` if none will come; and the connection's task, if it is to be woken.
    #[inline]
    pub(super) fn take(
        &mut self,
        waker: &Waker,
    ) -> Result<(Option<Message>, Option<Waker>), NoneYet> {
        let Some(message) = self.inbox.pop() else {
            if self.closed.is_some() {
                let seen = std::mem::replace(&mut self.seen, true);
                return Ok((None, if seen { None } else { self.task() }));
            }
            self.read_by(waker);
            return Err(NoneYet);
        };
        let full = !self.has_room();
        self.held -= size_of::<Message>() + message.held();
        let room = full && self.has_room();
        Ok((Some(message), if room { self.task() } else { None }))
    }

    /// Whether a message waits.
    pub(super) fn has_message(&self) -> bool {
        self.inbox.first.is_some()
    }

    /// Whether the reader may still answer what came before the end.
    pub(super) fn may_answer(&self) -> bool {
        !self.seen && (self.reader.is_none() || self.has_message())
    }

    /// Whether the reader has seen the end.
    pub(super) fn has_seen(&self) -> bool {
        self.seen
    }

    /// How it ended, once the stream is done with.
    pub(super) fn ended(&mut self, waker: &Waker) -> Result<Closed, NoneYet> {
        match &self.closed {
            Some(closed) if self.over => Ok(closed.clone()),
            _ => {
                self.read_by(waker);
                Err(NoneYet)
            }
        }
    }

    /// How it ended.
    pub(super) fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// Nobody will ask for a message any more.
    pub(super) fn deafen(&mut self) -> Wakes {
        let full = !self.has_room() || self.closed.is_some();
        self.deaf = true;
        self.seen = true;
        self.inbox = Inbox::default();
        self.held = 0;
        Wakes {
            task: if full { self.task() } else { None },
            others: None,
        }
    }

    /// Closes behind what is queued.
    pub(super) fn finish(&mut self, close: Close, cause: Cause) -> Wakes {
        if self.outbox.is_open() {
            self.cause = Some(cause);
        }
        let wake = self.outbox.finish(close);
        self.after(wake)
    }

    /// What follows from a command to the outbox that says whether to wake the connection.
    pub(super) fn after(&mut self, wake: bool) -> Wakes {
        let mut wakes = self.told();
        if wake {
            wakes.task = self.task();
        }
        wakes
    }

    /// The send with this ticket waits. The connection's task, if it is to be woken: it looks again, and tells from then on
    /// what was written.
    pub(super) fn waits(&mut self, ticket: Ticket, waker: &Waker) -> Option<Waker> {
        match self
            .sends
            .iter_mut()
            .find(|(waiting, _)| *waiting == ticket)
        {
            Some((_, old)) => {
                old.clone_from(waker);
                None
            }
            None => {
                self.sends.push((ticket, waker.clone()));
                self.task()
            }
        }
    }

    /// The send with this ticket waits no more.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.sends.retain(|(waiting, _)| *waiting != ticket);
    }

    /// Those whose wait is over.
    #[inline]
    pub(super) fn told(&mut self) -> Wakes {
        if self.sends.is_empty() && self.outbox.nobody_waits() {
            return Wakes::default();
        }
        self.tell()
    }

    fn tell(&mut self) -> Wakes {
        let mut others = Vec::new();
        while let Some(ticket) = self.outbox.poll_told() {
            if let Some(at) = self
                .sends
                .iter()
                .position(|(waiting, _)| *waiting == ticket)
            {
                others.push(self.sends.swap_remove(at).1);
            }
        }
        Wakes {
            task: None,
            others: (!others.is_empty()).then_some(others),
        }
    }

    fn read_by(&mut self, waker: &Waker) {
        match &mut self.reader {
            Some(reader) => reader.clone_from(waker),
            None => self.reader = Some(waker.clone()),
        }
    }

    fn task(&self) -> Option<Waker> {
        if self.attended {
            return None;
        }
        self.task.clone()
    }
}

/// It may still come.
pub(super) struct NoneYet;

/// What senders and receivers hold. With the last one a client's socket closes; a server's is closed by its handler's end.
pub(super) struct Share(Arc<Meeting>);

impl Share {
    pub(super) fn new(meeting: &Arc<Meeting>) -> Self {
        meeting.shares.fetch_add(1, Ordering::Relaxed);
        Self(meeting.clone())
    }

    pub(super) fn meeting(&self) -> &Arc<Meeting> {
        &self.0
    }
}

impl Clone for Share {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Deref for Share {
    type Target = Meeting;

    fn deref(&self) -> &Meeting {
        &self.0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Whoever is last sees what the others did.
        if self.shares.fetch_sub(1, Ordering::AcqRel) == 1 && self.role == Role::Client {
            let wakes = self.lock().finish(Close::DONE, Cause::Handler);
            wakes.wake();
        }
    }
}
