//! Why a socket is over, and the promise to say so exactly once.

use tideway_engine::ws::{End, Violation};

use crate::error::caught;

/// How a socket came to its end; what [`on_close`](super::WebSocketUpgrade::on_close) is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// What began the end.
    pub cause: Cause,
    /// The close code as applications know it (RFC 6455 §7.1.5): what the peer said, or what we said
    /// to a peer that broke a rule; 1005 for a Close without a code, 1006 for an end without a Close.
    pub code: u16,
    /// What the peer gave as its reason; empty if nothing.
    pub reason: Box<str>,
}

/// What began the end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The peer sent Close.
    #[error("the peer closed")]
    Peer,
    /// The handler returned, or asked to close; a client's socket was closed or dropped.
    #[error("the handler closed")]
    Handler,
    /// The handler panicked: Close 1011.
    #[error("the handler panicked")]
    Panic,
    /// The server stops: Close 1001, or a cut once its time is over.
    #[error("the server stops")]
    Stop,
    /// The peer broke a rule, and was told which.
    #[error("the peer broke the protocol: {0}")]
    Violation(Violation),
    /// No byte came for an interval of the heartbeat and its time-out.
    #[error("the peer is silent")]
    Silent,
    /// It read too slowly for a room it was in: Close 1013.
    #[error("the peer reads too slowly")]
    Slow,
    /// The stream ended without a Close.
    #[error("the connection was lost")]
    Lost,
    /// There never was a socket: the handshake was refused, a stage answered something else, or the client went
    /// before the answer was out.
    #[error("never upgraded")]
    Refused,
    /// The runtime dropped the connection's task.
    #[error("cut with its runtime")]
    Cut,
}

impl Closed {
    /// Without a Close from the peer.
    pub(super) fn abrupt(cause: Cause) -> Self {
        Self {
            cause,
            code: 1006,
            reason: Box::default(),
        }
    }

    /// As the protocol saw it; `began` if something of ours began it.
    pub(super) fn new(end: End, began: Option<Cause>) -> Self {
        let code = end.code();
        let (cause, reason) = match end {
            End::Peer(frame) => (Cause::Peer, frame.reason),
            End::Answered(frame) => (Cause::Handler, frame.reason),
            End::Violation(violation) => (Cause::Violation(violation), Box::default()),
            End::Silent => (Cause::Silent, Box::default()),
            _ => (Cause::Lost, Box::default()),
        };
        Self {
            cause: began.unwrap_or(cause),
            code,
            reason,
        }
    }
}

type Callback = Box<dyn FnOnce(Closed) + Send>;

/// Whom to tell, once.
#[derive(Default)]
pub(super) struct OnClose(Option<Callback>);

impl OnClose {
    pub(super) fn new(callback: impl FnOnce(Closed) + Send + 'static) -> Self {
        Self(Some(Box::new(callback)))
    }

    /// Keeps something until it is told.
    pub(super) fn keep(&mut self, kept: impl Send + 'static) {
        let told = self.0.take();
        *self = Self::new(move |closed| {
            drop(kept);
            if let Some(told) = told {
                told(closed);
            }
        });
    }

    /// Tells, unless that was done.
    pub(super) fn tell(&mut self, closed: Closed) {
        if let Some(callback) = self.0.take()
            && let Err(panic) = caught(|| callback(closed))
        {
            tracing::error!(target: "tideway::ws", "`on_close` {panic}");
        }
    }
}

/// Nobody told it anything: there never was a socket.
impl Drop for OnClose {
    fn drop(&mut self) {
        self.tell(Closed::abrupt(Cause::Refused));
    }
}
