//! What goes into an exchange, and what comes out.

#[cfg(doc)]
use super::Exchange;
use super::{Answer, Ask, End};
use crate::Response;
use crate::error::Panicked;
use crate::tasks::BoxFuture;

/// What happens to an exchange.
pub enum Input {
    /// Begin.
    Start,
    /// The [`Step::Ask`] came to this.
    Answer(Answer),
    /// The [`Step::Handle`] came to this; `Err` if its poll panicked.
    Handled(Result<Response, Panicked>),
    /// This many bytes of request body arrived; zero: the handler waits for more.
    BodyIn(usize),
    /// Nobody waits for the request body any more: it ended, broke off, or was dropped unread.
    BodyEnd,
    /// This many bytes of response body were accepted for writing.
    BodyOut(usize),
    /// The peer takes no more bytes for now.
    Blocked,
    /// A deadline of [`Exchange::poll_timeout`] has passed.
    Timeout,
    /// Nothing more can be written.
    End(End),
}

/// What the driver is to do next.
pub enum Step {
    /// Poll the handler, then come back with [`Input::Handled`].
    Handle(BoxFuture<'static, Response>),
    /// Resolve this, then come back with [`Input::Answer`].
    Ask(Ask),
    /// Drop any handler or ask still running, and send what [`Exchange::take_response`] returns.
    Respond,
    /// Nothing new; go on with what is running.
    Wait,
    /// The exchange is over: cut what is left of it.
    Done,
}
