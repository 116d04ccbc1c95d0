//! What stands at the end of a route: a handler with its types erased.

use crate::context::Needs;
use crate::tasks::BoxFuture;
use crate::{Request, Response};

/// A handler, ready to be called. Written by [`get`](crate::get) and its siblings; implement it
/// yourself to mount something that is no function.
pub trait Endpoint: Send + Sync + 'static {
    /// Answers `request`, now or later.
    fn call(&self, request: Request) -> Reply;

    /// Declares what must have been provided to the application.
    fn needs(&self, needs: &mut Needs) {
        let _ = needs;
    }
}

/// An endpoint's answer.
pub enum Reply {
    /// At once: a plain `fn`, whose call costs no box.
    Now(Response),
    /// When the future completes.
    Later(BoxFuture<'static, Response>),
}
