//! A member without a socket: code that hears what is said in a room, such as one that keeps a history.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tideway_engine::hub::{Frame as _, Outgoing};
use tideway_engine::ws::{Config, Encoded, Parcel, Role, Run};

use super::super::meeting::Meeting;
use super::super::{Sender, Socket};

/// Hears what is published to the rooms it joined; see [`Hub::listener`](super::Hub::listener). It is slow as any socket may
/// be, and dealt with by the same policies. Dropped, it leaves them.
pub struct Listener {
    sender: Sender,
    meeting: Arc<Meeting>,
    /// What came with the last message, and what the outbox counts for all of it.
    rest: Option<(Run, usize)>,
}

impl Listener {
    pub(super) fn new() -> Self {
        let meeting = Arc::new(Meeting::new(&Config::default(), None, Role::Server));
        let (sender, _) = Socket::new(&meeting).split();
        Self {
            sender,
            meeting,
            rest: None,
        }
    }

    /// The next message; `None` once there will be none, for it was too slow for
    /// [`Policy::Close`](tideway_engine::hub::Policy). Cancel-safe.
    pub async fn recv(&mut self) -> Option<Encoded> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Encoded>> {
        if let Some((run, bytes)) = &mut self.rest {
            let (message, bytes) = (run.next(), *bytes);
            if run.len() == 0 {
                self.rest = None;
                self.meeting.lock().outbox.handle_written(bytes);
            }
            return Poll::Ready(message);
        }
        let mut state = self.meeting.lock();
        state.attend(cx.waker());
        match state.outbox.poll() {
            Some(Outgoing::Frame(Parcel::One(message))) => {
                state.outbox.handle_written(message.allocated());
                Poll::Ready(Some(message))
            }
            Some(Outgoing::Frame(Parcel::Run(mut run))) => {
                let bytes = run.allocated();
                let message = run.next();
                self.rest = Some((run, bytes));
                Poll::Ready(message)
            }
            Some(Outgoing::Close(_)) => Poll::Ready(None),
            None if state.outbox.is_done() => Poll::Ready(None),
            None => {
                state.leave();
                Poll::Pending
            }
        }
    }
}

impl AsRef<Sender> for Listener {
    fn as_ref(&self) -> &Sender {
        &self.sender
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let wakes = self.meeting.lock().gone();
        wakes.wake();
        self.meeting.leave_rooms();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener(..)")
    }
}
